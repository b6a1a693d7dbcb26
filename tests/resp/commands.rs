//! What each command answers: byte for byte what Redis 7.0.15 does, but for the time and for what Larder has more or less of.

use larder::ports::metrics::State;
use larder::ports::policy::Operation;

use super::host;

/// Sends each line and compares the answer.
#[track_caller]
fn check(lines: &[(&str, &str)]) {
    let lines: Vec<(String, String)> = lines.iter().map(|(line, answer)| ((*line).into(), (*answer).into())).collect();
    tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap().block_on(async {
        let (host, mut client) = host().await;
        for (line, answer) in &lines {
            assert_eq!(&client.line(line).await, answer, "{line}");
        }
        assert!(host.stop().await);
    });
}

const SYNTAX: &str = "-ERR syntax error";
const NOT_AN_INTEGER: &str = "-ERR value is not an integer or out of range";

#[test]
fn values() {
    check(&[
        ("GET k", "nil"),
        ("SET k v", "+OK"),
        ("GET k", "\"v\""),
        ("get k", "\"v\""),
        ("GeT k", "\"v\""),
        ("STRLEN k", ":1"),
        ("STRLEN none", ":0"),
        ("APPEND k w", ":2"),
        ("APPEND new abc", ":3"),
        ("GETSET k x", "\"vw\""),
        ("GETSET first y", "nil"),
        ("GETDEL k", "\"x\""),
        ("GETDEL k", "nil"),
        ("SETNX k 1", ":1"),
        ("SETNX k 2", ":0"),
        ("MSET a 1 b 2 a 3", "+OK"),
        ("MGET a none b a", "[\"3\", nil, \"2\", \"3\"]"),
        ("MSET a 1 b", "-ERR wrong number of arguments for 'mset' command"),
        ("EXISTS a b a none", ":3"),
        ("DEL a none a", ":1"),
        ("UNLINK b k", ":2"),
        ("TYPE first", "+string"),
        ("TYPE none", "+none"),
    ]);
}

#[test]
fn set_options() {
    check(&[
        ("SET k 1 NX", "+OK"),
        ("SET k 2 NX", "nil"),
        ("SET k 2 XX", "+OK"),
        ("SET none 2 XX", "nil"),
        ("SET k 3 GET", "\"2\""),
        ("SET k 4 NX GET", "\"3\""),
        ("SET new 4 NX GET", "nil"),
        ("GET new", "\"4\""),
        ("SET k 5 EX 10", "+OK"),
        ("TTL k", ":10"),
        ("SET k 6 KEEPTTL", "+OK"),
        ("PTTL k", ":10000"),
        ("SET k 7 PX 1500", "+OK"),
        ("TTL k", ":2"),
        ("SET k 8", "+OK"),
        ("TTL k", ":-1"),
        ("SET k 9 EXAT 1000000010", "+OK"),
        ("PTTL k", ":10000"),
        ("SET k 9 PXAT 1000000020000", "+OK"),
        ("PTTL k", ":20000"),
        ("SETEX k 30 v", "+OK"),
        ("TTL k", ":30"),
        ("PSETEX k 3000 v", "+OK"),
        ("PTTL k", ":3000"),
        ("SET k v NX XX", SYNTAX),
        ("SET k v EX", SYNTAX),
        ("SET k v EX 1 PX 1", SYNTAX),
        ("SET k v KEEPTTL EX 1", SYNTAX),
        ("SET k v nonsense", SYNTAX),
        ("SET k v EX x", NOT_AN_INTEGER),
        ("SET k v EX 0", "-ERR invalid expire time in 'set' command"),
        ("SET k v PX -1", "-ERR invalid expire time in 'set' command"),
        ("SET k v EX 9223372036854775807", "-ERR invalid expire time in 'set' command"),
        ("SETEX k 0 v", "-ERR invalid expire time in 'setex' command"),
        ("SETEX k x v", NOT_AN_INTEGER),
        ("PSETEX k -5 v", "-ERR invalid expire time in 'psetex' command"),
        ("SET k", "-ERR wrong number of arguments for 'set' command"),
    ]);
}

