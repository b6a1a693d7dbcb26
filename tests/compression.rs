//! Values that are compressed in the store: when, what of them is counted and told, and what becomes of damaged ones.

use bytes::Bytes;
use larder::engine::api::SetOptions;
use larder::ports::compression::{Compression, CompressionMethod};
use larder::ports::invalidation::Mode;
use larder::ports::metrics::State;
use larder::ports::policy::{Lifetime, Selector};
use larder::ports::store::{Expire, StoreKey};

use crate::support::engine::World;

const HOUR_MS: u64 = 3_600_000;

fn life(compression: Compression) -> Lifetime {
    // Nothing stays in L1, so that every read opens what the store holds.
    let l1_ms = Some(0);
    Lifetime { compression, l1_ms, stale_while_revalidate_ms: HOUR_MS, ..Lifetime::fresh(Some(HOUR_MS)) }
}

fn text(len: usize) -> Bytes {
    b"{\"name\": \"Ada\", \"likes\": [\"engines\"]}".iter().copied().cycle().take(len).collect()
}

fn noise(len: usize) -> Bytes {
    let mut random = fastrand::Rng::with_seed(7);
    std::iter::repeat_with(|| random.u8(..)).take(len).collect()
}

async fn stored(world: &World) -> Bytes {
    let key = StoreKey(Bytes::from_static(b"chat:v1:doc:1"));
    world.store.get(&key, false).await.unwrap().unwrap().bytes
}

async fn set(world: &World, value: &Bytes) {
    world.engine.set(b"doc:1", value.clone(), SetOptions::default()).await.unwrap();
}

#[track_caller]
fn is(answer: larder::engine::api::Answer, value: &Bytes, state: State) {
    assert_eq!(answer.state, state);
    assert!(answer.value.as_ref() == Some(value), "another value of {:?} bytes", answer.value.map(|value| value.len()));
}

/// Stores a value and compares how it lies there, as the explanation tells it; it must come back whole.
async fn check(compression: Compression, value: Bytes, expect: &str) {
    let world = World::new();
    world.enveloped("doc", life(compression));
    set(&world, &value).await;
    is(world.engine.get(b"doc:1").await.unwrap(), &value, State::StoreHit);
    let explanation = world.engine.explain(b"doc:1").await.unwrap();
    assert_eq!(explanation.compression, Some(expect));
    assert_eq!(explanation.size_bytes, Some(value.len() as u64));
    let stored_bytes = explanation.stored_bytes.unwrap();
    assert_eq!(stored_bytes < value.len() as u64, expect != "none");
    assert!(stored(&world).await.len() as u64 - stored_bytes < 128);
    for method in CompressionMethod::ALL {
        let counted = &world.metrics.domain("doc").compression[method as usize];
        let (from, to) = (counted.from_bytes.get(), counted.to_bytes.get());
        let done = if method.as_str() == expect { (value.len() as u64, stored_bytes) } else { (0, 0) };
        assert_eq!((from, to), done, "{method:?}");
    }
}

#[tokio::test]
async fn the_host_compresses_large_values_and_a_policy_says_what_it_wants() {
    check(Compression::Automatic, text(4_095), "none").await;
    check(Compression::Automatic, text(4_096), "zstd").await;
    check(Compression::Automatic, text(900_000), "zstd").await;
    check(Compression::Never, text(100_000), "none").await;
    check(Compression::Lz4, text(200), "lz4").await;
    check(Compression::Lz4, text(900_000), "lz4").await;
    check(Compression::Zstd, text(200), "zstd").await;
    check(Compression::Zstd, Bytes::new(), "none").await;
}

#[tokio::test]
async fn what_does_not_pay_is_stored_as_it_is_and_counted() {
    for (len, method) in [(10_000, CompressionMethod::Zstd), (500_000, CompressionMethod::Zstd)] {
        check(Compression::Automatic, noise(len), "none").await;
        let world = World::new();
        world.enveloped("doc", life(Compression::Automatic));
        set(&world, &noise(len)).await;
        assert_eq!(world.metrics.domain("doc").compression[method as usize].in_vain.get(), 1);
    }
}

#[tokio::test]
async fn raw_values_are_never_compressed() {
    let world = World::new();
    world.raw("doc", life(Compression::Zstd));
    set(&world, &text(100_000)).await;
    assert_eq!(stored(&world).await, text(100_000));
}

#[tokio::test]
async fn l1_holds_the_plain_value() {
    let world = World::new();
    world.enveloped("doc", Lifetime { l1_ms: None, ..life(Compression::Automatic) });
    set(&world, &text(50_000)).await;
    is(world.engine.get(b"doc:1").await.unwrap(), &text(50_000), State::L1Hit);
    world.engine.report();
    assert!(world.metrics.l1_bytes.get() > 50_000);
}

#[tokio::test]
async fn an_entry_that_is_only_stamped_anew_keeps_its_form() {
    let value = text(100_000);
    let world = World::new();
    world.enveloped("doc", life(Compression::Lz4));
    set(&world, &value).await;
    // Soft invalidation of the key rewrites its stamps; the policy that serves by then would compress nothing.
    world.enveloped("doc", life(Compression::Never));
    world.engine.invalidate("doc", &Selector::Key("1".into()), Mode::Soft).await.unwrap();
    is(world.engine.get(b"doc:1").await.unwrap(), &value, State::Stale);
    assert_eq!(world.engine.explain(b"doc:1").await.unwrap().compression, Some("lz4"));
    // Appending writes another value.
    set(&world, &value).await;
    assert_eq!(world.engine.explain(b"doc:1").await.unwrap().compression, Some("none"));
}

#[tokio::test]
async fn damaged_bytes_are_a_miss_and_a_metric() {
    for (compression, len) in [(Compression::Lz4, 5_000), (Compression::Zstd, 5_000), (Compression::Zstd, 900_000)] {
        let world = World::new();
        world.enveloped("doc", life(compression));
        set(&world, &text(len)).await;
        let whole = stored(&world).await;
        let key = StoreKey(Bytes::from_static(b"chat:v1:doc:1"));
        let cut = whole.slice(..whole.len() - 3);
        let mut flipped = whole.to_vec();
        *flipped.last_mut().unwrap() ^= 1;
        for (n, damaged) in [cut, flipped.into()].into_iter().enumerate() {
            world.store.set(&key, damaged, Expire::Never).await.unwrap();
            let answer = world.engine.get(b"doc:1").await.unwrap();
            assert_eq!((answer.state, answer.value), (State::Miss, None));
            assert_eq!(world.metrics.domain("doc").foreign_bytes.get(), n as u64 + 1);
        }
        set(&world, &text(len)).await;
        is(world.engine.get(b"doc:1").await.unwrap(), &text(len), State::StoreHit);
    }
}
