//! Each way in which a server answers, or does not.

use std::time::Duration;

use tokio::net::TcpListener;

use super::{Bench, LONG, Wanted, path};
use crate::support::origin::{Reply, TestOrigin, answer, with_headers};

/// The error that an origin with this one answer leads to, with its text.
async fn refused(reply: Reply) -> (&'static str, String) {
    let server = TestOrigin::always(reply).await;
    let bench = Bench::at(server.url());
    let failed = Bench::fails(bench.load().await);
    assert_eq!(bench.in_flight(), 0);
    failed
}

/// The same, where the load is given up after a short time.
async fn late(reply: Reply) -> (&'static str, String) {
    let server = TestOrigin::always(reply).await;
    let bench = Bench::at(server.url());
    let failed = Bench::fails(bench.origin.load(&path("/x"), Duration::from_millis(200)).await);
    assert_eq!(bench.in_flight(), 0);
    failed
}

#[tokio::test]
async fn an_answer_is_passed_on_whatever_its_status() {
    for status in [200, 204, 206, 301, 304, 404, 410, 429, 500, 503] {
        let body = if matches!(status, 204 | 304) { "" } else { "a body" };
        let reply = with_headers(status, &[("ETag", "\"7\""), ("Location", "http://169.254.169.254/")], body);
        let server = TestOrigin::always(reply).await;
        let said = Bench::at(server.url()).load().await.unwrap();
        assert_eq!((said.status, &*said.body), (status, body.as_bytes()));
        assert!(said.headers.contains(&("etag".into(), "\"7\"".into())), "{:?}", said.headers);
        assert!(said.headers.iter().all(|(name, _)| name != "content-length" && name != "connection"));
        assert_eq!(server.requests(), 1, "{status}: nothing is followed or sent twice");
    }
}

#[tokio::test]
async fn a_request_is_what_was_asked_for_and_no_more() {
    let server = TestOrigin::always(answer(200, "v")).await;
    let bench = Bench::at(format!("{}/api/", server.url()));
    let mut request = path("/users/42?full=1");
    request.headers = vec![("if-none-match".into(), "\"7\"".into()), ("traceparent".into(), "00-1-2-01".into())];
    bench.origin.load(&request, LONG).await.unwrap();
    let head = server.head(0).to_lowercase();
    assert!(head.starts_with("get /api/users/42?full=1 http/1.1\r\n"), "{head}");
    for line in ["if-none-match: \"7\"", "traceparent: 00-1-2-01", "accept-encoding: identity", "user-agent: larder/"] {
        assert!(head.contains(line), "{head}");
    }
    assert!(head.contains(&format!("host: {}\r\n", server.addr)), "{head}");
}

#[tokio::test]
async fn what_cannot_be_asked_is_not_sent() {
    let server = TestOrigin::always(answer(200, "v")).await;
    let bench = Bench::at(server.url());
    for wrong in ["x", "//evil/x", "/../x", "/%2e%2e/x", "/a b", "http://evil/"] {
        assert_eq!(Bench::fails(bench.origin.load(&path(wrong), LONG).await).0, "not-allowed", "{wrong}");
    }
    for (name, value) in [("host", "evil"), ("connection", "upgrade"), ("a b", "c"), ("x", "a\r\nb: c")] {
        let mut request = path("/x");
        request.headers = vec![(name.into(), value.into())];
        assert_eq!(Bench::fails(bench.origin.load(&request, LONG).await).0, "not-allowed", "{name}");
    }
    assert_eq!(server.connections(), 0);
    assert_eq!(bench.breakers.origin("d").status().failures, 0);
}

