//! `MULTI` and `WATCH` with several clients, and with others who change the shared Redis behind Larder's back.

use larder::ports::store::Reply;

use super::peer::{Behind, Pair, Peer};
use crate::store_contract::text;

/// Both sides of a pair with clients `a` and `b` each: lines are `a WORDS` or `b WORDS`.
#[track_caller]
fn check(lines: &[&str]) {
    for behind in [Behind::Memory, Behind::Redis] {
        let pair = Pair::start(behind);
        for protocol in [2, 3] {
            let (first, second) = (pair.connect(protocol), pair.connect(protocol));
            let (mut larder, mut redis) = ([first.0, second.0], [first.1, second.1]);
            for line in lines {
                let (who, words) = line.split_once(' ').unwrap();
                let who = usize::from(who == "b");
                let (larder, redis) = (larder[who].ask(words), redis[who].ask(words));
                assert_eq!(text::reply(&larder), text::reply(&redis), "{behind:?} RESP{protocol}: {line}");
            }
            assert_eq!(larder[0].say("FLUSHALL"), redis[0].say("FLUSHALL"));
        }
    }
}

#[test]
fn a_block_is_carried_out_at_once() {
    check(&[
        "a MULTI",
        "a SET k 1",
        "a INCR k",
        "a RPUSH l a b",
        "a LPOP l 2",
        "a LPOP l 2",
        "a HSET h f v",
        "a HGETALL h",
        "a GET none",
        "b GET k",
        "a PING",
        "a ECHO hello",
        "a EXEC",
        "b GET k",
        "a EXEC",
        "a MULTI",
        "a EXEC",
        "a MULTI",
        "a SET k 2",
        "a DISCARD",
        "a GET k",
        "a DISCARD",
        "a MULTI",
        "a SET k v EX 100",
        "a TTL k",
        "a PERSIST k",
        "a TTL k",
        "a EXPIRE k 100",
        "a GETEX k PERSIST",
        "a TYPE k",
        "a EXISTS k k none",
        "a STRLEN k",
        "a GETSET k w",
        "a SETNX k x",
        "a SET k y NX",
        "a SET k z XX GET",
        "a SETEX e 100 v",
        "a MSET m 1 n 2",
        "a MGET m n none",
        "a DEL m n none",
        "a UNLINK e",
        "a APPEND k 123",
        "a GETRANGE k 0 1",
        "a SETRANGE k 1 xx",
        "a INCRBYFLOAT f 1.5",
        "a SADD s a",
        "a SMEMBERS s",
        "a HRANDFIELD h 1 WITHVALUES",
        "a RENAME s t",
        "a COPY t u",
        "a OBJECT ENCODING f",
        "a SCAN 0 MATCH u",
        "a DBSIZE",
        "a EXEC",
        "a GETDEL k",
    ]);
}

#[test]
fn errors_in_a_block() {
    check(&[
        // What cannot be queued lets all of it fail.
        "a MULTI",
        "a SET k 1",
        "a NOSUCH k",
        "a SET",
        "a EXEC",
        "a GET k",
        "a MULTI",
        "a GET",
        "a DISCARD",
        "a GET k",
        // What goes wrong when it is carried out costs itself alone.
        "a SET k text",
        "a MULTI",
        "a INCR k",
        "a SET l 1",
        "a LPUSH k x",
        "a SET k v EX word",
        "a EXPIRE k word",
        "a GET l",
        "a EXEC",
        "a GET l",
        // Neither is nested, nor does anything of that end it.
        "a MULTI",
        "a MULTI",
        "a WATCH k",
        "a SET n 1",
        "a EXEC",
        "a GET n",
    ]);
}

#[test]
fn a_change_by_anybody_ends_it() {
    check(&[
        "a SET k 1",
        "a WATCH k",
        "a GET k",
        "a MULTI",
        "a SET k 2",
        "a EXEC",
        "a GET k",
        "a WATCH k",
        "b SET k 3",
        "a MULTI",
        "a SET k 4",
        "a EXEC",
        "a GET k",
        // Its own change counts as well.
        "a WATCH k",
        "a SET k 5",
        "a MULTI",
        "a SET k 6",
        "a EXEC",
        "a GET k",
        // One that came, one that went, one of several.
        "a WATCH none",
        "b SET none 1",
        "a MULTI",
        "a PING",
        "a EXEC",
        "a WATCH k none",
        "b DEL none",
        "a MULTI",
        "a PING",
        "a EXEC",
        "a WATCH k",
        "a WATCH l",
        "b RPUSH l x",
        "a MULTI",
        "a EXEC",
        "a WATCH l",
        "b FLUSHALL",
        "a MULTI",
        "a EXEC",
        "a WATCH h",
        "b HSET h f 1",
        "a MULTI",
        "a HGET h f",
        "a EXEC",
        "a WATCH h",
        "b EXPIRE h 100",
        "a MULTI",
        "a EXEC",
        "a WATCH h",
        "b RENAME h i",
        "a MULTI",
        "a EXEC",
    ]);
}

