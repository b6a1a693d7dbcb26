//! Hostile clients: floods, slow ones, large ones, malformed ones. Each time somebody else must be served as ever.

use std::io::{Read as _, Write as _};
use std::net::TcpStream;

use super::{Lines, READER, guarded, users_with};
use crate::support::host::{Host, HostBuilder, OPERATOR, PATIENCE, wait_until};

/// Somebody honest who must be served whatever others do.
fn check_served(host: &Host, what: &str) {
    assert_eq!(Lines::connect(host.resp).ask("PING"), "+PONG", "{what}");
    assert_eq!(host.http("GET", "/healthz", "", b"").0, 200, "{what}");
}

fn stream(host: &Host) -> TcpStream {
    let stream = TcpStream::connect(host.http).unwrap();
    stream.set_read_timeout(Some(PATIENCE)).unwrap();
    stream
}

/// What a connection is told until its end.
fn rest(stream: &mut TcpStream) -> String {
    let mut said = Vec::new();
    // A reset after the answer is an end as well.
    let _ = stream.read_to_end(&mut said);
    String::from_utf8_lossy(&said).into_owned()
}

#[test]
fn an_address_has_its_share_of_the_connections() {
    let host = HostBuilder::samples().set("connections.per_address_max", "5").start();
    let resp: Vec<_> = (0..5).map(|_| Lines::connect(host.resp)).collect();
    assert_eq!(Lines::connect(host.resp).line(), "-ERR max number of clients reached");
    let http: Vec<_> = (0..5).map(|_| stream(&host)).collect();
    assert!(rest(&mut stream(&host)).starts_with("HTTP/1.1 503"));
    // Another address of this machine has its own.
    let mut other = socket_from("127.0.0.2", host.resp);
    assert_eq!(other.ask("PING"), "+PONG");
    drop((resp, http));
    wait_until("the places are free again", || Lines::connect(host.resp).ask("PING") == "+PONG");
    host.waits_to_log("too many are connected from its address");
}

/// A connection that comes from another address of the loopback.
fn socket_from(from: &str, to: std::net::SocketAddr) -> Lines<TcpStream> {
    let socket = socket2::Socket::new(socket2::Domain::IPV4, socket2::Type::STREAM, None).unwrap();
    socket.bind(&format!("{from}:0").parse::<std::net::SocketAddr>().unwrap().into()).unwrap();
    socket.connect(&to.into()).unwrap();
    let stream = TcpStream::from(socket);
    stream.set_read_timeout(Some(PATIENCE)).unwrap();
    Lines::new(stream)
}

#[test]
fn a_flood_of_connections_is_turned_away_and_its_places_come_back() {
    let host = HostBuilder::samples().set("resp.connections_max", "50").set("http.connections_max", "50").start();
    for _ in 0..3 {
        let flood: Vec<_> =
            (0..300).map(|n| TcpStream::connect(if n % 2 == 0 { host.resp } else { host.http })).collect();
        wait_until("the flood is there", || host_is_full(&host));
        drop(flood);
        wait_until("others are served again", || {
            let mut client = Lines::connect(host.resp);
            client.ask("PING") == "+PONG"
        });
    }
    check_served(&host, "after three floods");
    assert!(host.metric("larder_resp_connections_refused_total") >= 250.0);
}

#[test]
fn who_comes_beyond_the_open_files_is_told_so() {
    let host = HostBuilder::samples().files_max(400).start();
    let mut flood: Vec<_> = (0..300).map(|_| Lines::connect(host.resp)).collect();
    let told: Vec<String> = flood.iter_mut().map(|client| client.ask("PING")).collect();
    let served = told.iter().filter(|line| *line == "+PONG").count();
    let turned_away = told.iter().filter(|line| *line == "-ERR max number of clients reached").count();
    assert_eq!((served, served + turned_away), (100, 300), "{told:?}");
    assert_eq!(host.http("GET", "/healthz", "", b"").0, 200);
    drop(flood);
    wait_until("the places are free again", || Lines::connect(host.resp).ask("PING") == "+PONG");
    host.waits_to_log("fewer files may be open than connections are allowed");
}

fn host_is_full(host: &Host) -> bool {
    Lines::connect(host.resp).line().starts_with("-ERR max number of clients")
}

