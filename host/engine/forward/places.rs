//! Which words of a command are keys.

use crate::ports::upstream::Facts;

/// The places of the keys; `None` if only the server can tell. Scripts say themselves how many keys they have, and where is
/// fixed: asking the server would cost each of them a round trip.
pub(super) fn of(facts: &Facts, words: &[&[u8]]) -> Option<Vec<usize>> {
    let is = |name: &&str| words[0].eq_ignore_ascii_case(name.as_bytes());
    if ["eval", "evalsha", "eval_ro", "evalsha_ro", "fcall", "fcall_ro"].iter().any(is) {
        let count: usize = std::str::from_utf8(words.get(2)?).ok()?.parse().ok()?;
        let end = count.checked_add(3)?;
        // More than there are words is for the server to refuse.
        return (end <= words.len()).then(|| (3..end).collect());
    }
    // A channel, which the server describes as if it were a key.
    if is(&"spublish") {
        return Some(Vec::new());
    }
    (!facts.movable).then(|| facts.places(words.len()).collect())
}

/// What Redis itself answers to a command of which it can tell no keys, as their number is wrong.
pub(super) fn mistake(words: &[&[u8]]) -> &'static str {
    const NO_NUMBER: &str = "ERR value is not an integer or out of range";
    const SYNTAX: &str = "ERR syntax error";
    let is = |names: &[&str]| names.iter().any(|name| words[0].eq_ignore_ascii_case(name.as_bytes()));
    let number = |at: usize| -> Option<i64> { std::str::from_utf8(words.get(at)?).ok()?.parse().ok() };
    if is(&["eval", "evalsha", "eval_ro", "evalsha_ro", "fcall", "fcall_ro"]) {
        return match number(2) {
            None if is(&["fcall", "fcall_ro"]) => "ERR Bad number of keys provided",
            None => NO_NUMBER,
            Some(..0) => "ERR Number of keys can't be negative",
            Some(_) => "ERR Number of keys can't be greater than number of args",
        };
    }
    let counts_at = |at: usize| if number(at) > Some(0) { SYNTAX } else { "ERR numkeys should be greater than 0" };
    if is(&["blmpop", "bzmpop"]) {
        return counts_at(2);
    }
    if is(&["sintercard"]) && number(1) > Some(0) {
        return "ERR Number of keys can't be greater than number of args";
    }
    if is(&["sintercard", "lmpop", "zmpop"]) {
        return counts_at(1);
    }
    for (name, at, none) in AT_LEAST_ONE {
        if is(&[name]) {
            return number(at).map_or(NO_NUMBER, |number| if number < 1 { none } else { SYNTAX });
        }
    }
    SYNTAX
}

/// Commands on as many sorted sets as one of their words says, which word that is, and what they answer to none.
const AT_LEAST_ONE: [(&str, usize, &str); 7] = [
    ("zunion", 1, "ERR at least 1 input key is needed for 'zunion' command"),
    ("zinter", 1, "ERR at least 1 input key is needed for 'zinter' command"),
    ("zdiff", 1, "ERR at least 1 input key is needed for 'zdiff' command"),
    ("zintercard", 1, "ERR at least 1 input key is needed for 'zintercard' command"),
    ("zunionstore", 2, "ERR at least 1 input key is needed for 'zunionstore' command"),
    ("zinterstore", 2, "ERR at least 1 input key is needed for 'zinterstore' command"),
    ("zdiffstore", 2, "ERR at least 1 input key is needed for 'zdiffstore' command"),
];

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(facts: &Facts, line: &str, expect: Option<&[usize]>) {
        let words: Vec<&[u8]> = line.split(' ').map(str::as_bytes).collect();
        assert_eq!(of(facts, &words).as_deref(), expect, "{line}");
    }

    #[test]
    fn places_of_keys() {
        let script = Facts { movable: true, ..Facts::default() };
        check(&script, "EVAL s 2 a b c", Some(&[3, 4]));
        check(&script, "eval s 0 a", Some(&[]));
        check(&script, "EVALSHA s 3 a", None);
        check(&script, "EVALSHA s -1 a", None);
        check(&script, "EVALSHA s 18446744073709551615 a", None);
        check(&script, "EVAL s", None);
        check(&script, "XREAD STREAMS s 0", None);
        let one = Facts { first: 1, last: 1, step: 1, ..Facts::default() };
        check(&one, "ZADD k 1 m", Some(&[1]));
        check(&one, "ZADD", Some(&[]));
        check(&Facts { first: 1, last: -2, step: 1, ..Facts::default() }, "BLPOP a b 0", Some(&[1, 2]));
        check(&Facts { first: 2, last: 2, step: 1, ..Facts::default() }, "OBJECT ENCODING k", Some(&[2]));
        check(&Facts::default(), "PUBLISH c m", Some(&[]));
    }
}
