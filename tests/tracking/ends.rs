//! What ends a copy in a client, beside a write: time, invalidations, new rules, lost coherence; and who may be told of what.

use std::time::Duration;

use larder::config::secret::Secret;
use larder::ports::policy::{Encoding, Lifetime};

use super::session::{before, follows};
use crate::support::engine::{World, description, tagged};
use crate::support::host::{HostBuilder, OPERATOR, sample, variant};
use crate::support::redis::RedisServer;
use crate::support::resp::{Client, Host};

/// The engine looks after what has ended when a program lets it; here, when a test does.
#[tokio::test(flavor = "multi_thread")]
async fn time_ends_what_is_fresh() {
    let world = World::new();
    let lifetime = Lifetime { stale_while_revalidate_ms: 60_000, ..Lifetime::fresh(Some(60_000)) };
    world.default_domain();
    world.enveloped("profile", lifetime);
    let engine = world.engine.clone();
    let host = Host::start(world).await;
    let (mut client, mut other) = (host.connect().await, host.connect().await);
    client.line("HELLO 3").await;
    assert_eq!(client.line("CLIENT TRACKING ON").await, "+OK");
    other.pipeline(&["SET profile:1 x", "SET plain x PX 60000"]).await;
    assert_eq!(client.line("MGET profile:1 plain").await, "[\"x\", \"x\"]");
    host.clock.advance_ms(59_999);
    engine.look_after_trackers();
    assert_eq!(client.line("PING").await, "+PONG", "nothing is told before");
    host.clock.advance_ms(1);
    engine.look_after_trackers();
    assert_eq!(client.answer().await, ">[\"invalidate\", [\"profile:1\"]]");
    // What is stale is not for keeping.
    assert_eq!(client.line("GET profile:1").await, "\"x\"");
    assert_eq!(client.answer().await, ">[\"invalidate\", [\"profile:1\"]]");
    // The memory store tells what it removes.
    host.clock.advance_ms(1);
    assert_eq!(other.line("GET plain").await, "nil");
    assert_eq!(client.answer().await, ">[\"invalidate\", [\"plain\"]]");
    assert!(host.stop().await);
}