#[test]
fn a_watch_ends() {
    check(&[
        // With the block, with DISCARD and with UNWATCH.
        "a WATCH k",
        "a MULTI",
        "a EXEC",
        "b SET k 7",
        "a MULTI",
        "a GET k",
        "a EXEC",
        "a WATCH k",
        "b SET k 8",
        "a UNWATCH",
        "a MULTI",
        "a GET k",
        "a EXEC",
        "a WATCH k",
        "b SET k 9",
        "a MULTI",
        "a DISCARD",
        "a MULTI",
        "a GET k",
        "a EXEC",
        // Reading is no change, and another key is none.
        "a WATCH k",
        "b GET k",
        "b TTL k",
        "b SET other 1",
        "a MULTI",
        "a INCR k",
        "a EXEC",
        "a WATCH k",
        "b SET k 1",
        "a RESET",
    ]);
}

/// Other programs write to the Redis behind Larder.
#[test]
fn a_change_in_the_shared_redis_ends_it() {
    let pair = Pair::start(Behind::Redis);
    let (mut client, _) = pair.connect(2);
    let behind = pair.store.as_ref().unwrap();
    assert_eq!(client.say("SET k 1"), "OK");
    assert_eq!(client.say("WATCH k"), "OK");
    behind.cli(&["SET", "k", "2"]);
    assert_eq!(client.say("MULTI"), "OK");
    assert_eq!(client.say("SET k 3"), "QUEUED");
    assert_eq!(client.say("EXEC"), "nil*");
    assert_eq!(behind.cli(&["GET", "k"]), "2");
}

/// Counters that many clients raise by reading, adding and writing lose nothing.
#[test]
fn who_watches_loses_nothing() {
    const CLIENTS: usize = 4;
    const ROUNDS: usize = 25;
    for behind in [Behind::Memory, Behind::Redis] {
        let pair = Pair::start(behind);
        std::thread::scope(|scope| {
            for _ in 0..CLIENTS {
                let mut client = pair.connect(2).0;
                scope.spawn(move || (0..ROUNDS).for_each(|_| raise(&mut client)));
            }
        });
        let (mut client, _) = pair.connect(2);
        assert_eq!(client.say("GET counter"), format!("\"{}\"", CLIENTS * ROUNDS), "{behind:?}");
    }
}

fn raise(client: &mut Peer) {
    loop {
        assert_eq!(client.say("WATCH counter"), "OK");
        let before: u64 = match client.ask("GET counter") {
            Reply::Bulk(text) => String::from_utf8_lossy(&text).parse().unwrap(),
            _ => 0,
        };
        assert_eq!(client.say("MULTI"), "OK");
        assert_eq!(client.say(&format!("SET counter {}", before + 1)), "QUEUED");
        match client.ask("EXEC") {
            Reply::Array(_) => return,
            other => assert_eq!(other, Reply::NilArray),
        }
    }
}

/// Nobody sees a part of a block.
#[test]
fn nobody_sees_half_of_it() {
    for behind in [Behind::Memory, Behind::Redis] {
        let pair = Pair::start(behind);
        let (mut writer, mut reader) = (pair.connect(2).0, pair.connect(2).0);
        std::thread::scope(|scope| {
            let writing = scope.spawn(move || {
                for n in 0..200 {
                    writer.send("MULTI");
                    writer.send(&format!("SET a {n}"));
                    writer.send(&format!("HSET h f {n}"));
                    writer.send(&format!("SET b {n}"));
                    writer.send("EXEC");
                    (0..5).for_each(|_| drop(writer.answer()));
                }
            });
            while !writing.is_finished() {
                assert_eq!(reader.say("MULTI"), "OK");
                ["GET a", "GET b", "HGET h f"].iter().for_each(|line| assert_eq!(reader.say(line), "QUEUED"));
                let Reply::Array(seen) = reader.ask("EXEC") else { panic!("a list") };
                assert!(seen[0] == seen[1] && seen[1] == seen[2], "{behind:?}: {seen:?}");
            }
            writing.join().unwrap();
        });
    }
}
