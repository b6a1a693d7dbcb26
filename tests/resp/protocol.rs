//! Bytes that are no good, bytes in pieces, lines that people type, and RESP3.

use larder::config::secret::Secret;
use larder::config::users::User;
use larder::limits::RESP_READ_BYTES;
use larder::wire::resp::RespConfig;

use super::{host, world};
use crate::support::resp::{Host, frame};

#[tokio::test]
async fn commands_in_pieces() {
    let (host, mut client) = host().await;
    let batch = [frame(&["SET", "k", "a\r\nb"]), frame(&["GET", "k"]), b"PING\r\n".to_vec()].concat();
    for piece in batch.chunks(1) {
        client.send(piece).await;
    }
    for answer in ["+OK", "\"a\r\nb\"", "+PONG"] {
        assert_eq!(client.answer().await, answer);
    }
    assert!(host.stop().await);
}

#[tokio::test]
async fn lines_as_people_type_them() {
    let (host, mut client) = host().await;
    client.send("\r\n  \r\nset k \"a b\\x41\"\nGET k\r\n*0\r\n*-1\r\nPING\n").await;
    for answer in ["+OK", "\"a bA\"", "+PONG"] {
        assert_eq!(client.answer().await, answer);
    }
    assert!(host.stop().await);
}

#[tokio::test]
async fn what_is_no_command_ends_the_connection_after_the_answers_before() {
    let host = Host::start(world()).await;
    for (bytes, error) in [
        (&b"*x\r\n"[..], "invalid multibulk length"),
        (b"*1\r\nPING\r\n", "expected '$', got 'P'"),
        (b"*1\r\n$-5\r\n", "invalid bulk length"),
        (b"GET \"k\r\n", "unbalanced quotes in request"),
        (&[b'x'; 70_000], "too big inline request"),
    ] {
        let mut client = host.connect().await;
        client.send([b"PING\r\n", bytes].concat()).await;
        assert_eq!(client.answer().await, "+PONG");
        assert_eq!(client.answer().await, format!("-ERR Protocol error: {error}"));
        assert!(client.ended().await);
    }
    assert_eq!(host.metrics.resp_protocol_errors.get(), 5);
    assert!(host.stop().await);
}

#[tokio::test]
async fn a_tricked_browser_gets_nothing() {
    let host = Host::start(world()).await;
    for request in ["POST / HTTP/1.1\r\nHost: localhost\r\n\r\nSET k v\r\n", "Host: localhost\r\nSET k v\r\n"] {
        let mut client = host.connect().await;
        client.send(request).await;
        assert!(client.ended().await);
    }
    assert_eq!(host.connect().await.line("GET k").await, "nil");
    assert!(host.stop().await);
}

#[tokio::test]
async fn large_values() {
    let (host, mut client) = host().await;
    for size in [RESP_READ_BYTES - 30, RESP_READ_BYTES, RESP_READ_BYTES + 1, 1_000_000] {
        let value = "v".repeat(size);
        assert_eq!(client.call(&["SET", "k", &value]).await, "+OK");
        assert_eq!(client.line("GET k").await, format!("\"{value}\""));
    }
    let answer = client.call(&["SET", "k", &"v".repeat((1 << 20) + 1)]).await;
    assert!(answer.starts_with("-ERR the value has 1048577 bytes"), "{answer}");
    assert!(host.stop().await);
}

