//! Commands on sets, with the replies that both stores must give.

use super::Bench;
use super::script::check;

pub(super) async fn members(bench: &Bench) {
    let script = r#"
        SCARD s => 0
        SMEMBERS s => ~[]
        SADD s a b a => 2
        SADD s b c => 1
        TYPE s => set
        SCARD s => 3
        SMEMBERS s => ~["a" "b" "c"]
        SISMEMBER s a => 1
        SISMEMBER s none => 0
        SISMEMBER none a => 0
        SMISMEMBER s a none b => [1 0 1]
        SMISMEMBER none a b => [0 0]
        SADD n 1 2 3 => 3
        SADD n 01 -0 => 2
        SMEMBERS n => ~["-0" "01" "1" "2" "3"]
        SADD s "" \x00\xff => 2
        SREM s "" \x00\xff none => 2
        EXPIRE s 100 => 1
        SREM s a a none => 1
        TTL s => ~100
        SREM none a => 0
        SREM s b c => 2
        EXISTS s => 0
        SADD s a => 1
        TTL s => -1
    "#;
    check(bench, script).await;
}

pub(super) async fn set_moves(bench: &Bench) {
    let script = r#"
        SADD a 1 2 3 => 3
        SADD b 3 4 => 2
        SMOVE a b 1 => 1
        SMOVE a b 3 => 1
        SMOVE a b none => 0
        SMEMBERS a => ~["2"]
        SMEMBERS b => ~["1" "3" "4"]
        SMOVE a a 2 => 1
        SMOVE a a 9 => 0
        SMOVE a new 2 => 1
        EXISTS a => 0
        SMOVE none b 1 => 0
        SMOVE none none 1 => 0
        SET s v => OK
        SMOVE none s 1 => 0
        SMOVE b s 9 => !WRONGTYPE Operation against a key holding the wrong kind of value
        SMOVE s b 9 => !WRONGTYPE Operation against a key holding the wrong kind of value
        SMOVE s s 9 => !WRONGTYPE Operation against a key holding the wrong kind of value
    "#;
    check(bench, script).await;
}

pub(super) async fn combinations(bench: &Bench) {
    let script = r#"
        SADD a 1 2 3 4 x => 5
        SADD b 2 3 5 x => 4
        SADD c 3 x y => 3
        SINTER a b c => ~["3" "x"]
        SINTER a => ~["1" "2" "3" "4" "x"]
        SINTER a a => ~["1" "2" "3" "4" "x"]
        SINTER a none => ~[]
        SINTER none => ~[]
        SUNION a b none c => ~["1" "2" "3" "4" "5" "x" "y"]
        SUNION none => ~[]
        SDIFF a b => ~["1" "4"]
        SDIFF a b c none => ~["1" "4"]
        SDIFF a a => ~[]
        SDIFF none a => ~[]
        SDIFF a none => ~["1" "2" "3" "4" "x"]
        SINTERSTORE d a b => 3
        SMEMBERS d => ~["2" "3" "x"]
        EXPIRE d 100 => 1
        SUNIONSTORE d c none => 3
        TTL d => -1
        SMEMBERS d => ~["3" "x" "y"]
        SDIFFSTORE d d a => 1
        SMEMBERS d => ~["y"]
        SINTERSTORE d a none => 0
        EXISTS d => 0
        SINTERSTORE a a b => 3
        SMEMBERS a => ~["2" "3" "x"]
        SET s v => OK
        SINTERSTORE s a b => 3
        TYPE s => set
        SET s v => OK
        SDIFFSTORE s none a => 0
        EXISTS s => 0
        SET s v => OK
        SINTER none s => !WRONGTYPE Operation against a key holding the wrong kind of value
        SUNION a s => !WRONGTYPE Operation against a key holding the wrong kind of value
        SDIFF none s => !WRONGTYPE Operation against a key holding the wrong kind of value
        SINTERSTORE d s a => !WRONGTYPE Operation against a key holding the wrong kind of value
        EXISTS d => 0
    "#;
    check(bench, script).await;
}

pub(super) async fn the_size_of_an_intersection(bench: &Bench) {
    let script = r#"
        SADD a 1 2 3 4 => 4
        SADD b 2 3 4 5 => 4
        SINTERCARD 2 a b => 3
        SINTERCARD 1 a => 4
        SINTERCARD 2 a none => 0
        SINTERCARD 2 a b LIMIT 2 => 2
        SINTERCARD 2 a b limit 9 => 3
        SINTERCARD 2 a b LIMIT 0 => 3
        SINTERCARD 2 a b LIMIT 0 LIMIT 1 => 1
        SINTERCARD 0 a => !ERR numkeys should be greater than 0
        SINTERCARD -1 a => !ERR numkeys should be greater than 0
        SINTERCARD word a => !ERR numkeys should be greater than 0
        SINTERCARD 3 a b => !ERR Number of keys can't be greater than number of args
        SINTERCARD 9223372036854775807 a b => !ERR Number of keys can't be greater than number of args
        SINTERCARD 1 a b => !ERR syntax error
        SINTERCARD 2 a b LIMIT => !ERR syntax error
        SINTERCARD 2 a b LIMIT -1 => !ERR LIMIT can't be negative
        SINTERCARD 2 a b LIMIT word => !ERR LIMIT can't be negative
        SINTERCARD 1 a LIMIT 1 more => !ERR syntax error
        SET s v => OK
        SINTERCARD 2 a s => !WRONGTYPE Operation against a key holding the wrong kind of value
        SINTERCARD 2 none s => !WRONGTYPE Operation against a key holding the wrong kind of value
    "#;
    check(bench, script).await;
}

pub(super) async fn random_members(bench: &Bench) {
    let script = r#"
        SRANDMEMBER none => nil
        SRANDMEMBER none 3 => []
        SADD s a b c => 3
        SRANDMEMBER s => 1 of ["a" "b" "c"]
        SRANDMEMBER s 0 => []
        SRANDMEMBER s 2 => 2 in ["a" "b" "c"]
        SRANDMEMBER s 9 => *["a" "b" "c"]
        SRANDMEMBER s -7 => 7 from ["a" "b" "c"]
        SRANDMEMBER s word => !ERR value is not an integer or out of range
        SRANDMEMBER s -9223372036854775808 => !ERR value is out of range, value must between -9223372036854775807 and 9223372036854775807
        SRANDMEMBER s word more => !ERR syntax error
        SPOP none => nil
        SPOP none 3 => ~[]
        SPOP s 0 => ~[]
        SCARD s => 3
        SPOP s => 1 of ["a" "b" "c"]
        SCARD s => 2
        SADD s a b c => 1
        EXPIRE s 100 => 1
        SPOP s 2 => 2 in ["a" "b" "c"]
        TTL s => ~100
        SPOP s 2 => 1 in ["a" "b" "c"]
        EXISTS s => 0
        SADD s a b => 2
        SPOP s 9 => ~["a" "b"]
        SPOP s -1 => !ERR value is out of range, must be positive
        SPOP none word => !ERR value is out of range, must be positive
        SPOP s 1 2 => !ERR syntax error
    "#;
    check(bench, script).await;
}