#[test]
fn lifetimes() {
    check(&[
        ("TTL none", ":-2"),
        ("PTTL none", ":-2"),
        ("EXPIRETIME none", ":-2"),
        ("EXPIRE none 10", ":0"),
        ("SET k v", "+OK"),
        ("TTL k", ":-1"),
        ("EXPIRETIME k", ":-1"),
        ("EXPIRE k 10 XX", ":0"),
        ("EXPIRE k 10 GT", ":0"),
        ("EXPIRE k 10 XX LT", ":0"),
        ("EXPIRE k 10 NX", ":1"),
        ("EXPIRE k 20 NX", ":0"),
        ("EXPIRE k 5 GT", ":0"),
        ("EXPIRE k 20 GT", ":1"),
        ("EXPIRE k 30 LT", ":0"),
        ("EXPIRE k 15 LT", ":1"),
        ("EXPIRE k 14 XX LT", ":1"),
        ("TTL k", ":14"),
        ("EXPIRETIME k", ":1000000014"),
        ("PEXPIRETIME k", ":1000000014000"),
        ("PEXPIRE k 1500", ":1"),
        ("PTTL k", ":1500"),
        ("EXPIREAT k 1000000100", ":1"),
        ("TTL k", ":100"),
        ("PEXPIREAT k 1000000200000", ":1"),
        ("TTL k", ":200"),
        ("PERSIST k", ":1"),
        ("PERSIST k", ":0"),
        ("PERSIST none", ":0"),
        ("GETEX k EX 10", "\"v\""),
        ("TTL k", ":10"),
        ("GETEX k", "\"v\""),
        ("TTL k", ":10"),
        ("GETEX k PERSIST", "\"v\""),
        ("TTL k", ":-1"),
        ("GETEX none EX 10", "nil"),
        ("GETEX k KEEPTTL", SYNTAX),
        ("GETEX k EX 0", "-ERR invalid expire time in 'getex' command"),
        ("EXPIRE k x", NOT_AN_INTEGER),
        ("EXPIRE k 9223372036854775807", "-ERR invalid expire time in 'expire' command"),
        ("EXPIRE k 10 NX XX", "-ERR NX and XX, GT or LT options at the same time are not compatible"),
        ("EXPIRE k 10 GT LT", "-ERR GT and LT options at the same time are not compatible"),
        ("EXPIRE k 10 nonsense", "-ERR Unsupported option nonsense"),
        ("EXPIRE k -1", ":1"),
        ("GET k", "nil"),
    ]);
}

#[test]
fn numbers() {
    check(&[
        ("INCR n", ":1"),
        ("INCRBY n 41", ":42"),
        ("DECR n", ":41"),
        ("DECRBY n 40", ":1"),
        ("DECRBY n -1", ":2"),
        ("GET n", "\"2\""),
        ("INCRBY n 9223372036854775807", "-ERR increment or decrement would overflow"),
        ("DECRBY n -9223372036854775808", "-ERR decrement would overflow"),
        ("INCRBY n 1.5", NOT_AN_INTEGER),
        ("INCRBY n 9223372036854775808", NOT_AN_INTEGER),
        ("SET text abc", "+OK"),
        ("INCR text", NOT_AN_INTEGER),
    ]);
}

