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
