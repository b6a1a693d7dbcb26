//! Redis commands on strings and on keys of any type, with the replies that both stores must give.

use super::Bench;
use super::script::check;

pub(super) async fn strings(bench: &Bench) {
    let script = r#"
        GET k => nil
        SET k v => OK
        get k => "v"
        SETNX k w => 0
        SETNX n w => 1
        GETSET k w => "v"
        GETSET new v => nil
        GETDEL k => "w"
        GETDEL k => nil
        SETEX k 100 v => OK
        TTL k => ~100
        GETSET k v => "v"
        TTL k => -1
        PSETEX k 100000 v => OK
        TTL k => ~100
        SET k \x00\xff\x0d\x0a => OK
        GET k => "\x00\xff\r\n"
        SET "" "" => OK
        GET "" => ""
        PING => PONG
        PING hello => "hello"
    "#;
    check(bench, script).await;
}

pub(super) async fn set_options(bench: &Bench) {
    let script = r#"
        SET k v XX => nil
        SET k v NX => OK
        SET k w NX => nil
        SET k w XX => OK
        SET k x GET => "w"
        SET new x GET => nil
        SET k y NX GET => "x"
        GET k => "x"
        SET other y XX GET => nil
        EXISTS other => 0
        SET k v EX 100 => OK
        TTL k => ~100
        SET k v KEEPTTL => OK
        TTL k => ~100
        SET k v => OK
        TTL k => -1
        SET k v PX 100000 => OK
        TTL k => ~100
        SET k v EXAT 4000000000 => OK
        EXPIRETIME k => 4000000000
        SET k v PXAT 4000000000123 => OK
        PEXPIRETIME k => 4000000000123
        SET k v ex 100 px 5 => !ERR syntax error
        SET k v EX 100 KEEPTTL => !ERR syntax error
        SET k v KEEPTTL EX 100 => !ERR syntax error
        SET k v NX XX => !ERR syntax error
        SET k v EX => !ERR syntax error
        SET k v PERSIST => !ERR syntax error
        SET k v nonsense => !ERR syntax error
        SET k v EX 5 EX 100 => OK
        TTL k => ~100
        SET k v NX NX GET => "v"
        SET k v EX 0 => !ERR invalid expire time in 'set' command
        SET k v PX -1 => !ERR invalid expire time in 'set' command
        SET k v EX 9223372036854775807 => !ERR invalid expire time in 'set' command
        SET k v PX 9223372036854775807 => !ERR invalid expire time in 'set' command
        SET k v PXAT 9223372036854775807 => OK
        PEXPIRETIME k => 9223372036854775807
        SET k v EX 1.5 => !ERR value is not an integer or out of range
        SET k v EX word => !ERR value is not an integer or out of range
        SETEX k 0 v => !ERR invalid expire time in 'setex' command
        PSETEX k -5 v => !ERR invalid expire time in 'psetex' command
        SET k v => OK
        SET k w EXAT 1 => OK
        GET k => nil
        SET k v EX\x00junk 100 => OK
        TTL k => ~100
    "#;
    check(bench, script).await;
}

