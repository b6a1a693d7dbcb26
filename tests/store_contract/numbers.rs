//! Commands on strings that are numbers, with the replies that both stores must give.

use super::script::check;
use super::{Bench, text};

pub(super) async fn integers(bench: &Bench) {
    let script = r#"
        INCR n => 1
        INCRBY n 41 => 42
        DECR n => 41
        DECRBY n 50 => -9
        GET n => "-9"
        EXPIRE n 100 => 1
        INCR n => -8
        TTL n => ~100
        SET n 9223372036854775807 => OK
        INCR n => !ERR increment or decrement would overflow
        GET n => "9223372036854775807"
        SET n -9223372036854775808 => OK
        DECR n => !ERR increment or decrement would overflow
        DECRBY n -9223372036854775808 => !ERR decrement would overflow
        INCRBY n -1 => !ERR increment or decrement would overflow
        INCRBY n 1.0 => !ERR value is not an integer or out of range
        INCRBY n 9223372036854775808 => !ERR value is not an integer or out of range
        SET s word => OK
        INCR s => !ERR value is not an integer or out of range
        SET s 01 => OK
        INCR s => !ERR value is not an integer or out of range
        SET s -0 => OK
        INCR s => !ERR value is not an integer or out of range
        SET s +1 => OK
        INCR s => !ERR value is not an integer or out of range
        SET s "" => OK
        INCR s => !ERR value is not an integer or out of range
        SET s 1\x20 => OK
        INCR s => !ERR value is not an integer or out of range
        INCRBY s word => !ERR value is not an integer or out of range
    "#;
    check(bench, script).await;
}

pub(super) async fn floats(bench: &Bench) {
    let script = r#"
        SET f 10.50 => OK
        INCRBYFLOAT f 0.1 => "10.6"
        INCRBYFLOAT f -5 => "5.6"
        SET f 5.0e3 => OK
        INCRBYFLOAT f 2.0e2 => "5200"
        EXPIRE f 100 => 1
        INCRBYFLOAT f 0 => "5200"
        TTL f => ~100
        INCRBYFLOAT new 0.1 => "0.1"
        INCRBYFLOAT new 0.2 => "0.3"
        INCRBYFLOAT new -0.3 => "0"
        SET f 3 => OK
        INCRBYFLOAT f 1e-18 => "3"
        INCRBYFLOAT f 1.23456789012345678901 => "4.23456789012345679"
        SET f 9007199254740993 => OK
        INCRBYFLOAT f 0.5 => "9007199254740993.5"
        SET f 1e17 => OK
        INCRBYFLOAT f 0.007 => "100000000000000000.0078125"
        SET f 0x1.8p3 => OK
        INCRBYFLOAT f +1 => "13"
        SET f -1.5 => OK
        INCRBYFLOAT f 1.5 => "0"
        INCRBYFLOAT f -0 => "0"
        INCRBYFLOAT f inf => !ERR increment would produce NaN or Infinity
        INCRBYFLOAT f nan => !ERR value is not a valid float
        INCRBYFLOAT f 1e5000 => !ERR value is not a valid float
        INCRBYFLOAT f 1e-5000 => !ERR value is not a valid float
        INCRBYFLOAT f 1e4932 => "9999999999999999999568"
        INCRBYFLOAT f "" => !ERR value is not a valid float
        INCRBYFLOAT f \x201 => !ERR value is not a valid float
        INCRBYFLOAT f 1\x20 => !ERR value is not a valid float
        INCRBYFLOAT f 1\x00 => !ERR value is not a valid float
        SET f word => OK
        INCRBYFLOAT f 1 => !ERR value is not a valid float
    "#;
    // One line of it is too long to read: a number of 4,933 digits, compared by its beginning only.
    let script: String =
        script.lines().filter(|line| !line.contains("1e4932")).map(|line| format!("{line}\n")).collect();
    check(bench, &script).await;
    let replies = bench.store.call(text::command("INCRBYFLOAT huge 1e4932")).await.expect("it is answered");
    let huge = text::reply(&replies);
    assert!(huge.starts_with("\"10000000000000000000") && huge.len() == 4_935, "{huge}");
}
