//! Commands on lists, with the replies that both stores must give.

use super::Bench;
use super::script::check;

pub(super) async fn ends(bench: &Bench) {
    let script = r#"
        LLEN l => 0
        LPUSH l a => 1
        LPUSH l b c => 3
        RPUSH l d e => 5
        LRANGE l 0 -1 => ["c" "b" "a" "d" "e"]
        TYPE l => list
        LPUSHX none x => 0
        RPUSHX none x => 0
        EXISTS none => 0
        LPUSHX l f g => 7
        RPUSHX l h => 8
        LPOP l => "g"
        RPOP l => "h"
        LPOP l 2 => ["f" "c"]
        RPOP l 2 => ["e" "d"]
        LPOP l 0 => []
        RPOP l 0 => []
        LPOP none => nil
        LPOP none 3 => nil
        LPOP none 0 => nil
        RPUSH l "" \x00\xff => 4
        LRANGE l 0 -1 => ["b" "a" "" "\x00\xff"]
        EXPIRE l 100 => 1
        LPOP l 3 => ["b" "a" ""]
        TTL l => ~100
        RPOP l 9 => ["\x00\xff"]
        EXISTS l => 0
        LPOP l word => !ERR value is out of range, must be positive
        LPOP l -1 => !ERR value is out of range, must be positive
        RPOP none word => !ERR value is out of range, must be positive
        RPOP l 1 2 => !ERR wrong number of arguments for 'rpop' command
        LPOP l 1 2 => !ERR wrong number of arguments for 'lpop' command
    "#;
    check(bench, script).await;
}

pub(super) async fn places(bench: &Bench) {
    let script = r#"
        RPUSH l a b c d e => 5
        LRANGE l 1 3 => ["b" "c" "d"]
        LRANGE l -2 -1 => ["d" "e"]
        LRANGE l -100 100 => ["a" "b" "c" "d" "e"]
        LRANGE l 3 1 => []
        LRANGE l 5 9 => []
        LRANGE l 0 -6 => []
        LRANGE l -9223372036854775808 9223372036854775807 => ["a" "b" "c" "d" "e"]
        LRANGE none 0 -1 => []
        LRANGE l word 1 => !ERR value is not an integer or out of range
        LRANGE none 0 word => !ERR value is not an integer or out of range
        LINDEX l 0 => "a"
        LINDEX l -1 => "e"
        LINDEX l 5 => nil
        LINDEX l -6 => nil
        LINDEX none word => nil
        LINDEX l word => !ERR value is not an integer or out of range
        LSET l 1 B => OK
        LSET l -1 E => OK
        LRANGE l 0 -1 => ["a" "B" "c" "d" "E"]
        LSET l 5 x => !ERR index out of range
        LSET l -6 x => !ERR index out of range
        LSET l word x => !ERR value is not an integer or out of range
        LSET none word x => !ERR no such key
        LINSERT l BEFORE c x => 6
        LINSERT l after c y => 7
        LINSERT l AFTER E z => 8
        LINSERT l BEFORE a 0 => 9
        LRANGE l 0 -1 => ["0" "a" "B" "x" "c" "y" "d" "E" "z"]
        LINSERT l BEFORE none x => -1
        LINSERT none BEFORE a x => 0
        LINSERT none beside a x => !ERR syntax error
        EXPIRE l 100 => 1
        LTRIM l 1 -2 => OK
        LRANGE l 0 -1 => ["a" "B" "x" "c" "y" "d" "E"]
        LTRIM l -3 100 => OK
        LRANGE l 0 -1 => ["y" "d" "E"]
        TTL l => ~100
        LTRIM l 5 9 => OK
        EXISTS l => 0
        LTRIM l 0 1 => OK
        LTRIM none word 1 => !ERR value is not an integer or out of range
    "#;
    check(bench, script).await;
}

