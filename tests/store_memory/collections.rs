//! What collections cost, and what is told of how long they have been idle.

use larder::adapters::memory::MemoryStore;
use larder::limits::{RANDOM_COUNT_MAX, SCAN_COUNT_MAX};
use larder::ports::store::{Command, Expire, Reply, Store as _};

use super::{OOM, fill, store};

async fn call(store: &MemoryStore, words: &str) -> Reply {
    let args = words.split(' ').map(|word| word.as_bytes().to_vec().into()).collect();
    store.call(Command { args }).await.expect("memory always answers")
}

fn refused() -> Reply {
    Reply::Error(OOM.to_owned())
}

#[tokio::test]
async fn a_collection_that_grows_meets_the_bound() {
    for command in ["RPUSH k", "SADD k", "HSET k"] {
        let (store, _) = store(4 << 20);
        let mut n = 0;
        let full = loop {
            let value = if command.starts_with('H') { " v" } else { "" };
            let reply = call(&store, &format!("{command} element-{n}{value}")).await;
            if !matches!(reply, Reply::Integer(_)) {
                break reply;
            }
            n += 1;
        };
        assert_eq!(full, refused(), "{command}");
        // The table may have grown by half beyond the bound with the last element.
        let used = store.used_bytes();
        assert!((3 << 20..=6 << 20).contains(&used) && n > 30_000, "{command}: {n} elements, {used} bytes");
        assert_eq!(call(&store, "DEL k").await, Reply::Integer(1));
        store.sweep(usize::MAX);
        assert_eq!(store.used_bytes(), 0, "{command}");
    }
}

#[tokio::test]
async fn over_the_bound_what_grows_is_refused_and_the_rest_is_served() {
    let (store, _) = store(4 << 20);
    for words in ["HSET h f 1 g 2", "RPUSH l a b c", "SADD s a b c", "SADD t a"] {
        call(&store, words).await;
    }
    fill(&store, 0..100_000, 1_000, Expire::Never).await.expect_err("it is full at some time");
    while call(&store, &format!("SET pad{} v", store.len())).await == Reply::ok() {}
    for words in [
        "HSET h n v",
        "HMSET h n v",
        "HSETNX h n v",
        "HINCRBY h f 1",
        "HINCRBYFLOAT h f 1",
        "LPUSH l v",
        "RPUSH l v",
        "LPUSHX l v",
        "RPUSHX l v",
        "LSET l 0 v",
        "LINSERT l BEFORE a v",
        "LMOVE l m LEFT LEFT",
        "RPOPLPUSH l m",
        "SADD s v",
        "SINTERSTORE d s t",
        "SUNIONSTORE d s t",
        "SDIFFSTORE d s t",
        "COPY h copy",
        "SETRANGE k 0 v",
        "MSETNX k v",
        "INCRBYFLOAT k 1",
    ] {
        assert_eq!(call(&store, words).await, refused(), "{words}");
    }
    for words in [
        "HGET h f",
        "HDEL h f",
        "LPOP l",
        "LREM l 1 b",
        "LTRIM l 0 9",
        "SREM s a",
        "SMOVE s t b",
        "SPOP s",
        "EXPIRE h 9",
        "RENAME h renamed",
        "SINTER s t",
        "OBJECT ENCODING t",
        "SCAN 0",
        "DBSIZE",
        "RANDOMKEY",
        "FLUSHALL",
    ] {
        let reply = call(&store, words).await;
        assert!(!matches!(reply, Reply::Error(_)), "{words}: {reply:?}");
    }
    assert_eq!(store.used_bytes(), 0);
}

#[tokio::test]
async fn a_copy_that_does_not_fit_is_not_made() {
    let (store, _) = store(4 << 20);
    for n in 0..20 {
        let members: Vec<String> = (0..1_000).map(|m| format!("member-{n}-{m}")).collect();
        assert_eq!(call(&store, &format!("SADD s {}", members.join(" "))).await, Reply::Integer(1_000));
    }
    for n in 0.. {
        if store.used_bytes() > 7 << 19 {
            break;
        }
        call(&store, &format!("SET pad{n} {}", "v".repeat(1_000))).await;
    }
    let before = store.used_bytes();
    for words in ["COPY s t", "SUNIONSTORE t s", "SINTERSTORE t s s"] {
        assert_eq!(call(&store, words).await, refused(), "{words}");
        assert_eq!((call(&store, "EXISTS t").await, store.used_bytes()), (Reply::Integer(0), before), "{words}");
    }
}

