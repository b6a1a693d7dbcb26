//! Commands that Larder has no rules for: forwarded to a real Redis, in `default` alone, with Redis' own answers.

mod blocking;
mod busy;
mod confined;
mod databases;
mod entries;
mod moved;
mod pipelined;
mod published;
mod queued;
mod sequence;

use std::sync::Arc;

use larder::engine::forward::ForwardRules;
use larder::ports::clock::VirtualClock;
use larder::ports::policy::Lifetime;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};

use crate::support::engine::World;
use crate::support::redis::RedisServer;
use crate::support::resp::{Client, Host, frame};

/// A host in front of a Redis, with `default` and an enveloped domain `profile`.
async fn host(server: &RedisServer, rules: ForwardRules) -> Host {
    let clock = Arc::new(VirtualClock::new(1_000_000_000_000, 7));
    let world = World::forwarding(Arc::new(server.store()), clock, rules);
    world.default_domain();
    world.enveloped("profile", Lifetime::fresh(Some(60_000)));
    Host::start(world).await
}

async fn direct(server: &RedisServer) -> Client {
    Client::of(("127.0.0.1", server.port())).await
}

/// Every line has the same answer as from a Redis, in both protocols.
async fn check(lines: &str) {
    let (behind, beside) = (RedisServer::start(), RedisServer::start());
    let host = host(&behind, ForwardRules::default()).await;
    for hello in ["HELLO 2", "HELLO 3"] {
        behind.flush();
        beside.flush();
        let (mut through, mut straight) = (host.connect().await, direct(&beside).await);
        through.line(hello).await;
        straight.line(hello).await;
        for line in lines.lines().map(str::trim).filter(|line| !line.is_empty()) {
            let (told, expect) = (through.line(line).await, straight.line(line).await);
            assert!(is_same(&told, &expect), "{hello}: {line}: {told} for {expect}");
        }
    }
    assert!(host.stop().await);
}

#[tokio::test]
async fn answers_are_those_of_redis() {
    check(LINES).await;
}

/// Whether two answers are the same. A double of RESP3 may be written with more digits than tell it from all others.
fn is_same(told: &str, expect: &str) -> bool {
    let parts = |text: &str| text.split([' ', '[', ']', '{', '}', '~', ':']).map(str::to_owned).collect::<Vec<_>>();
    let number = |text: &str| text.trim_end_matches(',').strip_prefix(',')?.parse::<f64>().ok();
    let (told, expect) = (parts(told), parts(expect));
    told.len() == expect.len()
        && told.iter().zip(&expect).all(|(a, b)| a == b || number(a).is_some_and(|a| Some(a) == number(b)))
}

