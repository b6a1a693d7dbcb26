//! TLS on both front ends: certificates of the host, of clients, and new ones while it runs.

use std::io::{Read as _, Write as _};
use std::net::TcpStream;

use super::{Lines, WRITER, bearer, users};
use crate::support::host::{Host, HostBuilder, PATIENCE, exchange, signal, wait_until};
use crate::support::tls::{Authority, Pair, connect};

/// A host that calls itself `larder.test`, with these more lines under `[tls]`.
fn host(pair: &Pair, more: &str) -> HostBuilder {
    let file = format!("{}[tls]\ncertificate = 'host.pem'\nkey = 'host.key'\n{more}\n", users());
    HostBuilder::samples().file("host.pem", &pair.certificate).file("host.key", &pair.key).file("larder.toml", &file)
}

/// Asks for the metrics over RESP instead of HTTP, which speaks TLS here.
fn reloads(host: &Host) -> usize {
    host.log().matches("the settings were read again").count()
}

fn reload(host: &Host) {
    let before = reloads(host);
    signal(host.pid(), "HUP");
    wait_until("the settings are read again", || reloads(host) > before);
}

#[test]
fn both_front_ends_speak_tls_and_nothing_else() {
    let authority = Authority::new();
    let host = host(&authority.sign("larder.test"), "").start();
    let client = authority.client(None);
    let mut lines = Lines::new(connect(host.resp, "larder.test", &client));
    assert_eq!(lines.ask(&format!("AUTH writer {WRITER}")), "+OK");
    // More than TLS and the sockets hold at once, both ways, several times over a pipeline.
    let value = "v".repeat(5_000_000);
    for _ in 0..2 {
        assert_eq!(lines.ask(&format!("SET profile:user:1 {value}")), "+OK");
        lines.send(b"GET profile:user:1\r\nGET profile:user:1\r\nGET profile:user:1\r\n");
        for _ in 0..3 {
            assert!(lines.answer() == value, "the whole value comes back");
        }
    }
    let mut stream = connect(host.http, "larder.test", &client);
    let (status, _, body) = exchange(&mut stream, "GET", "/v1/cache/profile/user:1", &bearer(WRITER), b"");
    assert!(status == 200 && body == value.as_bytes());

    // Who speaks no TLS is told nothing and gone; who trusts another authority gives up itself.
    for addr in [host.resp, host.http] {
        let mut plain = TcpStream::connect(addr).unwrap();
        plain.set_read_timeout(Some(PATIENCE)).unwrap();
        plain.write_all(b"GET / HTTP/1.1\r\nhost: x\r\n\r\n").unwrap();
        let mut said = Vec::new();
        let _ = plain.read_to_end(&mut said);
        assert!(!said.starts_with(b"HTTP") && !said.starts_with(b"-"), "{said:?}");
        let mut distrusting = connect(addr, "larder.test", &Authority::new().client(None));
        assert!(distrusting.write_all(b"PING\r\n").and_then(|()| distrusting.flush()).is_err());
    }
    assert_eq!(lines.ask("PING"), "+PONG", "others are not disturbed");
}

#[test]
fn a_new_certificate_is_taken_up_and_a_broken_one_is_not() {
    let authority = Authority::new();
    let host = host(&authority.sign("larder.test"), "").start();
    let client = authority.client(None);
    let serves = |name: &str| {
        let mut stream = connect(host.resp, name, &client);
        stream.write_all(b"PING\r\n").and_then(|()| stream.flush()).and_then(|()| stream.read(&mut [0; 16])).is_ok()
    };
    assert!(serves("larder.test") && !serves("renewed.test"));
    let mut old = Lines::new(connect(host.resp, "larder.test", &client));
    assert_eq!(old.ask(&format!("AUTH writer {WRITER}")), "+OK");

    let renewed = authority.sign("renewed.test");
    host.file("host.pem", &renewed.certificate);
    reload(&host);
    assert!(serves("larder.test"), "a certificate without its key does not serve, so the one before does");
    assert!(host.log().contains("tls.certificate and tls.key do not serve"), "{}", host.log());
    host.file("host.key", &renewed.key);
    reload(&host);
    assert!(serves("renewed.test") && !serves("larder.test"));
    assert_eq!(old.ask("PING"), "+PONG", "who is connected stays so");
    host.file("host.pem", "nothing");
    reload(&host);
    assert!(serves("renewed.test"));
}

#[test]
fn clients_are_known_by_their_certificates() {
    let (authority, other) = (Authority::new(), Authority::new());
    let more = "client_ca = 'clients.pem'\nclients = 'require'\n\
                [[users]]\nname = 'orders'\ncertificate = 'orders.test'\nrole = 'none'\ndomains.profile = 'write'";
    let host = host(&authority.sign("larder.test"), more).file("clients.pem", &authority.pem).start();
    let open = |pair: Option<&Pair>| connect(host.resp, "larder.test", &authority.client(pair));
    let refused = |pair: Option<&Pair>| {
        let mut stream = open(pair);
        let sent = stream.write_all(b"PING\r\n").and_then(|()| stream.flush());
        sent.and_then(|()| stream.read(&mut [0; 16])).is_err()
    };
    assert!(refused(None), "without a certificate");
    assert!(refused(Some(&other.sign("orders.test"))), "of somebody else");
    assert!(refused(Some(&authority.sign_until("orders.test", 2001))), "whose time is over");

    let mut orders = Lines::new(open(Some(&authority.sign("orders.test"))));
    assert_eq!(orders.ask("SET profile:user:1 x"), "+OK");
    assert!(orders.ask("GET session:1").starts_with("-NOPERM"));
    assert_eq!(orders.ask("RESET"), "+RESET");
    assert_eq!(orders.ask("GET profile:user:1"), "x", "it still is who it is");
    let mut unknown = Lines::new(open(Some(&authority.sign("unknown.test"))));
    assert_eq!(unknown.ask("GET profile:user:1"), "-NOAUTH Authentication required.");
    assert_eq!(unknown.ask(&format!("AUTH writer {WRITER}")), "+OK");

    let mut stream = connect(host.http, "larder.test", &authority.client(Some(&authority.sign("orders.test"))));
    assert_eq!(exchange(&mut stream, "GET", "/v1/cache/profile/user:1", "", b"").0, 200);
    let mut stream = connect(host.http, "larder.test", &authority.client(Some(&authority.sign("orders.test"))));
    assert_eq!(exchange(&mut stream, "GET", "/v1/cache/session/1", "", b"").0, 403);
}

#[test]
fn a_certificate_that_cannot_serve_ends_the_start() {
    let pair = Authority::new().sign("larder.test");
    let broken = Pair { certificate: "nothing".into(), ..pair.clone() };
    for (pair, says) in [
        (broken, "tls.certificate: the file host.pem cannot be used: it holds no certificate"),
        (Pair { key: "nothing".into(), ..pair.clone() }, "tls.key: the file host.key cannot be used"),
        (Pair { key: Authority::new().sign("x.test").key, ..pair }, "tls.certificate and tls.key do not serve"),
    ] {
        let said = host(&pair, "").try_start().err().unwrap();
        assert!(said.contains(says), "{said}");
    }
}