#[test]
fn slow_and_silent_clients_hold_nobody_up() {
    let host = HostBuilder::samples().start();
    // Header sections that never end, byte by byte; bodies that do not come; commands that do not end.
    let mut slow: Vec<TcpStream> = (0..100)
        .map(|n| {
            let mut slow = if n % 2 == 0 { stream(&host) } else { TcpStream::connect(host.resp).unwrap() };
            slow.write_all(if n % 2 == 0 { b"GET / HTTP/1.1\r\nx: " } else { b"*2\r\n$3\r\nGET\r\n$100\r\nx" })
                .unwrap();
            slow
        })
        .collect();
    // Somebody who asks for much and reads nothing of it.
    let mut setter = Lines::connect(host.resp);
    assert_eq!(setter.ask(&format!("SET big {}", "x".repeat(1_000_000))), "+OK");
    let mut deaf = TcpStream::connect(host.resp).unwrap();
    deaf.set_nonblocking(true).unwrap();
    let before_kib = host.rss_kib();
    let (batch, mut sent) = (b"GET big\r\n".repeat(1_000), 0);
    for _ in 0..400 {
        match deaf.write(&batch) {
            Ok(n) => sent += n,
            Err(error) if error.kind() == std::io::ErrorKind::WouldBlock => break,
            Err(error) => panic!("{error}"),
        }
        for slow in &mut slow {
            // Those of HTTP may be over by now, if the machine is that slow.
            let _ = slow.write_all(b"a");
        }
        check_served(&host, "while others are slow");
    }
    assert!(sent > 0);
    let grown_mib = host.rss_kib().saturating_sub(before_kib) / 1024;
    assert!(grown_mib < 300, "what a deaf client asks for is bounded: {grown_mib} MiB");
}

#[test]
fn requests_that_are_too_large_are_refused_and_others_served() {
    let host = HostBuilder::samples().start();
    // A hundred megabytes in one value, by each protocol.
    let mut resp = TcpStream::connect(host.resp).unwrap();
    resp.write_all(b"*3\r\n$3\r\nSET\r\n$1\r\nk\r\n$100000000\r\n").unwrap();
    let _ = resp.write_all(&vec![b'x'; 10_000_000]);
    assert!(rest(&mut resp).starts_with("-ERR Protocol error"), "the length alone is enough");
    let mut http = stream(&host);
    http.write_all(b"PUT /v1/cache/default/k HTTP/1.1\r\nhost: x\r\ncontent-length: 100000000\r\n\r\n").unwrap();
    let _ = http.write_all(&vec![b'x'; 10_000_000]);
    assert!(rest(&mut http).starts_with("HTTP/1.1 413"));
    // The same without saying how long it is: what comes is counted.
    let before_kib = host.rss_kib();
    let mut http = stream(&host);
    http.write_all(b"PUT /v1/cache/default/k HTTP/1.1\r\nhost: x\r\ntransfer-encoding: chunked\r\n\r\n").unwrap();
    let chunk = [b"f4240\r\n".as_slice(), &vec![b'x'; 1_000_000], b"\r\n"].concat();
    // It may stop listening in the middle.
    let _ = (0..100).try_for_each(|_| http.write_all(&chunk));
    let said = rest(&mut http);
    assert!(said.starts_with("HTTP/1.1 413"), "{said}");
    let grown_mib = host.rss_kib().saturating_sub(before_kib) / 1024;
    assert!(grown_mib < 200, "{grown_mib} MiB are held for what was refused");
    check_served(&host, "after values that are too large");
    // Header bombs: one long, many, and a long target.
    for bomb in [
        format!("GET / HTTP/1.1\r\nx: {}\r\n\r\n", "y".repeat(10_000_000)),
        format!("GET / HTTP/1.1\r\n{}\r\n", "x: y\r\n".repeat(1_000_000)),
        format!("GET /{} HTTP/1.1\r\n\r\n", "y".repeat(10_000_000)),
    ] {
        let mut http = stream(&host);
        let _ = http.write_all(bomb.as_bytes());
        let said = rest(&mut http);
        assert!(said.is_empty() || said.starts_with("HTTP/1.1 4"), "{}", &said[..said.len().min(200)]);
        check_served(&host, "after a header bomb");
    }
    // Frames that promise more than anybody has.
    for frame in ["*1000000000\r\n", "*-5\r\n", "$5\r\n", "*1\r\n$99999999999999999999\r\n", "*1\r\n:1\r\n"] {
        let mut resp = TcpStream::connect(host.resp).unwrap();
        resp.set_read_timeout(Some(PATIENCE)).unwrap();
        resp.write_all(frame.as_bytes()).unwrap();
        resp.shutdown(std::net::Shutdown::Write).unwrap();
        rest(&mut resp);
        check_served(&host, frame);
    }
}

