//! Commands on the key space as a whole, and `OBJECT`.

use larder::ports::store::Reply;

use super::script::check;
use super::{Bench, text};

pub(super) async fn steps_of_a_scan(bench: &Bench) {
    let script = r#"
        SCAN 0 => ["0" []]
        MSET k 1 l 2 => OK
        SADD s 1 => 1
        SCAN 0 MATCH k COUNT 1000 => ["0" ["k"]]
        SCAN 0 COUNT 1000 TYPE set => ["0" ["s"]]
        SCAN 0 type SET match * count 1000 => ["0" ["s"]]
        SCAN 0 TYPE nonsense COUNT 1000 => ["0" []]
        SCAN "" MATCH k COUNT 1000 => ["0" ["k"]]
        SCAN +0 MATCH k COUNT 1000 => ["0" ["k"]]
        SCAN word => !ERR invalid cursor
        SCAN 0x1 => !ERR invalid cursor
        SCAN - => !ERR invalid cursor
        SCAN 18446744073709551616 => !ERR invalid cursor
        SCAN 0 COUNT 0 => !ERR syntax error
        SCAN 0 COUNT -1 => !ERR syntax error
        SCAN 0 COUNT word => !ERR value is not an integer or out of range
        SCAN 0 COUNT => !ERR syntax error
        SCAN 0 MATCH => !ERR syntax error
        SCAN 0 word => !ERR syntax error
        SCAN 0 TYPE => !ERR syntax error
        HSET h f v => 1
        HSCAN h 0 => ["0" ["f" "v"]]
        HSCAN h 0 MATCH g* => ["0" []]
        HSCAN h 0 COUNT 0 => !ERR syntax error
        HSCAN h 0 TYPE hash => !ERR syntax error
        HSCAN h word => !ERR invalid cursor
        HSCAN none word => !ERR invalid cursor
        HSCAN none 0 word => ["0" []]
        SSCAN s 0 => ["0" ["1"]]
        SSCAN s 0 MATCH 2 COUNT 5 => ["0" []]
        SSCAN s 0 COUNT 0 => !ERR syntax error
        SSCAN s word => !ERR invalid cursor
        SSCAN none 0 => ["0" []]
    "#;
    check(bench, script).await;
    for cursor in ["-1", "18446744073709551615", "64", "12345"] {
        let reply =
            bench.store.call(text::command(&format!("SCAN {cursor} COUNT 1000"))).await.expect("it is answered");
        assert!(matches!(&reply, Reply::Array(parts) if parts.len() == 2), "{cursor}: {}", text::reply(&reply));
    }
}