#[tokio::test]
async fn an_answer_that_breaks_off_is_no_value() {
    let short = Reply::Last(b"HTTP/1.1 200 OK\r\ncontent-length: 10\r\n\r\nhalf".into());
    assert_eq!(refused(short).await.0, "broken");
    let chunked = Reply::Last(b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n5\r\nwhole\r\n".into());
    assert_eq!(refused(chunked).await.0, "broken");
    let bad_chunk = Reply::Last(b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\nzz\r\nwhole\r\n".into());
    assert_eq!(refused(bad_chunk).await.0, "broken");
    let head = Reply::Last(b"HTTP/1.1 200 OK\r\nx-cut: of".into());
    assert_eq!(refused(head).await.0, "broken");
}

#[tokio::test]
async fn a_content_length_that_is_too_small_cuts_the_answer_and_ends_the_connection() {
    let reply = Reply::Bytes(b"HTTP/1.1 200 OK\r\ncontent-length: 4\r\n\r\nvalue and more".into());
    let server = TestOrigin::always(reply).await;
    let bench = Bench::at(server.url());
    for n in 1..=3 {
        assert_eq!(&*bench.load().await.unwrap().body, b"valu");
        assert_eq!(server.connections(), n, "what follows is never taken for another answer");
    }
}

#[tokio::test]
async fn an_answer_may_end_with_its_connection() {
    let server = TestOrigin::always(Reply::Last(b"HTTP/1.0 200 OK\r\n\r\nvalue".into())).await;
    assert_eq!(&*Bench::at(server.url()).load().await.unwrap().body, b"value");
}

#[tokio::test]
async fn what_is_no_http_is_not_understood() {
    for bytes in [&b"\x16\x03\x01garbage\r\n\r\n"[..], b"HTTP/9.9 200 OK\r\n\r\n", b"HTTP/1.1 abc OK\r\n\r\n"] {
        let (word, text) = refused(Reply::Last(bytes.into())).await;
        assert_eq!(word, "not-understood", "{text}");
    }
    let twice = b"HTTP/1.1 200 OK\r\ncontent-length: 1\r\ncontent-length: 2\r\n\r\nab";
    assert_eq!(refused(Reply::Last(twice.to_vec())).await.0, "not-understood");
    let switching = b"HTTP/1.1 101 Switching Protocols\r\nconnection: upgrade\r\nupgrade: x\r\n\r\n";
    assert_eq!(refused(Reply::Last(switching.to_vec())).await.0, "not-understood");
}

#[tokio::test]
async fn nothing_is_waited_for_beyond_the_deadline() {
    let (word, text) = late(Reply::Hang(Vec::new())).await;
    assert_eq!(word, "timed-out");
    assert!(text.contains("within 200 ms"), "{text}");
    let head = b"HTTP/1.1 200 OK\r\ncontent-len".to_vec();
    assert_eq!(late(Reply::Hang(head)).await.0, "timed-out");
    let body = b"HTTP/1.1 200 OK\r\ncontent-length: 10\r\n\r\nhalf".to_vec();
    assert_eq!(late(Reply::Hang(body)).await.0, "timed-out");
}

#[tokio::test]
async fn the_operators_deadline_holds_whatever_is_asked_for() {
    let server = TestOrigin::always(Reply::Hang(Vec::new())).await;
    let mut wanted = Wanted::at(server.url());
    wanted.settings.patience.hard = Duration::from_millis(150);
    let (word, text) = Bench::fails(wanted.open().load().await);
    assert_eq!(word, "timed-out");
    assert!(text.contains("within 150 ms"), "{text}");
}

#[tokio::test]
async fn an_answer_is_read_up_to_its_bound() {
    let told = Reply::Hang(b"HTTP/1.1 200 OK\r\ncontent-length: 1048577\r\n\r\n".into());
    assert_eq!(refused(told).await.0, "too-large");
    let head = b"HTTP/1.1 200 OK\r\n\r\n".to_vec();
    assert_eq!(refused(Reply::Endless(head, vec![b'x'; 65_536])).await.0, "too-large");
    let chunked = b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n".to_vec();
    let chunk = [b"1000\r\n".to_vec(), vec![b'x'; 0x1000], b"\r\n".to_vec()].concat();
    assert_eq!(refused(Reply::Endless(chunked, chunk)).await.0, "too-large");
    let most = "x".repeat(1 << 20);
    let server = TestOrigin::always(answer(200, &most)).await;
    assert_eq!(Bench::at(server.url()).load().await.unwrap().body.len(), 1 << 20);
}

#[tokio::test]
async fn heads_are_bounded() {
    let many: String = (0..200).map(|n| format!("x-{n}: y\r\n")).collect();
    let reply = Reply::Last(format!("HTTP/1.1 200 OK\r\n{many}content-length: 0\r\n\r\n").into_bytes());
    assert_eq!(refused(reply).await.0, "too-large");
    let long = format!("HTTP/1.1 200 OK\r\nx: {}\r\ncontent-length: 0\r\n\r\n", "y".repeat(100_000));
    assert_eq!(refused(Reply::Last(long.into_bytes())).await.0, "too-large");
    let endless = Reply::Endless(b"HTTP/1.1 200 OK\r\nx: ".to_vec(), vec![b'y'; 4_096]);
    assert_eq!(refused(endless).await.0, "too-large");
}

#[tokio::test]
async fn a_server_that_is_not_there_is_unreachable() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let addr = listener.local_addr().unwrap();
    drop(listener);
    let (word, text) = Bench::fails(Bench::at(format!("http://{addr}")).load().await);
    assert_eq!(word, "unreachable");
    assert!(text.contains("the origin of 'd'") && text.contains("refused"), "{text}");
    let mut wanted = Wanted::at("http://no-such-host.invalid");
    wanted.allowed = "*";
    assert_eq!(Bench::fails(wanted.open().load().await).0, "unreachable");
}