#[tokio::test]
async fn hello_chooses_the_protocol() {
    let (host, mut client) = host().await;
    let greeting = |proto: u8| {
        format!(
            "\"server\": \"redis\", \"version\": \"7.0.15\", \"proto\": :{proto}, \"id\": :1, \"mode\": \"standalone\", \
             \"role\": \"master\", \"modules\": []"
        )
    };
    assert_eq!(client.line("HELLO").await, format!("[{}]", greeting(2).replace("\": ", "\", ")));
    assert_eq!(client.line("HELLO 3 SETNAME me").await, format!("{{{}}}", greeting(3)));
    assert_eq!(client.line("CLIENT GETNAME").await, "\"me\"");
    assert_eq!(client.line("GET none").await, "null");
    assert_eq!(client.line("MGET none").await, "[null]");
    assert_eq!(client.line("CONFIG GET save").await, "{\"save\": \"\"}");
    assert!(client.line("INFO server").await.starts_with("txt\"# Server"));
    assert!(client.line("COMMAND INFO get").await.contains("~[+readonly, +fast]"));
    for (line, error) in [
        ("HELLO 4", "-NOPROTO unsupported protocol version"),
        ("HELLO x", "-ERR Protocol version is not an integer or out of range"),
        ("HELLO 2 nonsense", "-ERR Syntax error in HELLO option 'nonsense'"),
        ("HELLO 2 AUTH x", "-ERR Syntax error in HELLO option 'AUTH'"),
        ("HELLO 2 AUTH x y", "-WRONGPASS invalid username-password pair or user is disabled."),
    ] {
        assert_eq!(client.line(line).await, error, "{line}");
    }
    assert_eq!(client.line("GET none").await, "null", "a HELLO that failed changes nothing");
    assert_eq!(client.line("HELLO 2").await, format!("[{}]", greeting(2).replace("\": ", "\", ")));
    assert_eq!(client.line("GET none").await, "nil");
    assert!(host.stop().await);
}

#[tokio::test]
async fn the_password_comes_first() {
    const NO_AUTH: &str = "-NOAUTH Authentication required.";
    const WRONG: &str = "-WRONGPASS invalid username-password pair or user is disabled.";
    let config = RespConfig::default();
    config.front.gate.replace(&[User::all_powerful(Secret::of(b"secret"))]);
    let host = Host::start_with(world(), config).await;
    let mut client = host.connect().await;
    let answers = client
        .pipeline(&[
            "GET k",
            "PING",
            "AUTH wrong",
            "AUTH other secret",
            "HELLO 3",
            "AUTH secret",
            "SET k v",
            "GET k",
            "RESET",
            "GET k",
        ])
        .await;
    let hello = "-NOAUTH HELLO must be called with the client already authenticated, otherwise the HELLO <proto> AUTH <user> \
         <pass> option can be used to authenticate the client and select the RESP protocol version at the same time";
    assert_eq!(answers, [NO_AUTH, NO_AUTH, WRONG, WRONG, hello, "+OK", "+OK", "\"v\"", "+RESET", NO_AUTH]);
    assert!(client.line("HELLO 3 AUTH default secret").await.starts_with('{'));
    assert_eq!(client.line("GET k").await, "\"v\"");

    let mut stranger = host.connect().await;
    stranger.send("*11\r\n").await;
    assert_eq!(stranger.answer().await, "-ERR Protocol error: unauthenticated multibulk length");
    assert!(stranger.ended().await);
    let mut stranger = host.connect().await;
    assert_eq!(stranger.line("QUIT").await, "+OK");
    assert!(stranger.ended().await);
    assert!(host.stop().await);
}

#[tokio::test]
async fn answers_may_be_turned_off() {
    let (host, mut client) = host().await;
    let lines = [
        "CLIENT REPLY OFF",
        "RESET",
        "SET k 1",
        "CLIENT REPLY SKIP",
        "SET k 2",
        "GET k",
        "CLIENT REPLY OFF",
        "SET k 3",
        "nonsense",
        "PING",
        "CLIENT REPLY ON",
        "GET k",
        "CLIENT REPLY SKIP",
        "CLIENT REPLY ON",
        "CLIENT REPLY nonsense",
    ];
    client.send(lines.map(|line| frame(&line.split(' ').collect::<Vec<_>>())).concat()).await;
    for answer in ["+RESET", "+OK", "\"2\"", "+OK", "\"3\"", "+OK", "-ERR syntax error"] {
        assert_eq!(client.answer().await, answer);
    }
    assert!(host.stop().await);
}
