//! Patterns as Redis' `stringmatchlen` has them: `*`, `?`, `[a-z]`, `[^x]`, `\` before a special character.

/// Whether `text` matches, in any case of letters.
#[must_use]
pub(super) fn matches(pattern: &[u8], text: &[u8]) -> bool {
    // Only the last star needs to be tried again: an earlier one that matched as little as it can has done its part.
    let (mut pattern, mut text) = (pattern, text);
    let mut star: Option<(&[u8], &[u8])> = None;
    loop {
        if let [b'*', rest @ ..] = pattern {
            star = Some((rest, text));
            pattern = rest;
        } else if let Some(rest) = text.split_first().and_then(|(&byte, _)| one(pattern, byte)) {
            pattern = rest;
            text = &text[1..];
        } else if pattern.is_empty() && text.is_empty() {
            return true;
        } else {
            match star {
                Some((after, [_, tail @ ..])) => {
                    star = Some((after, tail));
                    (pattern, text) = (after, tail);
                }
                _ => return false,
            }
        }
    }
}

/// What is left of the pattern if its first item, which is no star, matches the byte.
fn one(pattern: &[u8], byte: u8) -> Option<&[u8]> {
    let (matched, rest) = match pattern {
        [] => return None,
        [b'?', rest @ ..] => (true, rest),
        [b'[', rest @ ..] => class(rest, byte),
        [b'\\', escaped, rest @ ..] => (escaped.eq_ignore_ascii_case(&byte), rest),
        [literal, rest @ ..] => (literal.eq_ignore_ascii_case(&byte), rest),
    };
    matched.then_some(rest)
}

/// Whether the byte is in a class whose bracket is open, and what follows it. A class that is not closed ends with the pattern.
fn class(pattern: &[u8], byte: u8) -> (bool, &[u8]) {
    let (negated, mut rest) = match pattern {
        [b'^', rest @ ..] => (true, rest),
        rest => (false, rest),
    };
    let byte = byte.to_ascii_lowercase();
    let mut found = false;
    loop {
        rest = match rest {
            [] => return (found != negated, &[]),
            [b']', rest @ ..] => return (found != negated, rest),
            [b'\\', escaped, rest @ ..] => {
                found |= escaped.to_ascii_lowercase() == byte;
                rest
            }
            [from, b'-', to, rest @ ..] => {
                let (from, to) = (from.to_ascii_lowercase(), to.to_ascii_lowercase());
                found |= (from.min(to)..=from.max(to)).contains(&byte);
                rest
            }
            [literal, rest @ ..] => {
                found |= literal.to_ascii_lowercase() == byte;
                rest
            }
        };
    }
}

#[cfg(test)]
mod tests {
    use super::matches;

    #[test]
    fn patterns() {
        for (pattern, text, expected) in [
            ("", "", true),
            ("", "a", false),
            ("*", "", true),
            ("max*", "maxmemory", true),
            ("MAX*", "maxmemory", true),
            ("*memory*", "maxmemory-policy", true),
            ("*a*b*c", "xaxbxbxc", true),
            ("*a*b*c", "xaxcxb", false),
            ("h?llo", "hello", true),
            ("h?llo", "hllo", false),
            ("h[ae]llo", "hallo", true),
            ("h[^ae]llo", "hallo", false),
            ("h[a-c]llo", "hbllo", true),
            ("h[a-c]llo", "hdllo", false),
            (r"h\*llo", "h*llo", true),
            (r"h\*llo", "hello", false),
            ("a[bc", "ab", true),
            ("ab", "a", false),
            ("a", "ab", false),
        ] {
            assert_eq!(matches(pattern.as_bytes(), text.as_bytes()), expected, "{pattern} {text}");
        }
    }

    #[test]
    fn a_hostile_pattern_ends() {
        assert!(!matches("*a".repeat(200).as_bytes(), "a".repeat(199).as_bytes()));
    }
}
