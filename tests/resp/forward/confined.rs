//! What is not forwarded: keys of others, what concerns all users, what there is no Redis for.

use larder::config::secret::Secret;
use larder::config::users::User;
use larder::engine::forward::ForwardRules;

use super::host;
use crate::support::redis::RedisServer;
use crate::support::resp::{Client, Host};

async fn check(client: &mut Client, lines: &[(&str, &str)]) {
    for (line, expect) in lines {
        let answer = client.line(line).await;
        assert!(answer.starts_with("-ERR ") && answer.contains(expect), "{line}: {answer}");
    }
}

#[tokio::test]
async fn keys_of_other_domains_are_out_of_reach() {
    let server = RedisServer::start();
    let host = host(&server, ForwardRules::default()).await;
    let mut client = host.connect().await;
    assert_eq!(client.line("SET profile:1 secret").await, "+OK");
    assert_eq!(server.cli(&["EXISTS", "chat:v1:profile:1"]), "1");
    check(
        &mut client,
        &[
            ("ZADD profile:z 1 a", "the domain 'default' alone allows; the key 'profile:z' is of the domain 'profile'"),
            ("GETBIT chat:v1:profile:1 0", "is a storage key of the domain 'profile'"),
            ("BITOP NOT b chat:v1:profile:1", "is a storage key of the domain 'profile'"),
            ("ZUNION 2 z chat:v9:profile:1", "is a storage key of the domain 'profile'"),
            ("XREAD BLOCK 0 STREAMS ok chat:v1:profile:1 $ $", "is a storage key of the domain 'profile'"),
            ("EVAL return(redis.call('get',KEYS[1])) 1 chat:v1:profile:1", "is a storage key"),
            ("BLPOP ok chat:v1:profile:1 0", "is a storage key"),
            ("DUMP {chat:generation:profile}", "are the host's own"),
            ("EVAL return(1) 2 a {chat:lock}", "are the host's own"),
            ("SORT l BY chat:v1:profile:*", "may lead to keys of other domains"),
            ("SORT l BY nosort GET *", "may lead to keys of other domains"),
            ("SORT l GET {chat:* STORE x", "may lead to keys of other domains"),
            ("PUBLISH {chat:forward} x", "are the host's own"),
        ],
    )
    .await;
    assert_eq!(client.line("SORT l BY weight_* GET #").await, "[]");
    assert!(host.stop().await);
}

#[tokio::test]
async fn what_concerns_all_users_needs_an_operators_word() {
    let server = RedisServer::start();
    let refuses = host(&server, ForwardRules::default()).await;
    let mut client = refuses.connect().await;
    let not = "is not forwarded to Redis: it concerns all users of the store";
    for line in [
        "DEBUG SLEEP 0",
        "SHUTDOWN",
        "REPLICAOF NO ONE",
        "SAVE",
        "FUNCTION FLUSH",
        "ACL LIST",
        "CLUSTER RESET",
        "MIGRATE h 1 k 0 1",
        "RESTORE k 0 x",
        "SCRIPT FLUSH",
        "SLOWLOG GET",
        "LATENCY RESET",
        "MODULE UNLOAD x",
        "FAILOVER",
    ] {
        check(&mut client, &[(line, not)]).await;
    }
    check(&mut client, &[("READONLY", "concerns a connection"), ("ASKING", "concerns a connection")]).await;
    assert!(refuses.stop().await);

    let rules = ForwardRules {
        allow: vec!["script|flush".into(), "slowlog".into()],
        deny: vec!["zadd".into(), "subscribe".into()],
    };
    let allows = host(&server, rules).await;
    let mut client = allows.connect().await;
    assert_eq!(client.line("SCRIPT FLUSH").await, "+OK");
    assert_eq!(client.line("SLOWLOG RESET").await, "+OK");
    check(
        &mut client,
        &[("SCRIPT KILL", not), ("ZADD z 1 a", "(forward.deny) say so"), ("SUBSCRIBE c", "(forward.deny) say so")],
    )
    .await;
    assert_eq!(client.line("PING").await, "+PONG");
    assert!(allows.stop().await);
}

#[tokio::test]
async fn a_store_in_memory_says_what_it_lacks() {
    let host = Host::start(crate::resp::world()).await;
    let mut client = host.connect().await;
    let needs = "needs a Redis store: it is forwarded, and this host keeps its data in memory";
    for line in ["ZADD z 1 a", "eval return(1) 0", "XADD s * f v", "BLPOP l 0", "SUBSCRIBE c", "PUBLISH c m"] {
        check(&mut client, &[(line, needs)]).await;
    }
    assert!(client.line("NONSENSE").await.starts_with("-ERR unknown command 'NONSENSE'"));
    assert!(host.stop().await);
}

#[tokio::test]
async fn a_password_comes_first() {
    let server = RedisServer::start();
    let clock = std::sync::Arc::new(larder::ports::clock::VirtualClock::new(1_000_000_000_000, 7));
    let store = std::sync::Arc::new(server.store());
    let world = crate::support::engine::World::forwarding(store, clock, ForwardRules::default());
    world.default_domain();
    let config = larder::wire::resp::RespConfig::default();
    config.front.gate.replace(&[User::all_powerful(Secret::of(b"secret"))]);
    let host = Host::start_with(world, config).await;
    let mut client = host.connect().await;
    assert_eq!(client.line("ZADD z 1 a").await, "-NOAUTH Authentication required.");
    assert_eq!(client.line("SUBSCRIBE c").await, "-NOAUTH Authentication required.");
    assert_eq!(client.line("AUTH secret").await, "+OK");
    assert_eq!(client.line("ZADD z 1 a").await, ":1");
    assert!(host.stop().await);
}