pub(super) async fn expiries(bench: &Bench) {
    let script = r#"
        TTL k => -2
        PTTL k => -2
        EXPIRETIME k => -2
        PEXPIRETIME k => -2
        EXPIRE k 100 => 0
        PERSIST k => 0
        SET k v => OK
        TTL k => -1
        PTTL k => -1
        EXPIRETIME k => -1
        PEXPIRETIME k => -1
        PERSIST k => 0
        EXPIRE k 100 => 1
        TTL k => ~100
        PTTL k => ~100000
        PERSIST k => 1
        TTL k => -1
        PEXPIRE k 100000 => 1
        TTL k => ~100
        PEXPIREAT k 4000000000499 => 1
        EXPIRETIME k => 4000000000
        PEXPIREAT k 4000000000500 => 1
        EXPIRETIME k => 4000000001
        EXPIREAT k 4000000000 NX => 0
        EXPIREAT k 4000000000 XX => 1
        EXPIREAT k 4000000000 GT => 0
        EXPIREAT k 4000000000 LT => 0
        EXPIREAT k 4000000001 GT => 1
        EXPIREAT k 4000000000 LT => 1
        EXPIREAT k 4000000009 XX GT => 1
        EXPIREAT k 4000000008 XX LT => 1
        PEXPIRETIME k => 4000000008000
        PERSIST k => 1
        EXPIREAT k 4000000000 XX => 0
        EXPIREAT k 4000000000 GT => 0
        EXPIREAT k 4000000000 XX LT => 0
        EXPIREAT k 4000000000 LT => 1
        EXPIRE k 100 NX XX => !ERR NX and XX, GT or LT options at the same time are not compatible
        EXPIRE k 100 NX GT => !ERR NX and XX, GT or LT options at the same time are not compatible
        EXPIRE k 100 GT LT => !ERR GT and LT options at the same time are not compatible
        EXPIRE k 100 AB => !ERR Unsupported option AB
        EXPIRE k word => !ERR value is not an integer or out of range
        EXPIRE none word => !ERR value is not an integer or out of range
        EXPIRE k 9223372036854775807 => !ERR invalid expire time in 'expire' command
        EXPIRE k -9223372036854775808 => !ERR invalid expire time in 'expire' command
        PEXPIRE k 9223372036854775807 => !ERR invalid expire time in 'pexpire' command
        EXPIREAT k 9223372036854775807 => !ERR invalid expire time in 'expireat' command
        PEXPIREAT k 9223372036854775807 => 1
        PEXPIREAT k 9223372036854775807 GT => 0
        PEXPIRETIME k => 9223372036854775807
        EXPIRE k 0 GT => 0
        EXPIRE k -1 => 1
        EXISTS k => 0
        SET k v => OK
        PEXPIREAT k -9223372036854775808 => 1
        EXISTS k => 0
        SET k v => OK
        EXPIREAT k 1 NX => 1
        GET k => nil
    "#;
    check(bench, script).await;
}

pub(super) async fn getex_options(bench: &Bench) {
    let script = r#"
        GETEX k => nil
        GETEX k EX word => nil
        SET k v => OK
        GETEX k => "v"
        TTL k => -1
        GETEX k EX 100 => "v"
        TTL k => ~100
        GETEX k => "v"
        TTL k => ~100
        GETEX k PERSIST => "v"
        TTL k => -1
        GETEX k PX 100000 => "v"
        TTL k => ~100
        GETEX k EXAT 4000000000 => "v"
        EXPIRETIME k => 4000000000
        GETEX k PXAT 4000000000001 => "v"
        PEXPIRETIME k => 4000000000001
        GETEX k EX 0 => !ERR invalid expire time in 'getex' command
        GETEX k EX word => !ERR value is not an integer or out of range
        GETEX k PERSIST EX 5 => !ERR syntax error
        GETEX k EX 5 PERSIST => !ERR syntax error
        GETEX k KEEPTTL => !ERR syntax error
        GETEX k NX => !ERR syntax error
        GETEX k EX => !ERR syntax error
        GETEX k EXAT 1 => "v"
        EXISTS k => 0
    "#;
    check(bench, script).await;
}

pub(super) async fn ranges(bench: &Bench) {
    let script = r#"
        STRLEN k => 0
        GETRANGE k 0 -1 => ""
        APPEND k Hello => 5
        APPEND k \x20World => 11
        STRLEN k => 11
        GETRANGE k 0 4 => "Hello"
        GETRANGE k -5 -1 => "World"
        SUBSTR k 0 0 => "H"
        GETRANGE k 0 -1 => "Hello World"
        GETRANGE k 5 3 => ""
        GETRANGE k -1 -5 => ""
        GETRANGE k -100 3 => "Hell"
        GETRANGE k -100 -50 => "H"
        GETRANGE k 100 200 => ""
        GETRANGE k 10 1000 => "d"
        GETRANGE k 9223372036854775807 9223372036854775807 => ""
        GETRANGE k -9223372036854775808 -9223372036854775808 => "H"
        GETRANGE k word 1 => !ERR value is not an integer or out of range
        SETRANGE k 6 Redis => 11
        GET k => "Hello Redis"
        SETRANGE k 20 "" => 11
        SETRANGE none 5 "" => 0
        EXISTS none => 0
        SETRANGE pad 3 x => 4
        GET pad => "\x00\x00\x00x"
        SETRANGE k 10 stack => 15
        GET k => "Hello Redistack"
        SETRANGE k -1 x => !ERR offset is out of range
        SETRANGE k word x => !ERR value is not an integer or out of range
        SETRANGE k 536870912 x => !ERR string exceeds maximum allowed size (proto-max-bulk-len)
        SETRANGE k 9223372036854775807 x => !ERR string exceeds maximum allowed size (proto-max-bulk-len)
        EXPIRE k 100 => 1
        APPEND k ! => 16
        SETRANGE k 0 h => 16
        TTL k => ~100
        GET k => "hello Redistack!"
        APPEND k "" => 16
        APPEND empty "" => 0
        EXISTS empty => 1
        GETRANGE empty 0 -1 => ""
    "#;
    check(bench, script).await;
}

