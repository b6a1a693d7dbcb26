//! The sample `profile` with an origin, through real hosts: what applications see of a server that is slow, gone, wrong or well.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use crate::support::host::{Host, HostBuilder, wait_until};
use crate::support::origin::{Reply, TestOrigin, answer, with_headers};
use crate::support::redis::RedisServer;

const KEY: &str = "profile:user:42";
const PATH: &str = "/v1/cache/profile/user:42";
const GET: &[u8] = b"*2\r\n$3\r\nGET\r\n$15\r\nprofile:user:42\r\n";

/// A host whose profiles come from there. Nothing here is about deadlines unless `limits` says so.
pub(super) fn host(origin: &TestOrigin, settings: &str, limits: &str, store: &str) -> Host {
    let (limits, url) =
        (if limits.is_empty() { "load_ms = 30000\nload_soft_ms = 30000" } else { limits }, origin.url());
    let toml = format!("origin = \"{url}\"\n[settings]\n{settings}\n[grants]\n[limits]\nhook_ms = 1000\n{limits}\n");
    let builder = HostBuilder::new().sample("profile").toml("profile", &toml);
    builder.env("CACHE_MAX_LATENCY_MS", "10000").arg("--store").arg(store).start()
}

/// Does something that blocks where it does not hold up the origin.
pub(super) async fn beside<T: Send + 'static>(work: impl FnOnce() -> T + Send + 'static) -> T {
    tokio::task::spawn_blocking(work).await.unwrap()
}

/// One HTTP read: status, `Cache-Status`, body.
async fn read(host: &Arc<Host>) -> (u16, String, String) {
    let host = Arc::clone(host);
    beside(move || {
        let (status, head, body) = host.http("GET", PATH, "", b"");
        let field = head.lines().find_map(|line| line.strip_prefix("cache-status: ")).unwrap_or_default().to_owned();
        (status, field, String::from_utf8(body).unwrap())
    })
    .await
}

async fn wait_for_life(host: &Arc<Host>, life: &'static str) {
    let host = Arc::clone(host);
    beside(move || wait_until(life, || host.explain(KEY)["life"] == life)).await;
}

