//! Word for word as a Redis.

use super::session::check;

#[tokio::test(flavor = "multi_thread")]
async fn what_does_not_go_together_is_refused_in_the_same_words() {
    let steps: Vec<String> = ["a2", "a3"]
        .into_iter()
        .flat_map(|name| {
            [
                "CLIENT TRACKING",
                "CLIENT TRACKING WORD",
                "CLIENT TRACKING ON WORD",
                "CLIENT TRACKING OFF WORD",
                "CLIENT TRACKING ON REDIRECT",
                "CLIENT TRACKING ON REDIRECT x",
                "CLIENT TRACKING ON REDIRECT 99999999",
                "CLIENT TRACKING ON REDIRECT {b2} REDIRECT {b2}",
                "CLIENT TRACKING ON PREFIX",
                "CLIENT TRACKING ON PREFIX a",
                "CLIENT TRACKING ON BCAST OPTIN",
                "CLIENT TRACKING ON BCAST OPTOUT",
                "CLIENT TRACKING ON OPTIN OPTOUT",
                "CLIENT TRACKING ON BCAST PREFIX ab PREFIX a",
                "CLIENT TRACKING ON BCAST PREFIX a PREFIX a",
                "CLIENT CACHING",
                "CLIENT CACHING YES",
                "CLIENT CACHING WORD",
                "CLIENT GETREDIR",
                "CLIENT TRACKINGINFO",
                "CLIENT TRACKINGINFO x",
                "CLIENT TRACKING OFF",
                "CLIENT TRACKING on",
                "CLIENT TRACKINGINFO",
                "CLIENT GETREDIR",
                "CLIENT CACHING YES",
                "CLIENT CACHING NO",
                "CLIENT CACHING WORD",
                "CLIENT TRACKING ON BCAST",
                "CLIENT TRACKING ON optin",
                "CLIENT TRACKINGINFO",
                "CLIENT CACHING NO",
                "CLIENT CACHING YES",
                "CLIENT TRACKINGINFO",
                "PING",
                "CLIENT TRACKINGINFO",
                "CLIENT TRACKING ON OPTOUT",
                "CLIENT TRACKING OFF",
                "CLIENT TRACKING ON OPTOUT NOLOOP",
                "CLIENT CACHING YES",
                "CLIENT CACHING NO",
                "CLIENT TRACKINGINFO",
                "CLIENT TRACKING ON OPTIN",
                "CLIENT TRACKING OFF",
                "CLIENT TRACKING ON BCAST PREFIX ab PREFIX cd NOLOOP",
                "CLIENT TRACKING ON",
                "CLIENT TRACKING ON BCAST PREFIX a",
                "CLIENT TRACKING ON BCAST PREFIX abc",
                "CLIENT TRACKINGINFO",
                "CLIENT GETREDIR",
                "RESET",
                "CLIENT TRACKINGINFO",
                "CLIENT TRACKING ON REDIRECT {b2}",
                "CLIENT GETREDIR",
                "CLIENT TRACKINGINFO",
                "CLIENT TRACKING OFF",
                "CLIENT GETREDIR",
            ]
            .map(|words| format!("{name}: {words}"))
        })
        .collect();
    check(&steps.iter().map(String::as_str).collect::<Vec<_>>()).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_other_words_of_clients() {
    check(&[
        "a3: CLIENT NO-EVICT",
        "a3: CLIENT NO-EVICT ON",
        "a3: CLIENT NO-EVICT off",
        "a3: CLIENT NO-EVICT WORD",
        "a3: CLIENT REPLY WORD",
        "a3: CLIENT REPLY ON",
        "a3: CLIENT PAUSE",
        "a3: CLIENT PAUSE x",
        "a3: CLIENT PAUSE -1",
        "a3: CLIENT PAUSE 0",
        "a3: CLIENT PAUSE 10 WORD",
        "a3: CLIENT PAUSE 0 WRITE",
        "a3: CLIENT PAUSE 0 all",
        "a3: CLIENT UNPAUSE",
        "a3: CLIENT UNPAUSE x",
        "a3: CLIENT UNPAUSE",
    ])
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn keys_that_were_read_are_told_once() {
    check(&[
        "b3: MSET k 1 l 2 m 3",
        "a3: CLIENT TRACKING ON",
        "a3: GET k",
        "b3: SET k 2",
        "a3 hears",
        // Nobody has read it since.
        "b3: SET k 3",
        "a3: MGET k l missing",
        "b3: DEL l",
        "a3 hears",
        "b3: SET missing 1",
        "a3 hears",
        "b3: EXPIRE k 100",
        "a3 hears",
        "b3: SADD s x",
        "a3: SMEMBERS s",
        "b3: SADD s y",
        "a3 hears",
        // What reads no value of a key is none the less a read of it.
        "a3: EXISTS m",
        "a3: TTL k",
        "b3: APPEND m x",
        "a3 hears",
        "b3: RENAME k k2",
        "a3 hears",
        // Its own change, after its answer.
        "a3: GET m",
        "a3: SET m 5",
        "a3 hears",
        "a3: PING",
        "a3: GET m",
        "b3: FLUSHALL",
        "a3 hears",
        "a3: GET m",
        "a3: CLIENT TRACKING OFF",
        "b3: SET m 1",
        "a3: PING",
    ])
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn own_changes_may_be_left_out() {
    check(&[
        "a3: CLIENT TRACKING ON NOLOOP",
        "a3: SET k 1",
        "a3: GET k",
        "a3: SET k 2",
        "a3: PING",
        "a3: GET l",
        "b3: SET l 1",
        "a3 hears",
        "a3: PING",
    ])
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn it_may_be_said_which_reads_count() {
    check(&[
        "a3: CLIENT TRACKING ON OPTIN",
        "a3: GET k",
        "a3: CLIENT CACHING YES",
        "a3: CLIENT ID x",
        "a3: GET l",
        "a3: GET m",
        "b3: SET k 1",
        "b3: SET m 1",
        "b3: SET l 1",
        "a3 hears",
        "a3: PING",
        // For all of a transaction.
        "a3: CLIENT CACHING YES",
        "a3: MULTI",
        "a3: GET k",
        "a3: GET l",
        "a3: EXEC",
        "a3: GET m",
        "b3: SET m 2",
        "b3: SET l 2",
        "a3 hears",
        "b3: SET k 2",
        "a3 hears",
        "a3: PING",
        "a3: CLIENT TRACKING OFF",
        "a3: CLIENT TRACKING ON OPTOUT",
        "a3: CLIENT CACHING NO",
        "a3: GET k",
        "a3: GET l",
        "b3: SET k 3",
        "b3: SET l 3",
        "a3 hears",
        "a3: PING",
    ])
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn another_connection_may_be_told() {
    check(&[
        "b2: SUBSCRIBE __redis__:invalidate",
        "a2: CLIENT TRACKING ON REDIRECT {b2}",
        "a2: CLIENT GETREDIR",
        "a2: GET k",
        "c3: SET k 1",
        "b2 hears",
        "a2: GET k",
        "c3: FLUSHALL",
        "b2 hears",
        "b2: PING",
        "b2: GET k",
        "b2: UNSUBSCRIBE __redis__:invalidate",
        "b2: PING",
        "b2: SUBSCRIBE __redis__:invalidate",
        "b2: UNSUBSCRIBE",
        "b2: UNSUBSCRIBE",
        // In RESP3 no subscription is needed.
        "a3: CLIENT TRACKING ON REDIRECT {b3}",
        "a3: GET k",
        "c3: SET k 2",
        "b3 hears",
        "b3: PING",
        "a3: GET k",
        "b3 leaves",
        "c3: SET k 3",
        "a3 hears",
        "a3: CLIENT TRACKINGINFO",
    ])
    .await;
}

/// Exact where the store is in memory; before a Redis a change through the same host may be told twice. Larder empties key by key,
/// and tells that, too.
#[tokio::test(flavor = "multi_thread")]
async fn keys_may_be_told_by_their_beginnings() {
    let straight = crate::support::redis::RedisServer::start();
    let host = super::session::within().await;
    let mut redis = super::session::Server::new(([127, 0, 0, 1], straight.port()).into());
    let mut larder = super::session::Server::new(host.addr);
    for step in [
        "a3: CLIENT TRACKING ON BCAST PREFIX user: PREFIX cart:",
        "b3: SET other 1",
        "b3: SET user:1 1",
        "a3 hears",
        "b3: SET cart:1 1",
        "a3 hears",
        "a3: SET user:1 2",
        "a3 hears",
        "a3: PING",
        "c3: CLIENT TRACKING ON BCAST NOLOOP",
        "c3: SET user:1 3",
        "a3 hears",
        "c3: PING",
        "b3: DEL user:1",
        "a3 hears",
        "c3 hears",
        "b3: DEL user:1",
        "a3: PING",
        "b3: FLUSHALL",
        "a3 hears",
        "c3 hears",
    ] {
        assert_eq!(larder.step(step).await, redis.step(step).await, "{step}");
    }
    drop(larder);
    assert!(host.stop().await);
}

/// What is not in the table of commands, and in another database; other channels beside that of invalidations.
#[tokio::test(flavor = "multi_thread")]
async fn forwarded_commands_are_tracked() {
    let (straight, behind) = (crate::support::redis::RedisServer::start(), crate::support::redis::RedisServer::start());
    let program = super::session::before(&behind);
    let mut redis = super::session::Server::new(([127, 0, 0, 1], straight.port()).into());
    let mut larder = super::session::Server::told_by(program.resp, ([127, 0, 0, 1], behind.port()).into());
    for step in [
        "b3: ZADD z 1 a",
        "a3: CLIENT TRACKING ON",
        "a3: ZRANGE z 0 -1",
        "b3: ZADD z 2 b",
        "a3 hears",
        "a3: ZRANGE z 0 -1",
        "a3: ZADD z 3 c",
        "a3 hears",
        "a3: MULTI",
        "a3: ZCARD z",
        "a3: GET k",
        "a3: EXEC",
        "b3: DEL z",
        "a3 hears",
        "b3: SET k 1",
        "a3 hears",
        "a3: PING",
        "a3: SELECT 3",
        "a3: GET k",
        "b3: SELECT 3",
        "b3: SET k 2",
        "a3 hears",
        "a3: PING",
        "c2: SUBSCRIBE one",
        "c2: SUBSCRIBE __redis__:invalidate",
        "c2: SUBSCRIBE two",
        "c2: UNSUBSCRIBE one",
        "c2: UNSUBSCRIBE __redis__:invalidate",
        "c2: UNSUBSCRIBE two",
    ] {
        assert_eq!(larder.step(step).await, redis.step(step).await, "{step}");
    }
}
