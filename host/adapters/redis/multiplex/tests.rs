//! The shared connection, over a stream whose other end is the test, and the answers that are read from it.

use bytes::Bytes;
use proptest::collection::vec;
use proptest::prelude::*;
use redis::{Cmd, Pipeline, RedisResult, Value, parse_redis_value};
use tokio::io::{AsyncReadExt, AsyncWriteExt, DuplexStream, duplex};
use tokio::task::JoinHandle;

use super::Multiplexed;
use super::answers::Answers;
use crate::limits::{STORE_ANSWER_DEPTH_MAX, STORE_ANSWER_NESTING_MAX, STORE_WRITE_QUEUE_MAX};

/// Reads all answers of pieces that come one after the other.
fn read<'a>(pieces: impl Iterator<Item = &'a [u8]>) -> RedisResult<Vec<Value>> {
    let (mut answers, mut received, mut all) = (Answers::default(), Vec::new(), Vec::new());
    for piece in pieces {
        received.extend_from_slice(piece);
        loop {
            let (used, answer) = answers.next(&received)?;
            received.drain(..used);
            match answer {
                Some(answer) => all.push(answer),
                None => break,
            }
        }
    }
    assert!(received.is_empty() && !answers.is_within(), "all of it is read");
    Ok(all)
}

fn collection(marker: char, elements: &[Vec<u8>], count: usize) -> Vec<u8> {
    let mut bytes = format!("{marker}{count}\r\n").into_bytes();
    elements.iter().for_each(|element| bytes.extend_from_slice(element));
    bytes
}

fn frame() -> impl Strategy<Value = Vec<u8>> {
    let alone = [
        "+OK\r\n",
        "+\r\n",
        "+word\r\n",
        "$-1\r\n",
        "*-1\r\n",
        "_\r\n",
        "#t\r\n",
        ",-1.5\r\n",
        ",inf\r\n",
        "(12345678901234567890\r\n",
        "-ERR no\r\n",
        "-WRONGTYPE Operation\r\n",
        "-MOVED 1 h:1\r\n",
        "!6\r\nERR no\r\n",
        "=7\r\ntxt:a\r\n\r\n",
        "*0\r\n",
        "%0\r\n",
    ];
    let leaf = prop_oneof![
        proptest::sample::select(alone.to_vec()).prop_map(|text| text.as_bytes().to_vec()),
        any::<i64>().prop_map(|number| format!(":{number}\r\n").into_bytes()),
        vec(any::<u8>(), 0..40)
            .prop_map(|text| { [format!("${}\r\n", text.len()).as_bytes(), &text, b"\r\n"].concat() }),
    ];
    leaf.prop_recursive(4, 40, 6, |inner| {
        prop_oneof![
            vec(inner.clone(), 0..6).prop_map(|all| collection('*', &all, all.len())),
            vec(inner.clone(), 0..6).prop_map(|all| collection('~', &all, all.len())),
            vec((inner.clone(), inner), 0..4).prop_map(|pairs| {
                let count = pairs.len();
                let all: Vec<Vec<u8>> = pairs.into_iter().flat_map(|(name, value)| [name, value]).collect();
                collection('%', &all, count)
            }),
        ]
    })
}

proptest! {
    #[test]
    fn answers_are_those_that_the_library_reads(frames in vec(frame(), 1..5), size in 1_usize..50) {
        let wanted: Vec<Value> = frames.iter().map(|frame| parse_redis_value(frame).unwrap()).collect();
        prop_assert_eq!(read(frames.concat().chunks(size)).unwrap(), wanted);
    }
}

#[test]
fn what_no_redis_says_is_an_error() {
    for odd in ["hello\r\n", "\r\n", "\n", "$5\r\nabcdefg\r\n", ":x\r\n", "*1x\r\n", ">1\r\n:1\r\n", "=-1\r\n"] {
        assert!(read([odd.as_bytes()].into_iter()).is_err(), "{odd:?}");
    }
    assert!(read([vec![b'+'; 2 * 1024 * 1024].as_slice()].into_iter()).is_err(), "a line without an end");
}

#[test]
fn words_that_are_no_text_end_nothing() {
    let all = read([b"-ERR \xff no\r\n+\xfe\r\n:1\r\n".as_slice()].into_iter()).unwrap();
    let [Value::ServerError(error), Value::SimpleString(status), Value::Int(1)] = all.as_slice() else {
        panic!("{all:?}")
    };
    assert_eq!((error.code(), error.details(), status.as_str()), ("ERR", Some("\u{fffd} no"), "\u{fffd}"));
}

#[test]
fn an_attribute_is_no_answer() {
    let all =
        read([b"*2\r\n|1\r\n+ttl\r\n:3600\r\n:1\r\n:2\r\n|1\r\n+a\r\n+b\r\n+OK\r\n".as_slice()].into_iter()).unwrap();
    assert_eq!(all, [Value::Array(vec![Value::Int(1), Value::Int(2)]), Value::Okay]);
}

#[test]
fn an_answer_that_is_nested_too_deep_is_the_trouble_of_whoever_asked() {
    let nested = |depth: usize| ["*1\r\n".repeat(depth).as_str(), ":7\r\n+OK\r\n"].concat();
    let all = |depth| read(nested(depth).as_bytes().chunks(1_000));
    assert!(matches!(all(STORE_ANSWER_DEPTH_MAX).unwrap().as_slice(), [Value::Array(_), Value::Okay]));
    assert!(matches!(all(STORE_ANSWER_DEPTH_MAX + 1).unwrap().as_slice(), [Value::ServerError(_), Value::Okay]));
    assert!(matches!(all(STORE_ANSWER_NESTING_MAX).unwrap().as_slice(), [Value::ServerError(_), Value::Okay]));
    assert!(all(STORE_ANSWER_NESTING_MAX + 1).is_err());
}