/// `GET`s the key on a connection of its own, and says when it was asked.
async fn get(addr: SocketAddr, asked: Arc<AtomicUsize>) -> String {
    let mut stream = TcpStream::connect(addr).await.unwrap();
    stream.write_all(GET).await.unwrap();
    asked.fetch_add(1, Ordering::SeqCst);
    let mut reply = vec![0; 256];
    let len = stream.read(&mut reply).await.unwrap();
    String::from_utf8(reply[..len].to_vec()).unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn two_thousand_callers_of_two_hosts_load_a_cold_key_once() {
    const CALLERS: usize = 1_000;
    let redis = beside(RedisServer::start).await;
    let origin = TestOrigin::always(Reply::Gated(b"HTTP/1.1 200 X\r\ncontent-length: 3\r\n\r\none".to_vec())).await;
    let hosts = [host(&origin, "", "", &redis.url()), host(&origin, "", "", &redis.url())];
    let asked = Arc::new(AtomicUsize::new(0));
    let callers: Vec<_> =
        hosts.iter().flat_map(|host| (0..CALLERS).map(|_| tokio::spawn(get(host.resp, asked.clone())))).collect();
    while asked.load(Ordering::SeqCst) < 2 * CALLERS || origin.requests() == 0 {
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    origin.let_out(2 * CALLERS);
    for caller in callers {
        assert_eq!(caller.await.unwrap(), "$3\r\none\r\n");
    }
    assert_eq!(origin.requests(), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stale_profile_is_served_while_it_is_refreshed() {
    let two = Reply::Gated(b"HTTP/1.1 200 X\r\ncontent-length: 3\r\n\r\ntwo".to_vec());
    let origin = TestOrigin::in_turn(vec![answer(200, "one"), two]).await;
    let host = Arc::new(host(&origin, "ttl = \"100ms\"\nstale = \"1h\"", "", "memory"));
    let (status, field, body) = read(&host).await;
    assert_eq!((status, body.as_str()), (200, "one"));
    assert!(field.starts_with("larder; fwd=miss; fwd-status=200; stored; ttl="), "{field}");
    assert!(field.ends_with("detail=stored"), "{field}");
    wait_for_life(&host, "stale").await;
    for _ in 0..3 {
        let (_, field, body) = read(&host).await;
        assert_eq!(body, "one");
        let is_over = ["larder; hit; ttl=-", "larder; hit; ttl=0;"].iter().any(|begin| field.starts_with(begin));
        assert!(is_over && field.ends_with("detail=stale"), "{field}");
    }
    origin.let_out(1);
    let refreshed = Arc::clone(&host);
    beside(move || wait_until("it is refreshed", || refreshed.http("GET", PATH, "", b"").2 == b"two")).await;
    assert!(origin.requests() >= 2);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_origin_that_fails_is_bridged_and_left_alone() {
    let origin = TestOrigin::in_turn(vec![answer(200, "one"), answer(503, "down")]).await;
    let settings = "ttl = \"100ms\"\nstale = \"0s\"\nstale_if_error = \"1h\"";
    let host = Arc::new(host(&origin, settings, "", "memory"));
    read(&host).await;
    wait_for_life(&host, "stale-if-error").await;
    let (status, field, body) = read(&host).await;
    assert_eq!((status, body.as_str()), (200, "one"));
    assert!(field.starts_with("larder; fwd=stale; fwd-status=503; stored=?0; ttl=-"), "{field}");
    assert!(field.ends_with("detail=stale-load-failed"), "{field}");
    let explained = Arc::clone(&host);
    let explained = beside(move || explained.explain(KEY)).await;
    assert!(explained["load"].contains("failed") && explained["load"].contains("503"), "{explained:?}");
    assert_eq!(origin.requests(), 2);
}

#[tokio::test(flavor = "multi_thread")]
async fn who_is_unknown_is_remembered() {
    let origin = TestOrigin::always(answer(404, "nobody")).await;
    let host = Arc::new(host(&origin, "", "", "memory"));
    let (status, field, _) = read(&host).await;
    assert_eq!(status, 404);
    assert!(field.starts_with("larder; fwd=miss; fwd-status=404; stored; ttl="), "{field}");
    let (status, field, _) = read(&host).await;
    assert_eq!(status, 404);
    assert!(field.starts_with("larder; hit; ttl=") && field.ends_with("detail=negative"), "{field}");
    let asked = Arc::clone(&host);
    assert_eq!(beside(move || asked.ask(&["GET", KEY])).await, Ok(redis::Value::Nil));
    assert_eq!(origin.requests(), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_has_not_changed_is_renewed() {
    let headers = [("etag", "\"v1\""), ("last-modified", "Sun, 06 Nov 1994 08:49:37 GMT")];
    let replies = vec![with_headers(200, &headers, "one"), Reply::Bytes(b"HTTP/1.1 304 X\r\n\r\n".to_vec())];
    let origin = TestOrigin::in_turn(replies).await;
    let settings = "ttl = \"200ms\"\nstale = \"0s\"\nstale_if_error = \"0s\"\nkeep = \"1h\"";
    let host = Arc::new(host(&origin, settings, "", "memory"));
    read(&host).await;
    wait_for_life(&host, "kept").await;
    let (status, field, body) = read(&host).await;
    assert_eq!((status, body.as_str()), (200, "one"));
    assert!(field.starts_with("larder; fwd=stale; fwd-status=304; stored; ttl="), "{field}");
    let head = origin.head(1).to_lowercase();
    assert!(head.contains("if-none-match: \"v1\"") && head.contains("if-modified-since: sun, 06 nov 1994"), "{head}");
}

#[tokio::test(flavor = "multi_thread")]
async fn bad_answers_are_the_origins_fault_in_both_protocols() {
    let truncated = b"HTTP/1.1 200 X\r\ncontent-length: 10\r\n\r\none".to_vec();
    let endless = Reply::Endless(b"HTTP/1.1 200 X\r\n\r\n".to_vec(), vec![b'x'; 64 * 1024]);
    let hang = Reply::Hang(b"HTTP/1.1 200 X\r\ncontent-length: 10\r\n\r\n".to_vec());
    let cases = [
        ("refused", Reply::Reset, 502),
        ("truncated", Reply::Last(truncated), 502),
        ("huge", endless, 502),
        ("slow", hang, 504),
        ("no http", Reply::Last(b"220 smtp\r\n".to_vec()), 502),
        ("an error", answer(500, "no"), 502),
        ("a redirect", with_headers(302, &[("location", "http://169.254.169.254/")], ""), 502),
    ];
    for (what, reply, expect) in cases {
        let origin = TestOrigin::always(reply).await;
        let limits = "load_ms = 1000\nload_soft_ms = 500\nload_size = \"1MiB\"";
        let host = Arc::new(host(&origin, "", limits, "memory"));
        let (status, field, body) = read(&host).await;
        assert_eq!(status, expect, "{what}: {body}");
        assert!(field.starts_with("larder; fwd=miss; key=") && field.contains("detail=origin-"), "{what}: {field}");
        let problem: serde_json::Value = serde_json::from_str(&body).unwrap();
        assert_eq!((&problem["blame"], &problem["retry"]), (&"origin".into(), &true.into()), "{what}");
        let asked = Arc::clone(&host);
        let error = beside(move || asked.ask(&["GET", KEY])).await.unwrap_err().to_string();
        assert!(error.contains("blame: origin; retry: yes"), "{what}: {error}");
    }
}