#[test]
fn the_connection() {
    check(&[
        ("PING", "+PONG"),
        ("PING hello", "\"hello\""),
        ("PING a b", "-ERR wrong number of arguments for 'ping' command"),
        ("ECHO hello", "\"hello\""),
        ("ECHO", "-ERR wrong number of arguments for 'echo' command"),
        ("SELECT 0", "+OK"),
        (
            "SELECT 1",
            "-ERR DB index is out of range: this host keeps its data in memory, which has one database (store.url)",
        ),
        ("SELECT -1", "-ERR DB index is out of range"),
        ("SELECT x", NOT_AN_INTEGER),
        ("TIME", "[\"1000000000\", \"0\"]"),
        ("AUTH secret", NO_PASSWORD),
        ("AUTH default anything", "+OK"),
        ("AUTH other anything", "-WRONGPASS invalid username-password pair or user is disabled."),
        ("AUTH a b c", SYNTAX),
        ("CLIENT GETNAME", "nil"),
        ("CLIENT SETNAME worker", "+OK"),
        ("CLIENT GETNAME", "\"worker\""),
        ("CLIENT SETNAME a\tb", "-ERR Client names cannot contain spaces, newlines or special characters."),
        ("CLIENT SETINFO LIB-NAME tests", "+OK"),
        ("CLIENT SETINFO lib-ver 1", "+OK"),
        ("CLIENT SETINFO other 1", "-ERR Unrecognized option 'other'"),
        ("CLIENT ID", ":1"),
        ("CLIENT GETREDIR", ":-1"),
        ("CLIENT NO-EVICT on", "+OK"),
        ("CLIENT NO-TOUCH off", "+OK"),
        ("CLIENT NO-EVICT maybe", SYNTAX),
        ("CLIENT TRACKING OFF", "+OK"),
        ("CLIENT", "-ERR wrong number of arguments for 'client' command"),
        ("CLIENT SETNAME", "-ERR wrong number of arguments for 'client|setname' command"),
        ("CLIENT nonsense", "-ERR unknown subcommand 'nonsense'. Try CLIENT HELP."),
        ("RESET", "+RESET"),
        ("CLIENT GETNAME", "nil"),
        ("foo a b", "-ERR unknown command 'foo', with args beginning with: 'a' 'b' "),
        ("NOSUCH", "-ERR unknown command 'NOSUCH', with args beginning with: "),
    ]);
}

const NO_PASSWORD: &str = "-ERR AUTH <password> called without any password configured for the default user. Are you sure your \
     configuration is correct?";

#[test]
fn what_the_server_says_of_itself() {
    check(&[
        ("CONFIG GET maxmemory*", "[\"maxmemory\", \"0\", \"maxmemory-policy\", \"noeviction\"]"),
        ("CONFIG GET SAVE appendonly", "[\"appendonly\", \"no\", \"save\", \"\"]"),
        ("CONFIG GET nothing", "[]"),
        ("CONFIG GET", "-ERR wrong number of arguments for 'config|get' command"),
        ("CONFIG SET nonsense 1", "-ERR Unknown option or number of arguments for CONFIG SET - 'nonsense'"),
        ("COMMAND COUNT", ":128"),
        ("COMMAND GETKEYS MSET a 1 b 2", "[\"a\", \"b\"]"),
        ("COMMAND GETKEYS GET k", "[\"k\"]"),
        ("COMMAND GETKEYS PING x", "-ERR The command has no key arguments"),
        ("COMMAND GETKEYS nonsense x", "-ERR Invalid command specified"),
        ("COMMAND GETKEYS GET k l", "-ERR Invalid number of arguments specified for command"),
        ("COMMAND INFO nonsense", "[nil]"),
        ("COMMAND LIST FILTERBY PATTERN getd*", "[\"getdel\"]"),
        ("COMMAND LIST FILTERBY MODULE json", "[]"),
        ("COMMAND DOCS getdel", GETDEL),
        ("LARDER.POLICY LIST", "[]"),
        ("LARDER.POLICY ROLLBACK x", NO_POLICY),
        ("LARDER.POLICY REMOVE x", NO_POLICY),
    ]);
}

const GETDEL: &str = "[\"getdel\", [\"summary\", \"The value of a key, which is removed.\", \"since\", \"6.2.0\", \"group\", \"string\"]]";
const NO_POLICY: &str = "-ERR no policy serves the domain 'x'; `LARDER.POLICY LIST` names those that do";

