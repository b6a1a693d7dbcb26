//! Redis' glob patterns: `*`, `?`, `[a-z]`, `[^a-z]`, and `\` before a character that means itself.
//!
//! Matching takes time in proportion to pattern times text at most: after a mismatch only the last `*` can take more.
//! Invariant: what is malformed means what it means in Redis: `[` without an end is closed by the end of the pattern, a `\` at
//! the end is itself, an empty text matches an empty pattern alone.

/// A pattern.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Pattern(Vec<Part>);

/// What stands for a part of the text.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Part {
    /// `*`: any text.
    Any,
    /// `?`: any byte.
    One,
    /// A byte.
    Byte(u8),
    /// `[…]`: a byte that is in one of these ranges, or in none.
    Class { negated: bool, ranges: Vec<(i8, i8)> },
}

impl Pattern {
    /// Reads one.
    #[must_use]
    pub fn new(mut pattern: &[u8]) -> Self {
        let mut parts = Vec::new();
        while let [first, rest @ ..] = pattern {
            let (part, rest) = match (first, rest) {
                (b'*', _) => (Part::Any, rest),
                (b'?', _) => (Part::One, rest),
                (b'[', _) => class(rest),
                (b'\\', [byte, rest @ ..]) => (Part::Byte(*byte), rest),
                (byte, _) => (Part::Byte(*byte), rest),
            };
            if part != Part::Any || parts.last() != Some(&Part::Any) {
                parts.push(part);
            }
            pattern = rest;
        }
        Self(parts)
    }

    /// Whether every text matches, the empty one as well where Redis does not look at the pattern.
    #[must_use]
    pub fn is_everything(pattern: &[u8]) -> bool {
        pattern == b"*"
    }

    /// Whether a text matches, byte for byte.
    #[must_use]
    pub fn matches(&self, text: &[u8]) -> bool {
        let Self(parts) = self;
        if text.is_empty() {
            return parts.is_empty();
        }
        let (mut part, mut at) = (0, 0);
        // The last `*` so far, and where the text behind it begins.
        let mut star = None;
        while at < text.len() {
            match parts.get(part) {
                Some(Part::Any) => {
                    star = Some((part + 1, at));
                    part += 1;
                }
                Some(single) if single.holds(text[at]) => {
                    part += 1;
                    at += 1;
                }
                _ => {
                    let Some((behind, begin)) = star else { return false };
                    star = Some((behind, begin + 1));
                    (part, at) = (behind, begin + 1);
                }
            }
        }
        parts[part..].iter().all(|part| *part == Part::Any)
    }
}

impl Part {
    fn holds(&self, byte: u8) -> bool {
        match self {
            Self::Any | Self::One => true,
            Self::Byte(wanted) => *wanted == byte,
            // Bytes are signed there, which decides what a range over 127 holds.
            Self::Class { negated, ranges } => {
                let byte = byte.cast_signed();
                ranges.iter().any(|&(low, high)| low <= byte && byte <= high) != *negated
            }
        }
    }
}

/// A class from what stands behind its `[`; also what stands behind it.
fn class(pattern: &[u8]) -> (Part, &[u8]) {
    let (negated, mut pattern) = match pattern {
        [b'^', rest @ ..] => (true, rest),
        _ => (false, pattern),
    };
    let mut ranges = Vec::new();
    loop {
        let (low, high, rest) = match pattern {
            [] => return (Part::Class { negated, ranges }, pattern),
            [b'\\', byte, rest @ ..] => (*byte, *byte, rest),
            [b']', rest @ ..] => return (Part::Class { negated, ranges }, rest),
            [low, b'-', high, rest @ ..] => (*low, *high, rest),
            [byte, rest @ ..] => (*byte, *byte, rest),
        };
        let (low, high) = (low.cast_signed(), high.cast_signed());
        ranges.push((low.min(high), low.max(high)));
        pattern = rest;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(pattern: &str, yes: &[&str], no: &[&str]) {
        let compiled = Pattern::new(pattern.as_bytes());
        for (texts, expect) in [(yes, true), (no, false)] {
            for text in texts {
                assert_eq!(compiled.matches(text.as_bytes()), expect, "{pattern:?} {text:?}");
            }
        }
    }

    #[test]
    fn a_pattern_matches_as_in_redis() {
        check("", &[""], &["a"]);
        check("*", &["a", "abc"], &[""]);
        check("a*c", &["ac", "abc", "acbc"], &["ab", "acb", "c"]);
        check("*a*b*", &["ab", "xaybz"], &["ba", "a", "b"]);
        check("h?llo", &["hello", "hallo"], &["hllo", "heello"]);
        check("h[ae]llo", &["hello", "hallo"], &["hillo", "hllo"]);
        check("h[^e]llo", &["hallo"], &["hello"]);
        check("[a-c]", &["a", "b", "c"], &["d", "-", ""]);
        check("[c-a]", &["a", "b", "c"], &["d"]);
        check("[a-]", &["a", "]", "_"], &["-", "b"]);
        check("[\\]]", &["]"], &["\\"]);
        check("[a", &["a"], &["[a", "b"]);
        check("[^", &["a", "^"], &[""]);
        check("[]a", &[], &["a", "]a"]);
        check("\\*", &["*"], &["a", "\\*"]);
        check("a\\", &["a\\"], &["a"]);
        check("chat:v1:*:user:[0-9][0-9]", &["chat:v1:profile:user:42"], &["chat:v1:profile:user:4"]);
    }

    #[test]
    fn a_pattern_of_many_stars_takes_no_longer_than_it_is() {
        let text = "a".repeat(10_000);
        assert!(!Pattern::new(format!("{}b", "*a".repeat(500)).as_bytes()).matches(text.as_bytes()));
    }
}