pub(super) async fn elements_by_value(bench: &Bench) {
    let script = r#"
        RPUSH l a b a c a b a => 7
        LREM l 1 a => 1
        LRANGE l 0 -1 => ["b" "a" "c" "a" "b" "a"]
        LREM l -2 a => 2
        LRANGE l 0 -1 => ["b" "a" "c" "b"]
        LREM l 0 b => 2
        LRANGE l 0 -1 => ["a" "c"]
        LREM l 0 none => 0
        LREM l 9 a => 1
        LREM l -9223372036854775807 c => 1
        EXISTS l => 0
        LREM l 0 a => 0
        LREM none word a => !ERR value is not an integer or out of range
        RPUSH l a b c 1 2 3 c c => 8
        LPOS l c => 2
        LPOS l c RANK 2 => 6
        LPOS l c RANK -1 => 7
        LPOS l c RANK -3 => 2
        LPOS l c RANK 9 => nil
        LPOS l c COUNT 0 => [2 6 7]
        LPOS l c COUNT 2 => [2 6]
        LPOS l c COUNT 2 RANK -1 => [7 6]
        LPOS l c RANK 2 COUNT 9 => [6 7]
        LPOS l c COUNT 0 MAXLEN 7 => [2 6]
        LPOS l c RANK -1 MAXLEN 1 => 7
        LPOS l a RANK -1 MAXLEN 7 => nil
        LPOS l a RANK -1 MAXLEN 0 => 0
        LPOS l none => nil
        LPOS l none COUNT 1 => []
        LPOS none a => nil
        LPOS none a COUNT 1 => []
        LPOS l c RANK 0 => !ERR RANK can't be zero: use 1 to start from the first match, 2 from the second ... or use negative to start from the end of the list
        LPOS l c RANK word => !ERR value is not an integer or out of range
        LPOS l c COUNT -1 => !ERR COUNT can't be negative
        LPOS l c COUNT word => !ERR COUNT can't be negative
        LPOS l c MAXLEN -1 => !ERR MAXLEN can't be negative
        LPOS l c RANK => !ERR syntax error
        LPOS l c RANK 0 COUNT => !ERR RANK can't be zero: use 1 to start from the first match, 2 from the second ... or use negative to start from the end of the list
        LPOS l c word 1 => !ERR syntax error
    "#;
    check(bench, script).await;
}

pub(super) async fn moves(bench: &Bench) {
    let script = r#"
        RPUSH a 1 2 3 => 3
        RPUSH b x => 1
        EXPIRE a 100 => 1
        LMOVE a b RIGHT LEFT => "3"
        LRANGE b 0 -1 => ["3" "x"]
        LMOVE a b left right => "1"
        LRANGE b 0 -1 => ["3" "x" "1"]
        RPOPLPUSH b a => "1"
        LRANGE a 0 -1 => ["1" "2"]
        LMOVE a a LEFT RIGHT => "1"
        RPOPLPUSH a a => "1"
        LMOVE a a LEFT LEFT => "1"
        LRANGE a 0 -1 => ["1" "2"]
        TTL a => ~100
        RPOP a => "2"
        LMOVE a a LEFT RIGHT => "1"
        TTL a => ~100
        LMOVE a new LEFT LEFT => "1"
        EXISTS a => 0
        TTL new => -1
        LMOVE none b LEFT LEFT => nil
        RPOPLPUSH none b => nil
        LMOVE b b LEFT up => !ERR syntax error
        LMOVE b b up LEFT => !ERR syntax error
        SET s v => OK
        LMOVE b s LEFT LEFT => !WRONGTYPE Operation against a key holding the wrong kind of value
        LMOVE s b LEFT LEFT => !WRONGTYPE Operation against a key holding the wrong kind of value
        LMOVE none s LEFT LEFT => nil
        RPOPLPUSH b s => !WRONGTYPE Operation against a key holding the wrong kind of value
        LRANGE b 0 -1 => ["3" "x"]
    "#;
    check(bench, script).await;
}