#[tokio::test]
async fn texts_for_people() {
    let (host, mut client) = host().await;
    client.pipeline(&["SET k v", "GET k", "GET k", "GET none"]).await;
    let info = client.line("INFO").await;
    for part in [
        "# Server\r\nredis_version:7.0.15\r\n",
        "redis_mode:standalone\r\n",
        &format!("tcp_port:{}\r\n", host.addr.port()),
        "connected_clients:1\r\n",
        "l1_entries:1\r\n",
        "loading:0\r\n",
        "role:master\r\n",
        "keyspace_hits:2\r\n",
        "keyspace_misses:1\r\n",
        "# Larder\r\n",
    ] {
        assert!(info.contains(part), "{part}: {info}");
    }
    let stats = client.line("INFO stats replication").await;
    assert!(
        stats.starts_with("\"# Stats\r\n") && stats.contains("# Replication") && !stats.contains("# Server"),
        "{stats}"
    );

    let list = client.line("CLIENT LIST").await;
    assert!(list.starts_with("\"id=1 addr=127.0.0.1:") && list.contains("cmd=client|list"), "{list}");
    assert_eq!(client.line("CLIENT LIST ID 7").await, "\"\"");
    assert!(client.line("CLIENT INFO").await.contains("id=1 "));
    for help in ["LARDER.HELP", "CLIENT HELP", "COMMAND HELP", "CONFIG HELP", "LARDER.POLICY HELP"] {
        assert!(client.line(help).await.starts_with("[+"), "{help}");
    }
    let command = client.line("COMMAND INFO get client|id").await;
    assert!(command.starts_with("[[\"get\", :2, [+readonly, +fast], :1, :1, :1, "), "{command}");
    assert!(command.contains("[\"client|id\", :2, "), "{command}");
    assert!(client.line("COMMAND").await.contains("\"larder.explain\""));
    assert!(client.line("COMMAND DOCS").await.contains("\"larder.policy|rollback\""));
    assert!(host.stop().await);
}

#[tokio::test]
async fn a_key_explains_itself() {
    let (host, mut client) = host().await;
    assert_eq!(client.line("SET profile:1 v EX 10").await, "+OK");
    let flat = client.line("LARDER.EXPLAIN profile:1").await;
    assert!(flat.starts_with("[\"key\", \"profile:1\", \"domain\", \"profile\", "), "{flat}");
    client.line("HELLO 3").await;
    let map = client.line("LARDER.EXPLAIN profile:1").await;
    for part in
        ["\"storage_key\": \"chat:v1:profile:1\"", "\"state\": \"l1-hit\"", "\"fresh_ms\": :10000", "\"rejudged\": #f"]
    {
        assert!(map.contains(part), "{part}: {map}");
    }
    assert!(host.stop().await);
}

#[tokio::test]
async fn a_hit_ends_with_its_life() {
    let (host, mut client) = host().await;
    client.pipeline(&["SET profile:1 v EX 10", "SET k v PX 500"]).await;
    host.clock.advance_ms(499);
    assert_eq!(client.pipeline(&["GET profile:1", "GET k"]).await, ["\"v\"", "\"v\""]);
    host.clock.advance_ms(2);
    assert_eq!(client.pipeline(&["GET profile:1", "GET k"]).await, ["\"v\"", "nil"]);
    host.clock.advance_ms(9_499);
    assert_eq!(client.pipeline(&["GET profile:1", "TTL profile:1"]).await, ["nil", ":-2"]);
    let metrics = host.metrics.domain("profile");
    assert_eq!(metrics.answers(Operation::Read, State::L1Hit), 2, "hits are counted, once each");
    assert!(host.stop().await);
}

#[tokio::test]
async fn what_the_host_refuses_says_who_is_to_blame() {
    let (host, mut client) = host().await;
    let long = "x".repeat(300);
    let answer = client.call(&["GET", &long]).await;
    assert_eq!(
        answer,
        "-ERR the key has 300 bytes, 250 are allowed; shorten it or raise CACHE_MAX_KEY_LENGTH [invalid-key; blame: caller; \
         retry: no]"
    );
    assert!(host.stop().await);
}