#[test]
fn malformed_json_is_told_so_on_every_route_that_takes_it() {
    let host = HostBuilder::samples().start();
    let deep = "[".repeat(100_000);
    for path in [
        "POST /v1/invalidate",
        "POST /v1/events",
        "POST /v1/domains/queue/commands/length",
        "POST /v1/locks/a",
        "PATCH /v1/locks/a",
        "DELETE /v1/locks/a",
        "DELETE /v1/locks",
        "POST /v1/breakers/store",
        "PUT /v1/log",
    ] {
        let (method, path) = path.split_once(' ').unwrap();
        for body in ["{", "[1]", "nul", "{\"a\":1e999}", "\u{feff}{}", "{\"nosuch\":1}", "\"\\ud800\"", deep.as_str()] {
            let (status, _, said) = host.http(method, path, "", body.as_bytes());
            let said = String::from_utf8(said).unwrap();
            assert!(
                (400..500).contains(&status) && said.contains("urn:larder:problem:"),
                "{method} {path} {body:.20}: {status}"
            );
        }
    }
    check_served(&host, "after broken JSON");
}

#[test]
fn tricks_in_keys_reach_nothing_else() {
    let host = HostBuilder::samples().start();
    assert_eq!(host.http("PUT", "/v1/cache/default/secret", "", b"x").0, 204);
    for (path, expect) in [
        // A path is a key and no path: dots and slashes are characters.
        ("/v1/cache/session/%2e%2e/default/secret", 404),
        ("/v1/cache/session/../default/secret", 404),
        ("/v1/cache/%2e%2e/x", 404),
        ("/v1/cache/default/%2e%2e%2fsecret", 404),
        ("/v1/cache/session/a%00b", 400),
        ("/v1/cache/session/%0d%0aSET", 400),
        ("/v1/cache/session/%ff", 400),
        ("/v1/cache/session/%zz", 400),
        ("/v1/cache/%00/x", 404),
        // The storage keys of others, and the host's own.
        ("/v1/cache/default/chat:v1:session:1", 400),
        ("/v1/cache/default/%7Bchat:generation:profile%7D", 400),
        ("/v1/cache/default/chat:v1:profile:user:1", 400),
    ] {
        let (status, _, said) = host.http("GET", path, "", b"");
        assert_eq!(status, expect, "{path}: {}", String::from_utf8_lossy(&said));
        assert_ne!(said, b"x", "{path}");
    }
    check_served(&host, "after tricks");
}

#[test]
fn rates_are_kept_by_connection_and_by_user() {
    // So slow that a machine that stands still for a while does not make it look fast.
    let file = users_with("rate_max = 1");
    let host = guarded().file("larder.toml", &file).set("resp.rate_max", "50").start();
    let mut operator = Lines::login(host.resp, "operator", OPERATOR);
    let said: Vec<String> = (0..200).map(|_| operator.ask("GET none")).collect();
    let fast = |said: &str| said.starts_with("-ERR 50 commands per second are allowed here; try again in ");
    assert!(said.iter().any(|said| said == "$-1") && said.iter().any(|said| fast(said)), "{:?}", &said[..10]);
    // All connections of a user share its rate, over both protocols.
    let mut refused = 0;
    for _ in 0..5 {
        let mut reader = Lines::connect(host.resp);
        assert_eq!(reader.ask(&format!("AUTH reader {READER}")), "+OK");
        refused += usize::from(reader.ask("GET none").starts_with("-ERR 1 commands per second"));
        let (status, head, _) = host.http("GET", "/v1/policies", &super::bearer(READER), b"");
        refused += usize::from(status == 429 && head.contains("retry-after"));
    }
    assert!(refused > 0);
    assert!(host.metric("larder_rate_limited_total") > 1.0);
    check_served_as(&host);
}

fn check_served_as(host: &Host) {
    assert_eq!(host.http("GET", "/healthz", "", b"").0, 200);
    assert_eq!(Lines::login(host.resp, "writer", super::WRITER).ask("GET none"), "$-1");
}