#[tokio::test]
async fn what_shrinks_gives_its_memory_back() {
    const MANY: usize = 20_000;
    let (store, _) = store(1 << 30);
    let names = |range: std::ops::Range<usize>| range.map(|n| n.to_string()).collect::<Vec<_>>().join(" ");
    let fields: Vec<String> = (0..MANY).map(|n| format!("{n} v")).collect();
    for (fill, take) in [
        (format!("RPUSH k {}", names(0..MANY)), format!("LPOP k {}", MANY - 10)),
        (format!("RPUSH k {}", names(0..MANY)), "LTRIM k 100 109".to_owned()),
        (format!("SADD k {}", names(0..MANY)), format!("SPOP k {}", MANY - 10)),
        (format!("SADD k {}", names(0..MANY)), format!("SREM k {}", names(10..MANY))),
        (format!("HSET k {}", fields.join(" ")), format!("HDEL k {}", names(10..MANY))),
    ] {
        call(&store, &fill).await;
        let most = store.used_bytes();
        call(&store, &take).await;
        let left = store.used_bytes();
        assert!(most > 500_000 && left < 5_000, "{}: {most}, then {left} bytes", take.split(' ').next().unwrap_or(""));
        call(&store, "FLUSHALL").await;
        assert_eq!(store.used_bytes(), 0);
    }
}

#[tokio::test]
async fn a_key_is_idle_since_it_was_last_used() {
    let (store, clock) = store(1 << 30);
    call(&store, "HSET h f v").await;
    let idle = async || call(&store, "OBJECT IDLETIME h").await;
    clock.advance_ms(5_000);
    for words in ["TYPE h", "TTL h", "EXISTS h", "OBJECT ENCODING h"] {
        call(&store, words).await;
        assert_eq!(idle().await, Reply::Integer(5), "{words} asks about it only");
    }
    for words in ["HGET h f", "TOUCH h", "HSET h f w", "HLEN h"] {
        clock.advance_ms(3_000);
        call(&store, words).await;
        assert_eq!(idle().await, Reply::Integer(0), "{words}");
    }
    clock.step_back_ms(10_000);
    assert_eq!(idle().await, Reply::Integer(0), "a clock that steps back is not idle for an age");
}

#[tokio::test]
async fn an_answer_has_a_bound() {
    let (store, _) = store(1 << 30);
    call(&store, "SADD s a b").await;
    let Reply::Array(drawn) = call(&store, &format!("SRANDMEMBER s -{RANDOM_COUNT_MAX}")).await else {
        panic!("SRANDMEMBER answers a list")
    };
    assert_eq!(drawn.len(), RANDOM_COUNT_MAX);
    let refused = Reply::Error("ERR value is out of range".to_owned());
    assert_eq!(call(&store, &format!("SRANDMEMBER s -{}", RANDOM_COUNT_MAX + 1)).await, refused);
    assert_eq!(call(&store, &format!("SRANDMEMBER none -{}", RANDOM_COUNT_MAX + 1)).await, Reply::Array(Vec::new()));

    let many = SCAN_COUNT_MAX + 10;
    for first in (0..many).step_by(1_000) {
        let names: Vec<String> = (first..first + 1_000).map(|n| format!("m{n}")).collect();
        call(&store, &format!("SADD large {}", names.join(" "))).await;
    }
    let Reply::Array(step) = call(&store, "SSCAN large 0 COUNT 99999999").await else { panic!("SSCAN answers a list") };
    let [Reply::Bulk(next), Reply::Array(shown)] = &step[..] else { panic!("{} parts", step.len()) };
    assert!(next != "0" && shown.len() == SCAN_COUNT_MAX, "{next:?}, {} members", shown.len());
}