pub(super) async fn keys_by_pattern(bench: &Bench) {
    let script = r#"
        KEYS * => []
        MSET hello 1 hallo 2 hxllo 3 hllo 4 heello 5 a-b 6 [x] 7 \x80 8 "" 9 => OK
        KEYS * => *["" "[x]" "\x80" "a-b" "hallo" "heello" "hello" "hllo" "hxllo"]
        KEYS ** => *["[x]" "\x80" "a-b" "hallo" "heello" "hello" "hllo" "hxllo"]
        KEYS "" => [""]
        KEYS h?llo => *["hallo" "hello" "hxllo"]
        KEYS h*llo => *["hallo" "heello" "hello" "hllo" "hxllo"]
        KEYS h[ae]llo => *["hallo" "hello"]
        KEYS h[^e]llo => *["hallo" "hxllo"]
        KEYS h[a-e]llo => *["hallo" "hello"]
        KEYS h[e-a]llo => *["hallo" "hello"]
        KEYS h[x => []
        KEYS h[xllo => []
        KEYS h[ => []
        KEYS a[b-]b => []
        KEYS a[+--]b => ["a-b"]
        KEYS a\x5c-b => ["a-b"]
        KEYS \x5c[x] => ["[x]"]
        KEYS \x5c[x\x5c] => ["[x]"]
        KEYS [\x5c[]x] => ["[x]"]
        KEYS [\x80-\xff] => ["\x80"]
        KEYS [\x7f-\x81] => []
        KEYS *l*o => *["hallo" "heello" "hello" "hllo" "hxllo"]
        KEYS *ell* => *["heello" "hello"]
        KEYS none* => []
        KEYS \x5c => []
    "#;
    check(bench, script).await;
}

pub(super) async fn the_space_as_a_whole(bench: &Bench) {
    let script = r#"
        DBSIZE => 0
        RANDOMKEY => nil
        FLUSHALL => OK
        MSET a 1 b 2 => OK
        RPUSH l 1 2 3 => 3
        DBSIZE => 3
        RANDOMKEY => 1 of ["a" "b" "l"]
        FLUSHDB => OK
        DBSIZE => 0
        EXISTS a b l => 0
        KEYS * => []
        SET a 1 => OK
        RANDOMKEY => "a"
        FLUSHALL ASYNC => OK
        SET a 1 => OK
        FLUSHDB sync => OK
        DBSIZE => 0
        SET a 1 => OK
        FLUSHALL word => !ERR syntax error
        FLUSHDB ASYNC SYNC => !ERR syntax error
        DBSIZE => 1
        GET a => "1"
    "#;
    check(bench, script).await;
    let now = bench.store.call(text::command("TIME")).await.expect("it is answered");
    let Reply::Array(parts) = &now else { panic!("TIME answers a list: {now:?}") };
    let numbers: Vec<u64> = parts.iter().map(number).collect();
    assert!(numbers.len() == 2 && numbers[0] >= 1_700_000_000 && numbers[1] < 1_000_000, "{numbers:?}");
}

fn number(reply: &Reply) -> u64 {
    let Reply::Bulk(text) = reply else { panic!("{reply:?} is a string") };
    std::str::from_utf8(text).expect("digits").parse().expect("a number")
}

pub(super) async fn what_is_told_of_an_object(bench: &Bench) {
    let script = r#"
        OBJECT ENCODING none => nil
        OBJECT REFCOUNT none => nil
        OBJECT IDLETIME none => nil
        OBJECT FREQ none => nil
        SET k 12345 => OK
        OBJECT ENCODING k => "int"
        OBJECT REFCOUNT k => 1
        OBJECT IDLETIME k => 0
        OBJECT FREQ k => !ERR An LFU maxmemory policy is not selected, access frequency not tracked. Please note that when switching between policies at runtime LRU and LFU data will take some time to adjust.
        APPEND k 6 => 6
        OBJECT ENCODING k => "raw"
        RENAME k l => OK
        OBJECT ENCODING l => "raw"
        COPY l k => 1
        OBJECT ENCODING k => "raw"
        INCR k => 123457
        OBJECT ENCODING k => "int"
        INCRBYFLOAT k 1 => "123458"
        OBJECT ENCODING k => "embstr"
        SET k 9999 => OK
        OBJECT REFCOUNT k => 2147483647
        COPY k c => 1
        OBJECT ENCODING c => "int"
        OBJECT REFCOUNT c => 1
        RENAME c d => OK
        OBJECT REFCOUNT d => 1
        RENAME k k => OK
        OBJECT REFCOUNT k => 2147483647
        INCR k => 10000
        OBJECT REFCOUNT k => 1
        SET k 9223372036854775808 => OK
        OBJECT ENCODING k => "embstr"
        SET k 0123456789012345678901234567890123456789abcd => OK
        OBJECT ENCODING k => "embstr"
        SET k 0123456789012345678901234567890123456789abcde => OK
        OBJECT ENCODING k => "raw"
        SETRANGE new 0 1 => 1
        OBJECT ENCODING new => "raw"
        APPEND newer 1 => 1
        OBJECT ENCODING newer => "int"
        object encoding a b => !ERR wrong number of arguments for 'object|encoding' command
        OBJECT REFCOUNT => !ERR wrong number of arguments for 'object|refcount' command
        OBJECT word => !ERR unknown subcommand 'word'. Try OBJECT HELP.
        OBJECT word k => !ERR unknown subcommand 'word'. Try OBJECT HELP.
    "#;
    check(bench, script).await;
}

pub(super) async fn the_form_of_a_collection_is_told(bench: &Bench) {
    let script = r#"
        RPUSH list 1 => 1
        OBJECT ENCODING list => "quicklist"
        SADD set 1 2 => 2
        OBJECT ENCODING set => "intset"
        SADD set word => 1
        OBJECT ENCODING set => "hashtable"
        SREM set word => 1
        OBJECT ENCODING set => "hashtable"
        SUNIONSTORE set set => 2
        OBJECT ENCODING set => "intset"
        HSET hash f v => 1
        OBJECT ENCODING hash => "listpack"
        HSET hash f 0123456789012345678901234567890123456789012345678901234567890123 => 0
        OBJECT ENCODING hash => "listpack"
        HSET hash f 01234567890123456789012345678901234567890123456789012345678901234 => 0
        OBJECT ENCODING hash => "hashtable"
        HSET hash f v => 0
        OBJECT ENCODING hash => "hashtable"
    "#;
    check(bench, script).await;
    for (fill, form) in [("SADD large", "intset"), ("HSET wide", "listpack")] {
        let (_, name) = fill.split_once(' ').expect("two words");
        let all = (0..512).fold(fill.to_owned(), |words, n| words + &each(fill, n));
        let more = fill.to_owned() + &each(fill, 512);
        check(bench, &format!("{all} => 512\n OBJECT ENCODING {name} => \"{form}\"")).await;
        check(bench, &format!("{more} => 1\n OBJECT ENCODING {name} => \"hashtable\"")).await;
    }
}

fn each(fill: &str, n: u32) -> String {
    if fill.starts_with("HSET") { format!(" {n} v") } else { format!(" {n}") }
}

pub(super) async fn arguments_of_the_new_types(bench: &Bench) {
    let exact = [
        (1, "DBSIZE RANDOMKEY TIME"),
        (2, "HGETALL HKEYS HVALS HLEN LLEN SMEMBERS SCARD KEYS"),
        (3, "HGET HEXISTS HSTRLEN LINDEX RPOPLPUSH SISMEMBER"),
        (4, "HSETNX HINCRBY HINCRBYFLOAT LRANGE LTRIM LREM LSET SMOVE"),
        (5, "LINSERT LMOVE"),
    ];
    let least = [
        (2, "HRANDFIELD LPOP RPOP SPOP SRANDMEMBER SINTER SUNION SDIFF SCAN OBJECT"),
        (
            3,
            "HMGET HDEL HSCAN SSCAN LPUSH RPUSH LPUSHX RPUSHX LPOS SADD SREM SMISMEMBER SINTERSTORE SUNIONSTORE SDIFFSTORE",
        ),
        (3, "SINTERCARD"),
        (4, "HSET HMSET"),
    ];
    let mut script = String::new();
    let mut wrong = |name: &str, words: usize| {
        let arguments = " 1".repeat(words - 1);
        script +=
            &format!("{name}{arguments} => !ERR wrong number of arguments for '{}' command\n", name.to_lowercase());
    };
    for (words, names) in exact {
        for name in names.split(' ') {
            if words > 1 {
                wrong(name, words - 1);
            }
            wrong(name, words + 1);
        }
    }
    for (words, names) in least {
        names.split(' ').for_each(|name| wrong(name, words - 1));
    }
    check(bench, &script).await;
}