pub(super) async fn keys_of_any_type(bench: &Bench) {
    let script = r#"
        TYPE k => none
        SET k v EX 100 => OK
        TYPE k => string
        RENAME k r => OK
        EXISTS k => 0
        TTL r => ~100
        RENAME none x => !ERR no such key
        RENAME none none => !ERR no such key
        RENAME r r => OK
        GET r => "v"
        SET other w => OK
        RENAMENX r other => 0
        RENAMENX r r => 0
        RENAMENX none x => !ERR no such key
        RENAME r other => OK
        GET other => "v"
        TTL other => ~100
        RENAMENX other k => 1
        COPY k c => 1
        GET c => "v"
        TTL c => ~100
        COPY k c => 0
        SET c w => OK
        COPY k c REPLACE => 1
        GET c => "v"
        COPY none c => 0
        COPY k k => !ERR source and destination objects are the same
        COPY none none => !ERR source and destination objects are the same
        COPY k d DB 0 => 1
        COPY k d DB 99 => !ERR DB index is out of range
        COPY k d DB word => !ERR value is not an integer or out of range
        COPY k d DB => !ERR syntax error
        COPY k d nonsense => !ERR syntax error
    "#;
    check(bench, script).await;
}

pub(super) async fn many_keys(bench: &Bench) {
    let script = r#"
        MSET a 1 b 2 c 3 a 4 => OK
        MGET a b none c a => ["4" "2" nil "3" "4"]
        MSETNX d 1 a 1 => 0
        EXISTS d => 0
        MSETNX d 1 e 2 d 3 => 1
        GET d => "3"
        EXISTS a b none a => 3
        TOUCH a none => 1
        DEL a a b none => 2
        UNLINK c c => 1
        MSET x => !ERR wrong number of arguments for 'mset' command
        MSET x 1 y => !ERR wrong number of arguments for 'mset' command
        MSETNX x 1 y => !ERR wrong number of arguments for 'msetnx' command
        SET t v EX 100 => OK
        MSET t w => OK
        TTL t => -1
    "#;
    check(bench, script).await;
}

pub(super) async fn wrong_arguments(bench: &Bench) {
    let exact =
        ["GET", "TTL", "PTTL", "PERSIST", "TYPE", "STRLEN", "INCR", "DECR", "GETDEL", "EXPIRETIME", "PEXPIRETIME"];
    let two = ["SETNX", "GETSET", "APPEND", "INCRBY", "DECRBY", "INCRBYFLOAT", "RENAME", "RENAMENX"];
    let three = ["SETEX", "PSETEX", "SETRANGE", "GETRANGE", "SUBSTR"];
    let least_one = ["MGET", "DEL", "UNLINK", "EXISTS", "TOUCH", "GETEX"];
    let least_two = ["SET", "MSET", "MSETNX", "EXPIRE", "PEXPIRE", "EXPIREAT", "PEXPIREAT", "COPY"];
    let wrong = |name: &str, words: &str| {
        format!("{name}{words} => !ERR wrong number of arguments for '{}' command\n", name.to_lowercase())
    };
    let mut script = wrong("PING", " a b");
    exact.iter().for_each(|name| script += &(wrong(name, "") + &wrong(name, " a b")));
    two.iter().for_each(|name| script += &(wrong(name, " a") + &wrong(name, " a 1 2")));
    three.iter().for_each(|name| script += &(wrong(name, " a 1") + &wrong(name, " a 1 2 3")));
    least_one.iter().for_each(|name| script += &wrong(name, ""));
    least_two.iter().for_each(|name| script += &wrong(name, " a"));
    check(bench, &script).await;
}
