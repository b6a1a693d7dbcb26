//! Commands on hashes, with the replies that both stores must give.

use super::Bench;
use super::script::check;

pub(super) async fn fields(bench: &Bench) {
    let script = r#"
        HGET h f => nil
        HLEN h => 0
        HSET h f v => 1
        HSET h f w g x => 1
        HGET h f => "w"
        HGET h none => nil
        HMSET h a 1 b 2 => OK
        HLEN h => 4
        HMGET h b none a b => ["2" nil "1" "2"]
        HMGET none a b => [nil nil]
        HSETNX h a 9 => 0
        HSETNX h c 3 => 1
        HSETNX new f v => 1
        HGET h a => "1"
        HEXISTS h a => 1
        HEXISTS h none => 0
        HEXISTS none a => 0
        HSTRLEN h f => 1
        HSTRLEN h none => 0
        HSTRLEN none a => 0
        HGETALL h => {"a": "1", "b": "2", "c": "3", "f": "w", "g": "x"}
        HGETALL none => {}
        HKEYS h => *["a" "b" "c" "f" "g"]
        HVALS h => *["1" "2" "3" "w" "x"]
        HKEYS none => []
        HVALS none => []
        HDEL h a none a b => 2
        HLEN h => 3
        HDEL none a => 0
        HSET h "" "" => 1
        HGET h "" => ""
        HSET h \x00\xff \x0d\x0a => 1
        HGET h \x00\xff => "\r\n"
        HSET h f => !ERR wrong number of arguments for 'hset' command
        HSET h f v g => !ERR wrong number of arguments for 'hset' command
        HMSET h f v g => !ERR wrong number of arguments for 'hmset' command
        TYPE h => hash
    "#;
    check(bench, script).await;
}

pub(super) async fn the_last_field_takes_the_hash_with_it(bench: &Bench) {
    let script = r#"
        HSET h a 1 b 2 => 2
        EXPIRE h 100 => 1
        HDEL h a => 1
        TTL h => ~100
        HDEL h b => 1
        EXISTS h => 0
        TYPE h => none
        HSET h a 1 => 1
        TTL h => -1
        HINCRBY none a word => !ERR value is not an integer or out of range
        EXISTS none => 0
    "#;
    check(bench, script).await;
}

pub(super) async fn numbers_in_fields(bench: &Bench) {
    let script = r#"
        HINCRBY h n 5 => 5
        HINCRBY h n -7 => -2
        HGET h n => "-2"
        EXPIRE h 100 => 1
        HINCRBY h n 1 => -1
        TTL h => ~100
        HSET h n 9223372036854775807 => 0
        HINCRBY h n 1 => !ERR increment or decrement would overflow
        HSET h n -9223372036854775808 => 0
        HINCRBY h n -1 => !ERR increment or decrement would overflow
        HINCRBY h n 1.5 => !ERR value is not an integer or out of range
        HINCRBY h n word => !ERR value is not an integer or out of range
        HSET h w word e "" z 007 => 3
        HINCRBY h w 1 => !ERR hash value is not an integer
        HINCRBY h e 1 => !ERR hash value is not an integer
        HINCRBY h z 1 => !ERR hash value is not an integer
        HINCRBYFLOAT h f 10.5 => "10.5"
        HINCRBYFLOAT h f 0.1 => "10.6"
        HINCRBYFLOAT h f -5 => "5.6"
        HGET h f => "5.6"
        HSET h f 5.0e3 => 0
        HINCRBYFLOAT h f 2.0e2 => "5200"
        HINCRBYFLOAT h w 1 => !ERR hash value is not a float
        HINCRBYFLOAT h e 1 => !ERR hash value is not a float
        HINCRBYFLOAT h f word => !ERR value is not a valid float
        HINCRBYFLOAT h f nan => !ERR value is not a valid float
        HINCRBYFLOAT h f inf => !ERR value is NaN or Infinity
        HINCRBYFLOAT h f -inf => !ERR value is NaN or Infinity
        HSET h i inf => 1
        HINCRBYFLOAT h i 1 => !ERR increment would produce NaN or Infinity
        TTL h => ~100
    "#;
    check(bench, script).await;
}

pub(super) async fn random_fields(bench: &Bench) {
    let script = r#"
        HRANDFIELD none => nil
        HRANDFIELD none 5 => []
        HRANDFIELD none 5 WITHVALUES => []
        HRANDFIELD none -5 => []
        HSET h a 1 b 2 c 3 => 3
        HRANDFIELD h => 1 of ["a" "b" "c"]
        HRANDFIELD h 0 => []
        HRANDFIELD h 2 => 2 in ["a" "b" "c"]
        HRANDFIELD h 3 => *["a" "b" "c"]
        HRANDFIELD h 9 => *["a" "b" "c"]
        HRANDFIELD h -7 => 7 from ["a" "b" "c"]
        HRANDFIELD h 9 withvalues => *[["a" "1"] ["b" "2"] ["c" "3"]]
        HRANDFIELD h 2 WITHVALUES => 2 in [["a" "1"] ["b" "2"] ["c" "3"]]
        HRANDFIELD h -4 WITHVALUES => 4 from [["a" "1"] ["b" "2"] ["c" "3"]]
        HRANDFIELD h 0 WITHVALUES => []
        HRANDFIELD h word => !ERR value is not an integer or out of range
        HRANDFIELD h 1 word => !ERR syntax error
        HRANDFIELD none 1 word => !ERR syntax error
        HRANDFIELD h 1 WITHVALUES more => !ERR syntax error
        HRANDFIELD h -9223372036854775808 => !ERR value is out of range, value must between -9223372036854775807 and 9223372036854775807
        HRANDFIELD h 9223372036854775807 WITHVALUES => !ERR value is out of range
        HRANDFIELD h -9223372036854775807 WITHVALUES => !ERR value is out of range
        HRANDFIELD h 9223372036854775807 => *["a" "b" "c"]
    "#;
    check(bench, script).await;
}
