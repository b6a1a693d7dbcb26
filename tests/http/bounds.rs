//! Bounds: sizes over real sockets, times in virtual time, and what a broken client gets.

use std::future::{Future, pending};
use std::time::Duration;

use larder::limits::{
    HTTP_BODY_BYTES_MAX, HTTP_HEADER_MS_MAX, HTTP_IDLE_MS_MAX, HTTP_LINGER_MS_MAX, HTTP_STALL_MS_MAX,
};
use larder::wire::http::serve_connection;
use tokio::io::DuplexStream;
use tokio::time::Instant;

use super::world;
use crate::support::http::{Client, Host, app, request};

#[tokio::test]
async fn a_body_over_the_bound_is_told_so_even_to_a_client_that_goes_on_sending() {
    let host = Host::start(world()).await;
    let piece = vec![b'x'; 1 << 20];
    // The length says it at once.
    let mut client = host.connect().await;
    client
        .send(format!("PUT /v1/cache/profile/k HTTP/1.1\r\ncontent-length: {}\r\n\r\n", HTTP_BODY_BYTES_MAX + 1))
        .await;
    for _ in 0..4 {
        client.send(&piece).await;
    }
    let reply = client.answer(false).await;
    assert_eq!((reply.problem().as_str(), reply.header("connection")), ("413 body-too-large", "close"));
    // A client that asks first sends nothing.
    let mut client = host.connect().await;
    let length = HTTP_BODY_BYTES_MAX + 1;
    client
        .send(format!("PUT /v1/cache/profile/k HTTP/1.1\r\nexpect: 100-continue\r\ncontent-length: {length}\r\n\r\n"))
        .await;
    assert_eq!(client.answer(false).await.problem(), "413 body-too-large");
    // Nobody says how long it will be.
    let mut client = host.connect().await;
    client.send("PUT /v1/cache/profile/k HTTP/1.1\r\ntransfer-encoding: chunked\r\n\r\n").await;
    for _ in 0..=HTTP_BODY_BYTES_MAX >> 20 {
        client.send(format!("{:x}\r\n", piece.len())).await;
        client.send(&piece).await;
        client.send("\r\n").await;
    }
    assert_eq!(client.answer(false).await.problem(), "413 body-too-large");
    // The engine's own bound is a smaller one here, and that body was read: the connection goes on.
    let mut client = host.connect().await;
    let large = "x".repeat((1 << 20) + 1);
    assert_eq!(client.call("PUT /v1/cache/profile/k", &large).await.problem(), "400 invalid-value");
    assert_eq!(client.get("/v1/cache/profile/k").await.problem(), "404 absent");
}

#[tokio::test]
async fn a_body_in_chunks_is_one_value() {
    let host = Host::start(world()).await;
    let mut client = host.connect().await;
    client.send("PUT /v1/cache/profile/k HTTP/1.1\r\ntransfer-encoding: chunked\r\n\r\n").await;
    client.send("2\r\nAd\r\n1\r\na\r\n0\r\ntrailer: x\r\n\r\n").await;
    assert_eq!(client.answer(false).await.status, 204);
    assert_eq!(client.get("/v1/cache/profile/k").await.text(), "Ada");
    client.send("PUT /v1/cache/profile/k HTTP/1.1\r\ntransfer-encoding: chunked\r\n\r\nzz\r\n").await;
    assert_eq!(client.answer(false).await.problem(), "400 body-broken");
    assert!(client.ended().await);
    assert_eq!(host.connect().await.get("/v1/cache/profile/k").await.text(), "Ada", "half a body changes nothing");
}

#[tokio::test]
async fn a_malformed_request_ends_its_connection_and_no_other() {
    let host = Host::start(world()).await;
    let mut honest = host.connect().await;
    let many: String = (0..101).map(|i| format!("x{i}: y\r\n")).collect();
    let cookie = "x".repeat(40_000);
    for (bytes, status) in [
        ("GARBAGE\r\n\r\n".to_owned(), 400),
        ("GET / HTTP/9.9\r\n\r\n".to_owned(), 400),
        ("GET /\0 HTTP/1.1\r\n\r\n".to_owned(), 400),
        ("GET / HTTP/1.1\r\nbad header\r\n\r\n".to_owned(), 400),
        ("GET / HTTP/1.1\r\nx: a\x01b\r\n\r\n".to_owned(), 400),
        ("PUT /v1/cache/d/k HTTP/1.1\r\ncontent-length: 1\r\ncontent-length: 2\r\n\r\nab".to_owned(), 400),
        ("PUT /v1/cache/d/k HTTP/1.1\r\ncontent-length: -1\r\n\r\n".to_owned(), 400),
        (format!("GET / HTTP/1.1\r\n{many}\r\n"), 431),
        (format!("GET / HTTP/1.1\r\ncookie: {cookie}\r\n\r\n"), 431),
        (format!("GET /{cookie} HTTP/1.1\r\n\r\n"), 431),
    ] {
        let mut client = host.connect().await;
        client.send(&bytes).await;
        let shown = &bytes[..bytes.len().min(60)];
        assert_eq!(client.answer(false).await.status, status, "{shown}");
        assert!(client.ended().await, "{shown}");
    }
    assert_eq!(honest.get("/healthz").await.status, 200);
    assert!(host.stop().await);
}