/// A connection that is driven, and its server's end.
fn connected(room_bytes: usize) -> (Multiplexed, JoinHandle<()>, DuplexStream) {
    let (here, there) = duplex(room_bytes);
    let (connection, driver) = Multiplexed::over(here);
    (connection, tokio::spawn(driver), there)
}

fn echo(word: &str) -> Cmd {
    let mut command = Cmd::new();
    command.arg("ECHO").arg(word);
    command
}

async fn hears(server: &mut DuplexStream, commands: usize) {
    // Each of them is as long.
    let mut bytes = vec![0; commands * echo("0000").get_packed_command().len()];
    server.read_exact(&mut bytes).await.unwrap();
}

#[tokio::test]
async fn whoever_asks_first_is_answered_first() {
    let (connection, _driver, mut server) = connected(16);
    let mut three = Pipeline::new();
    for _ in 1..4 {
        three.add_command(echo("0000"));
    }
    let (first, last) = (echo("0000"), echo("0000"));
    let serve = async {
        hears(&mut server, 5).await;
        server.write_all(b":0\r\n>2\r\n+x\r\n+y\r\n:1\r\n$5\r\nabcde\r\n-ERR 3\r\n:4\r\n").await.unwrap();
    };
    let (one, many, another, ()) =
        tokio::join!(connection.one(&first), connection.many(&three), connection.one(&last), serve);
    assert_eq!((one.unwrap(), another.unwrap()), (Value::Int(0), Value::Int(4)));
    let many = many.unwrap();
    assert!(matches!(many.as_slice(), [Value::Int(1), Value::BulkString(_), Value::ServerError(_)]), "{many:?}");
    assert!(connection.many(&Pipeline::new()).await.unwrap().is_empty());
}

#[tokio::test]
async fn who_is_gone_takes_nothing_from_the_others() {
    let (connection, _driver, mut server) = connected(1024);
    let question = echo("0000");
    tokio::select! {
        biased;
        answer = connection.one(&question) => panic!("{answer:?}"),
        () = hears(&mut server, 1) => {}
    }
    let serve = async {
        hears(&mut server, 1).await;
        server.write_all(b":1\r\n:2\r\n").await.unwrap();
    };
    assert_eq!(tokio::join!(connection.one(&question), serve).0.unwrap(), Value::Int(2));
}

#[tokio::test]
async fn more_calls_than_there_is_room_for_wait_and_are_answered() {
    let (connection, _driver, mut server) = connected(64);
    let calls = STORE_WRITE_QUEUE_MAX * 2 + 1;
    let question = echo("0000");
    let asked = futures_util::future::join_all((0..calls).map(|_| connection.one(&question)));
    let serve = async {
        for number in 0..calls {
            hears(&mut server, 1).await;
            server.write_all(format!(":{number}\r\n").as_bytes()).await.unwrap();
        }
    };
    let (answers, ()) = tokio::join!(asked, serve);
    let number = |answer: RedisResult<Value>| match answer {
        Ok(Value::Int(number)) => usize::try_from(number).unwrap(),
        other => panic!("{other:?}"),
    };
    let mut numbers: Vec<usize> = answers.into_iter().map(number).collect();
    assert!(numbers[..STORE_WRITE_QUEUE_MAX].is_sorted(), "who finds room is first");
    numbers.sort_unstable();
    assert_eq!(numbers, (0..calls).collect::<Vec<_>>());
}

#[tokio::test]
async fn everybody_is_told_how_a_connection_ended() {
    let told = async |said: &'static [u8]| {
        let (connection, driver, mut server) = connected(1024);
        let question = echo("0000");
        let serve = async move {
            hears(&mut server, 2).await;
            server.write_all(said).await.unwrap();
        };
        let (first, second, ()) = tokio::join!(connection.one(&question), connection.one(&question), serve);
        driver.await.unwrap();
        let later = connection.one(&question).await;
        [first, second, later]
            .map(|answer| answer.map_or_else(|error| error.to_string(), |answer| format!("{answer:?}")))
    };
    let [first, second, later] = told(b":1\r\n$5\r\nab").await;
    assert!(first == "int(1)" && second.contains("cut off") && later == second, "{first} {second} {later}");
    let [first, second, later] = told(b"*2\r\n:1\r\n").await;
    assert!(first.contains("cut off") && second == first && later == first, "{first} {second} {later}");
    let [first, second, later] = told(b":1\r\n").await;
    assert!(
        first == "int(1)" && second.contains("the connection ended") && later == second,
        "{first} {second} {later}"
    );
    let [first, second, later] = told(b":1\r\nHTTP/1.1 400\r\n").await;
    assert!(first == "int(1)" && second.contains("unexpected `H`") && later == second, "{first} {second} {later}");
    let [first, second, later] = told(b":1\r\n:2\r\n-ERR max number of clients reached\r\n").await;
    assert!(
        first == "int(1)" && second == "int(2)" && later.contains("max number of clients"),
        "{first} {second} {later}"
    );
}

#[tokio::test]
async fn a_driver_that_is_dropped_leaves_nobody_waiting() {
    let (connection, driver, mut server) = connected(1024);
    let question = echo("0000");
    let serve = async {
        hears(&mut server, 1).await;
        driver.abort();
    };
    let (answer, ()) = tokio::join!(connection.one(&question), serve);
    assert!(answer.unwrap_err().is_connection_dropped());
    assert!(connection.one(&question).await.unwrap_err().is_connection_dropped());
    let sent = Bytes::from(question.get_packed_command());
    assert_eq!(sent.len(), 24, "as the test counts them");
}