const LINES: &str = "
    ZADD z 1 a 2.5 b 3 c
    ZADD z NX INCR 1 a
    ZSCORE z b
    ZMSCORE z a nothing b
    ZINCRBY z 0.25 a
    ZRANGE z 0 -1 WITHSCORES
    ZRANGEBYSCORE z (1 +inf WITHSCORES LIMIT 0 1
    ZRANK z nothing
    ZUNION 2 z y WITHSCORES
    ZUNIONSTORE u 2 z y WEIGHTS 2 1
    ZPOPMIN u 2
    ZPOPMAX u
    ZMPOP 2 y u MIN
    ZCOUNT z -inf +inf
    ZRANDMEMBER none 3
    XADD s 1-1 f v
    XADD s 1-2 f w g x
    XLEN s
    XRANGE s - +
    XREAD COUNT 1 STREAMS s 0
    XREAD STREAMS s $
    XGROUP CREATE s g 0
    XREADGROUP GROUP g me STREAMS s >
    XPENDING s g
    XDEL s 1-1
    XREADGROUP GROUP g me STREAMS s 0
    XREADGROUP GROUP g me STREAMS s 1-2
    XACK s g 1-1
    XACK s g 1-2
    XPENDING s g
    XPENDING s g - + 1
    XINFO GROUPS s
    XINFO NONSENSE s
    SETBIT b 7 1
    GETBIT b 7
    BITCOUNT b
    BITPOS b 1
    BITFIELD b GET u8 0
    BITOP NOT c b
    GEOADD g 13.361389 38.115556 Palermo 15.087269 37.502669 Catania
    GEODIST g Palermo Catania km
    GEOPOS g Palermo nowhere
    GEOPOS nothing a b
    GEOSEARCH g FROMMEMBER Palermo BYRADIUS 200 km ASC WITHDIST
    PFADD h a b c
    PFCOUNT h
    PFMERGE hh h
    SORT z DESC ALPHA
    EVAL return(redis.call('set',KEYS[1],ARGV[1])) 1 e v
    EVAL return({1,2,{3,'x',false}}) 0
    EVAL return(redis.error_reply('MINE')) 0
    EVAL return(redis.error_reply('ERR\\32\\255.')) 0
    EVAL return(redis.status_reply('\\255.')) 0
    EVAL return(loadstring('return'..('{'):rep(150)..('}'):rep(150))()) 0
    EVAL redis.setresp(3);return({map={a=1}}) 0
    EVAL redis.setresp(3);return({double=1.5}) 0
    EVAL return 2 a
    EVAL return -1 a
    EVAL return word a
    EVALSHA ffffffffffffffffffffffffffffffffffffffff 3 a
    FCALL f word a
    FCALL f -1 a
    FCALL_RO f 2 a
    SINTERCARD 0 a
    SINTERCARD 3 a
    LMPOP 0 a LEFT
    LMPOP 1 a
    BLMPOP 0.01 -1 a LEFT
    BLMPOP 0.01 5 a LEFT
    ZMPOP word a MIN
    ZMPOP 2 a MIN
    BZMPOP 0.01 0 a MIN
    BZMPOP 0.01 2 a
    ZUNION 0 a
    ZUNION word a
    ZINTER 3 a
    ZDIFF -1 a
    ZINTERCARD 0 a
    ZINTERCARD 2 a
    ZUNIONSTORE d 0 a
    ZINTERSTORE d word a
    ZDIFFSTORE d 3 a
    XREAD COUNT 1
    XREADGROUP GROUP g me
    EVALSHA ffffffffffffffffffffffffffffffffffffffff 0
    SCRIPT LOAD return(7)
    SCRIPT EXISTS 4ca238f611c9d0ae4e9a75a5dbac22aedc1e44c0 ffffffffffffffffffffffffffffffffffffffff
    PUBLISH nobody hello
    PUBSUB NUMSUB nobody
    DUMP nothing
    ZADD z
    ZADD z x y
    ZADD e 1 a
    XADD s 0-1 f v
    BLPOP none 0.01
    LOLWUT nonsense
    NONSENSE a b
";

/// In RESP2 the nothing of a list is another one than that of a string: libraries make an empty list of the one and no value of the other.
#[tokio::test]
async fn each_nothing_is_that_of_redis() {
    let (behind, beside) = (RedisServer::start(), RedisServer::start());
    let host = host(&behind, ForwardRules::default()).await;
    let lines = "XADD s 1-1 f v
        XGROUP CREATE s g 0
        XPENDING s g
        XREADGROUP GROUP g me STREAMS s >
        XDEL s 1-1
        XREADGROUP GROUP g me STREAMS s 0
        XREADGROUP GROUP g me STREAMS s >
        XREAD STREAMS s 9
        GEOPOS none a b
        GEOHASH none a
        ZMSCORE none a b
        ZMPOP 1 none MIN
        BZMPOP 0.01 1 none MIN
        BLPOP none 0.01
        LPOP none 2
        ZRANDMEMBER none
        EVAL return{false,{false}} 0
        MULTI
        GEOPOS none a
        XREADGROUP GROUP g me STREAMS s 0
        LPOP none 2
        BLPOP none 0
        GET none
        EXEC
        ECHO end";
    let words = |line: &str| frame(&line.trim().split(' ').collect::<Vec<_>>());
    let sent: Vec<u8> = lines.lines().flat_map(words).collect();
    let [through, straight] = [host.addr, ([127, 0, 0, 1], beside.port()).into()].map(async |address| {
        let mut stream = tokio::net::TcpStream::connect(address).await.unwrap();
        stream.write_all(&sent).await.unwrap();
        let mut answers = Vec::new();
        while !answers.ends_with(b"$3\r\nend\r\n") {
            assert_ne!(stream.read_buf(&mut answers).await.unwrap(), 0, "it has ended");
        }
        String::from_utf8(answers).unwrap()
    });
    assert_eq!(through.await, straight.await);
    assert!(host.stop().await);
}

#[tokio::test]
async fn what_was_written_by_a_script_is_read_through_the_table() {
    let server = RedisServer::start();
    let host = host(&server, ForwardRules::default()).await;
    let mut client = host.connect().await;
    assert_eq!(client.line("SET k 1").await, "+OK");
    assert_eq!(client.line("GET k").await, "\"1\"");
    let answers =
        client.pipeline(&["EVAL return(redis.call('incr',KEYS[1])) 1 k", "GET k", "ZADD z 1 a", "ZCARD z"]).await;
    assert_eq!(answers, [":2", "\"2\"", ":1", ":1"]);
    assert!(host.stop().await);
}

#[tokio::test]
async fn a_server_that_is_another_one_now_is_asked_anew() {
    let mut server = RedisServer::start();
    let host = host(&server, ForwardRules::default()).await;
    let mut client = host.connect().await;
    assert_eq!(client.line("ZADD z 1 a").await, ":1");
    server.restart();
    crate::support::wait::until("the host is connected again", async || {
        (host.connect().await.line("ZCARD z").await == ":0").then_some(())
    })
    .await;
    assert!(host.stop().await);
}