#[tokio::test]
async fn the_connection_too_many_is_turned_away() {
    let host = Host::start_with(world(), 1).await;
    let mut first = host.connect().await;
    assert_eq!(first.get("/healthz").await.status, 200);
    let mut second = host.connect().await;
    let reply = second.answer(false).await;
    assert_eq!((reply.status, reply.header("retry-after")), (503, "1"));
    assert!(second.ended().await);
    assert_eq!(host.metrics.http_connections_refused.get(), 1);
    assert_eq!(first.get("/healthz").await.status, 200);
    assert!(host.stop().await);
}

#[tokio::test]
async fn a_host_that_stops_ends_idle_connections() {
    let host = Host::start(world()).await;
    let (mut idle, mut begun) = (host.connect().await, host.connect().await);
    assert_eq!(idle.get("/healthz").await.status, 200);
    // Its answer proves that the second request's first half is read.
    begun.send(request("GET /healthz", "") + "PUT /v1/cache/profile/k HTTP/1.1\r\ncontent-length: 3\r\n\r\nA").await;
    assert_eq!(begun.answer(false).await.status, 200);
    let stopping = tokio::spawn(host.stop());
    assert!(idle.ended().await);
    // What has begun is answered, or the connection ends: it depends on whether its head was read before.
    if begun.try_send("da").await.is_ok() {
        begun.ended().await;
    }
    assert!(stopping.await.unwrap());
}

/// A connection in virtual time, over a pipe of so many bytes. It ends when the future does.
fn pipe(bytes: usize) -> (Client<DuplexStream>, impl Future<Output = ()>) {
    let (near, far) = tokio::io::duplex(bytes);
    (Client::new(near), serve_connection(far, app(world()), pending()))
}

/// Milliseconds since a time, rounded to the timer's step.
fn passed_ms(since: Instant) -> u64 {
    u64::try_from(since.elapsed().as_millis()).unwrap()
}

#[tokio::test(start_paused = true)]
async fn an_idle_connection_ends() {
    let (mut client, serving) = pipe(65_536);
    let serving = tokio::spawn(serving);
    // Each request begins the wait anew.
    for _ in 0..3 {
        tokio::time::sleep(Duration::from_millis(HTTP_IDLE_MS_MAX - 1_000)).await;
        assert_eq!(client.get("/healthz").await.status, 200);
    }
    let idle = Instant::now();
    assert!(client.ended().await);
    assert!((HTTP_IDLE_MS_MAX..HTTP_IDLE_MS_MAX + 10).contains(&passed_ms(idle)), "{}", passed_ms(idle));
    drop(client);
    serving.await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn a_header_section_has_to_come_in_time() {
    let (mut client, serving) = pipe(65_536);
    let serving = tokio::spawn(serving);
    tokio::time::sleep(Duration::from_millis(HTTP_HEADER_MS_MAX * 2)).await;
    let begun = Instant::now();
    for byte in "GET /healthz HTTP/1.1\r\nx: yyyyyyyyyyyyyyyyy".bytes() {
        if client.try_send([byte]).await.is_err() {
            break;
        }
        tokio::time::sleep(Duration::from_millis(HTTP_HEADER_MS_MAX / 20)).await;
    }
    assert!(client.ended().await);
    drop(client);
    serving.await.unwrap();
    let passed = passed_ms(begun);
    assert!((HTTP_HEADER_MS_MAX..HTTP_HEADER_MS_MAX * 3).contains(&passed), "{passed}");
}

#[tokio::test(start_paused = true)]
async fn a_body_has_to_go_on_coming() {
    let (mut client, serving) = pipe(65_536);
    let serving = tokio::spawn(serving);
    client.send("PUT /v1/cache/profile/k HTTP/1.1\r\ncontent-length: 5\r\n\r\n").await;
    for _ in 0..4 {
        // Longer together than any bound: it is the pause that counts.
        tokio::time::sleep(Duration::from_millis(HTTP_STALL_MS_MAX - 1_000)).await;
        client.send("x").await;
    }
    let paused = Instant::now();
    let reply = client.answer(false).await;
    assert_eq!((reply.problem().as_str(), reply.header("connection")), ("408 body-timeout", "close"));
    assert!((HTTP_STALL_MS_MAX..HTTP_STALL_MS_MAX + 10).contains(&passed_ms(paused)), "{}", passed_ms(paused));
    drop(client);
    serving.await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn a_client_that_takes_no_answer_is_given_up() {
    let (mut client, serving) = pipe(1_024);
    let serving = tokio::spawn(serving);
    let value = "x".repeat(100_000);
    assert_eq!(client.call("PUT /v1/cache/profile/k", &value).await.status, 204);
    client.send(request("GET /v1/cache/profile/k", "")).await;
    let asked = Instant::now();
    serving.await.unwrap();
    let passed = passed_ms(asked);
    let bounds = HTTP_STALL_MS_MAX..HTTP_STALL_MS_MAX + HTTP_LINGER_MS_MAX + 10;
    assert!(bounds.contains(&passed), "{passed}");
}

#[tokio::test(start_paused = true)]
async fn a_client_that_takes_an_answer_slowly_gets_it_all() {
    let (near, far) = tokio::io::duplex(1_024);
    let serving = tokio::spawn(serve_connection(far, app(world()), pending()));
    let mut client = Client::new(near);
    let value = "x".repeat(20_000);
    assert_eq!(client.call("PUT /v1/cache/profile/k", &value).await.status, 204);
    client.send(request("GET /v1/cache/profile/k", "")).await;
    let asked = Instant::now();
    let reply = client.slow_answer(Duration::from_millis(HTTP_STALL_MS_MAX - 1_000)).await;
    assert_eq!(reply.body.len(), value.len());
    assert!(passed_ms(asked) > HTTP_IDLE_MS_MAX * 2);
    drop(client);
    serving.await.unwrap();
}