#[tokio::test(flavor = "multi_thread")]
async fn invalidations_end_what_they_name() {
    let world = World::new();
    world.default_domain();
    world.go_live("profile", description(Encoding::Enveloped), tagged(Lifetime::fresh(None)));
    let host = Host::start(world).await;
    let (mut client, mut other) = (host.connect().await, host.connect().await);
    client.line("HELLO 3").await;
    client.line("CLIENT TRACKING ON").await;
    other.line("MSET profile:1@red x profile:2@blue x profile:3 x plain x").await;
    let read = "MGET profile:1@red profile:2@blue profile:3 plain";
    let heard = |key: &str| format!(">[\"invalidate\", [\"{key}\"]]");
    client.line(read).await;
    assert_eq!(other.line("LARDER.INVALIDATE TAG profile red").await, "+OK");
    assert_eq!(client.answer().await, heard("profile:1@red"));
    assert_eq!(other.line("LARDER.INVALIDATE TAG profile blue SOFT").await, "+OK");
    assert_eq!(client.answer().await, heard("profile:2@blue"));
    assert_eq!(other.line("LARDER.INVALIDATE KEY profile:3").await, ":1");
    assert_eq!(client.answer().await, heard("profile:3"));
    assert_eq!(client.line("PING").await, "+PONG", "nothing else");
    other.line("MSET profile:1@red x profile:2@blue x profile:3 x").await;
    for all in ["PREFIX profile 1", "DOMAIN profile"] {
        client.line("GET profile:3").await;
        other.line(&format!("LARDER.INVALIDATE {all}")).await;
        assert_eq!(client.answer().await, heard("profile:3"), "{all}");
        other.line("SET profile:3 x").await;
    }
    other.line("SET plain y").await;
    assert_eq!(client.answer().await, heard("plain"));
    assert!(host.stop().await);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_domain_that_comes_or_goes_ends_all() {
    let world = World::new();
    world.default_domain();
    world.enveloped("profile", Lifetime::fresh(None));
    let (engine, policies) = (world.engine.clone(), world.policies.clone());
    let host = Host::start(world).await;
    let mut client = host.connect().await;
    client.line("HELLO 3").await;
    client.line("CLIENT TRACKING ON").await;
    client.line("MGET profile:1 plain").await;
    policies.replace(|table| table.without("profile"));
    engine.look_after_trackers();
    assert_eq!(client.answer().await, ">[\"invalidate\", null]");
    assert!(host.stop().await);
}

fn heard(key: &str) -> String {
    format!(">[\"invalidate\", [\"{key}\"]]")
}

/// A client that tracks, and has read these keys since nothing was under way.
async fn reader(addr: std::net::SocketAddr, keys: &[&str]) -> Client {
    let mut client = Client::of(addr).await;
    client.line("HELLO 3").await;
    assert_eq!(client.line("CLIENT TRACKING ON").await, "+OK");
    for key in keys {
        client.line(&format!("GET {key}")).await;
    }
    client
}

/// Reads a key until it is not told at once that it may not be kept: what was changed just before may yet be told.
async fn keeps(client: &mut Client, key: &str) -> String {
    loop {
        let value = client.line(&format!("GET {key}")).await;
        tokio::time::sleep(Duration::from_millis(20)).await;
        client.send(crate::support::resp::frame(&["ECHO", "so far"])).await;
        let next = client.answer().await;
        if next == "\"so far\"" {
            return value;
        }
        while client.answer().await != "\"so far\"" {}
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_anybody_does_to_the_redis_is_told() {
    let redis = RedisServer::start();
    let (one, other) = (before(&redis), before(&redis));
    redis.cli(&["SET", "plain", "1"]);
    redis.cli(&["SET", "chat:v1:presence:1", "1"]);
    let keys = ["plain", "presence:1", "profile:user:1"];
    let mut client = reader(one.resp, &[]).await;
    let mut writer = Client::of(other.resp).await;
    for key in keys {
        // By another host, and by this one over HTTP.
        keeps(&mut client, key).await;
        assert_eq!(writer.line(&format!("SET {key} 2")).await, "+OK");
        assert_eq!(client.answer().await, heard(key));
        assert_eq!(keeps(&mut client, key).await, "\"2\"");
        let (domain, name) = key.split_once(':').unwrap_or(("default", key));
        let (status, ..) = one.http("PUT", &format!("/v1/cache/{domain}/{name}"), "", b"3");
        assert!(status < 300, "{status}");
        assert_eq!(client.answer().await, heard(key));
        assert_eq!(keeps(&mut client, key).await, "\"3\"");
    }
    // Straight in the Redis, by time, and by eviction's like.
    redis.cli(&["SET", "plain", "4"]);
    assert_eq!(client.answer().await, heard("plain"));
    redis.cli(&["SET", "plain", "5", "PX", "300"]);
    assert_eq!(keeps(&mut client, "presence:1").await, "\"3\"");
    client.line("GET plain").await;
    assert_eq!(client.answer().await, heard("plain"));
    redis.cli(&["DEL", "chat:v1:presence:1"]);
    assert_eq!(client.answer().await, heard("presence:1"));
    // What another host invalidates, by whatever name.
    for what in ["DOMAIN profile", "PREFIX profile user", "KEY profile:user:1"] {
        keeps(&mut client, "profile:user:1").await;
        writer.line(&format!("LARDER.INVALIDATE {what}")).await;
        assert_eq!(client.answer().await, heard("profile:user:1"), "{what}");
        writer.line("SET profile:user:1 1").await;
    }
    redis.cli(&["FLUSHALL"]);
    assert_eq!(client.answer().await, ">[\"invalidate\", null]");
}

#[tokio::test(flavor = "multi_thread")]
async fn new_rules_end_the_copies_of_their_domain() {
    let redis = RedisServer::start();
    let host = before(&redis);
    let mut client = reader(host.resp, &["plain", "presence:1"]).await;
    host.put("presence.wasm", &variant(&sample("presence"), 1));
    assert_eq!(client.answer().await, heard("presence:1"));
    assert_eq!(client.line("PING").await, "+PONG");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stream_that_is_lost_ends_all() {
    let mut redis = RedisServer::start();
    let host = before(&redis);
    let mut client = reader(host.resp, &["plain"]).await;
    let mut by_prefix = Client::of(host.resp).await;
    by_prefix.line("HELLO 3").await;
    by_prefix.line("CLIENT TRACKING ON BCAST PREFIX p").await;
    let list = redis.cli(&["CLIENT", "LIST"]);
    let line = list.lines().find(|line| line.contains(" flags=tB ")).expect("it follows");
    let id = line.split_whitespace().next().unwrap().strip_prefix("id=").unwrap();
    redis.cli(&["CLIENT", "KILL", "ID", id]);
    let all = ">[\"invalidate\", null]";
    assert_eq!(client.answer().await, all);
    assert_eq!(by_prefix.answer().await, all);
    // And once more when it goes on: what was read meanwhile nobody has followed.
    assert_eq!(client.answer().await, all);
    follows(&host);
    redis.restart();
    assert_eq!(client.answer().await, all);
}

#[tokio::test(flavor = "multi_thread")]
async fn where_nobody_tells_of_changes_there_is_no_tracking() {
    let redis = RedisServer::start();
    for settings in [["l1.coherence", "bound"], ["l1.size", "0"]] {
        let host = HostBuilder::new().sample("default").arg("--store").arg(redis.url());
        let host = host.set(settings[0], settings[1]).start();
        let mut client = Client::of(host.resp).await;
        let answer = client.line("CLIENT TRACKING ON").await;
        assert!(answer.starts_with("-ERR CLIENT TRACKING is not possible now"), "{answer}");
        assert!(client.line("CLIENT INFO").await.contains(" flags=N "));
    }
}

/// What lists and figures say of it, and that it ends with its connection.
#[tokio::test(flavor = "multi_thread")]
async fn it_is_shown_while_it_lasts() {
    let host = super::session::within().await;
    let (mut client, mut other) = (host.connect().await, host.connect().await);
    let line = |text: &str, name: &str| {
        let found = text.split("\r\n").chain(text.split(' ')).find(|part| part.starts_with(name));
        found.unwrap_or_else(|| panic!("no {name} in {text}")).to_owned()
    };
    client.line("HELLO 3").await;
    client.line("CLIENT TRACKING ON").await;
    client.line("MGET a b").await;
    other.line("CLIENT TRACKING ON BCAST PREFIX x PREFIX y").await;
    assert_eq!(line(&client.line("CLIENT INFO").await, "flags="), "flags=t");
    assert_eq!(line(&other.line("CLIENT INFO").await, "flags="), "flags=tB");
    assert_eq!(line(&other.line("CLIENT INFO").await, "redir="), "redir=0");
    let info = other.line("INFO").await;
    for expected in
        ["tracking_clients:2", "tracking_total_keys:2", "tracking_total_items:2", "tracking_total_prefixes:2"]
    {
        assert_eq!(line(&info, expected.split_once(':').unwrap().0), expected);
    }
    assert!(host.metrics.tracking.bytes.get() > 0);
    other.line("RESET").await;
    assert_eq!(line(&other.line("CLIENT INFO").await, "flags="), "flags=N");
    client.line("QUIT").await;
    assert!(client.ended().await);
    while line(&other.line("INFO clients").await, "tracking_clients") != "tracking_clients:0" {}
    let info = other.line("INFO stats").await;
    assert!(info.contains("tracking_total_keys:0\r\n"), "{info}");
    assert_eq!(host.metrics.tracking.bytes.get(), 0);
    assert!(host.stop().await);
}

/// Who may read one domain hears of no key of another, by whatever beginning.
#[tokio::test(flavor = "multi_thread")]
async fn nobody_hears_of_what_it_may_not_read() {
    let user = |name: &str, token: &str, more: &str| {
        let secret = Secret::of(token.as_bytes()).written();
        format!("[[users]]\nname = '{name}'\nsecret = '{secret}'\n{more}\n")
    };
    let token = "limited-0123456789abcdef";
    let users = user("operator", OPERATOR, "role = 'admin'")
        + &user("limited", token, "role = 'none'\ndomains = { presence = 'read' }");
    let host = HostBuilder::new().sample("default").sample("presence").sample("session").file("larder.toml", &users);
    let host = host.start();
    let (mut operator, mut limited) = (Client::of(host.resp).await, Client::of(host.resp).await);
    assert_eq!(operator.line(&format!("AUTH operator {OPERATOR}")).await, "+OK");
    limited.line(&format!("HELLO 3 AUTH limited {token}")).await;
    assert_eq!(limited.line("CLIENT TRACKING ON BCAST").await, "+OK");
    operator.pipeline(&["SET session:1 x", "SET plain x", "SET presence:1 x"]).await;
    assert_eq!(limited.answer().await, heard("presence:1"));
    assert_eq!(limited.line("GET session:1").await.split(' ').next(), Some("-NOPERM"));
    assert_eq!(limited.line("CLIENT PAUSE 1").await.split(' ').next(), Some("-NOPERM"));
    // In RESP2, too, by the channel of this host, without a right to the channels of the Redis.
    let mut second = Client::of(host.resp).await;
    second.line(&format!("AUTH limited {token}")).await;
    let id = second.line("CLIENT ID").await;
    assert_eq!(second.line("SUBSCRIBE __redis__:invalidate").await, "[\"subscribe\", \"__redis__:invalidate\", :1]");
    let mut third = Client::of(host.resp).await;
    third.line(&format!("AUTH limited {token}")).await;
    assert_eq!(third.line(&format!("CLIENT TRACKING ON REDIRECT {}", &id[1..])).await, "+OK");
    third.line("GET presence:2").await;
    operator.line("SET presence:2 x").await;
    assert_eq!(second.answer().await, "[\"message\", \"__redis__:invalidate\", [\"presence:2\"]]");
}
