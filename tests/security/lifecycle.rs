//! How a host begins and ends.

use super::{Lines, guarded};
use crate::support::host::{HostBuilder, sample, signal, wait_until};

#[test]
fn an_address_that_others_reach_wants_somebody_to_say_who_they_are() {
    let reachable = || HostBuilder::samples().set("resp.address", "0.0.0.0:0").set("http.address", "127.0.0.1:0");
    let said = reachable().try_start().err().unwrap();
    assert!(said.contains("other machines reach 0.0.0.0:0") && said.contains("auth.open = true"), "{said}");
    assert!(reachable().set("auth.open", "true").try_start().is_ok());
    let host = reachable().env("LARDER_PASSWORD", "a-password").start();
    let mut client = Lines::connect(([127, 0, 0, 1], host.resp.port()).into());
    assert_eq!(client.ask("GET x"), "-NOAUTH Authentication required.");
    assert_eq!(client.ask("AUTH a-password"), "+OK");
    assert_eq!(host.http("GET", "/v1/policies", "", b"").0, 401, "HTTP as well");
    assert_eq!(host.http("GET", "/v1/policies", &super::bearer("a-password"), b"").0, 200);
}

#[test]
fn a_drain_says_first_that_the_host_is_not_ready() {
    let host = HostBuilder::samples().set("drain.delay", "2s").start();
    let mut client = Lines::connect(host.resp);
    assert_eq!(host.http("GET", "/readyz", "", b"").0, 200);
    signal(host.pid(), "TERM");
    wait_until("it is not ready", || host.http("GET", "/readyz", "", b"").0 == 503);
    // Until then everybody is served, new clients too.
    assert_eq!(client.ask("SET session:1 x"), "+OK");
    assert_eq!(Lines::connect(host.resp).ask("GET session:1"), "x");
    let (status, _, said) = host.http("GET", "/readyz", "", b"");
    assert!(status == 503 && String::from_utf8(said).unwrap().contains("shutting-down"));
    assert_eq!(host.http("GET", "/healthz", "", b"").0, 200);
    assert!(client.ended(), "an idle client is let go");
    assert_eq!(host.code(), Some(0));
}

#[test]
fn a_drain_ends_though_a_client_does_not() {
    let host = HostBuilder::samples().set("drain.timeout", "200ms").start();
    let mut waiting = Lines::connect(host.resp);
    let mut holder = Lines::connect(host.resp);
    assert!(holder.ask("LARDER.LOCK ACQUIRE l TTL 60000").starts_with('*'));
    waiting.send(b"LARDER.LOCK ACQUIRE l WAIT 60000\r\n");
    // It is at work once the connection after it is served.
    assert_eq!(Lines::connect(host.resp).ask("PING"), "+PONG");
    signal(host.pid(), "TERM");
    assert!(waiting.ended());
    assert_eq!(host.code(), Some(0));
}

#[test]
fn who_asks_twice_is_obeyed_at_once() {
    let host = HostBuilder::samples().set("drain.delay", "1h").start();
    signal(host.pid(), "TERM");
    wait_until("it is not ready", || host.http("GET", "/readyz", "", b"").0 == 503);
    signal(host.pid(), "TERM");
    assert_eq!(host.code(), Some(143));
}

#[test]
fn two_hosts_do_not_share_a_state_folder() {
    let state = tempfile::TempDir::new().unwrap();
    let with_state =
        || HostBuilder::new().policy("default", &sample("default")).set("state.folder", state.path().to_str().unwrap());
    let first = with_state().start();
    let said = with_state().try_start().err().unwrap();
    let expect = format!("is another host's (process {}); give each host its own with --state", first.pid());
    assert!(said.contains(&expect), "{said}");
    assert_eq!(Lines::connect(first.resp).ask("PING"), "+PONG");
    signal(first.pid(), "KILL");
    assert_eq!(first.code(), None);
    assert!(with_state().try_start().is_ok(), "a host that was killed leaves it free");
}

#[test]
fn settings_that_are_wrong_end_the_start_with_their_line() {
    let said = guarded().file("larder.toml", "[resp]\n\nconections_max = 5\n").try_start().err().unwrap();
    let expect = "larder.toml:3: there is no setting 'resp.conections_max'; did you mean 'resp.connections_max'?";
    assert!(said.contains(expect), "{said}");
}

#[test]
fn the_first_users_variables_turn_metrics_off() {
    let host = HostBuilder::samples().env("CACHE_METRICS_ENABLED", "false").start();
    assert_eq!(host.http("GET", "/metrics", "", b"").0, 404);
    host.waits_to_log("\"allowed\":");
}
