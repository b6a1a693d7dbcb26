//! Commands as plain lines, as people type them: words between spaces, quotes as in Redis' `sdssplitargs`.
//!
//! In double quotes `\n \r \t \b \a \xHH` are escapes and `\` before anything else is dropped; in single quotes only `\'` is
//! one. After a closing quote comes a space or the end.

use super::args::Span;
use super::frame::ProtocolError;

/// Splits a line without its end. The words are written one after the other to `text`, where they are to `spans`.
///
/// # Errors
/// [`ProtocolError::UnbalancedQuotes`].
pub(super) fn split(line: &[u8], text: &mut Vec<u8>, spans: &mut Vec<Span>) -> Result<(), ProtocolError> {
    let mut rest = line;
    loop {
        rest = skip_spaces(rest);
        if rest.is_empty() {
            return Ok(());
        }
        let start = text.len();
        rest = word(rest, text)?;
        spans.push((offset(start), offset(text.len())));
    }
}

/// An inline command is short: its bound is far below what a span can say.
const fn offset(at: usize) -> u32 {
    at as u32
}

/// `isspace` of C: with the vertical tab, which `u8::is_ascii_whitespace` leaves out.
const fn is_space(byte: u8) -> bool {
    matches!(byte, b' ' | b'\t' | b'\n' | b'\x0b' | b'\x0c' | b'\r')
}

fn skip_spaces(line: &[u8]) -> &[u8] {
    &line[line.iter().take_while(|&&byte| is_space(byte)).count()..]
}

/// Takes one word, which may be glued from plain and quoted parts; answers what is left of the line.
fn word<'a>(mut rest: &'a [u8], text: &mut Vec<u8>) -> Result<&'a [u8], ProtocolError> {
    loop {
        rest = match rest {
            [] => return Ok(rest),
            [byte, ..] if is_space(*byte) => return Ok(rest),
            [b'"', quoted @ ..] => return closed(double_quoted(quoted, text)?),
            [b'\'', quoted @ ..] => return closed(single_quoted(quoted, text)?),
            [byte, tail @ ..] => {
                text.push(*byte);
                tail
            }
        };
    }
}

fn closed(rest: &[u8]) -> Result<&[u8], ProtocolError> {
    match rest {
        [byte, ..] if !is_space(*byte) => Err(ProtocolError::UnbalancedQuotes),
        _ => Ok(rest),
    }
}

fn double_quoted<'a>(mut rest: &'a [u8], text: &mut Vec<u8>) -> Result<&'a [u8], ProtocolError> {
    loop {
        rest = match rest {
            [] => return Err(ProtocolError::UnbalancedQuotes),
            [b'"', tail @ ..] => return Ok(tail),
            [b'\\', b'x', high, low, tail @ ..] if high.is_ascii_hexdigit() && low.is_ascii_hexdigit() => {
                text.push(hex(*high) << 4 | hex(*low));
                tail
            }
            [b'\\', escaped, tail @ ..] => {
                text.push(match escaped {
                    b'n' => b'\n',
                    b'r' => b'\r',
                    b't' => b'\t',
                    b'b' => 0x08,
                    b'a' => 0x07,
                    other => *other,
                });
                tail
            }
            [byte, tail @ ..] => {
                text.push(*byte);
                tail
            }
        };
    }
}

fn single_quoted<'a>(mut rest: &'a [u8], text: &mut Vec<u8>) -> Result<&'a [u8], ProtocolError> {
    loop {
        rest = match rest {
            [] => return Err(ProtocolError::UnbalancedQuotes),
            [b'\'', tail @ ..] => return Ok(tail),
            [b'\\', b'\'', tail @ ..] => {
                text.push(b'\'');
                tail
            }
            [byte, tail @ ..] => {
                text.push(*byte);
                tail
            }
        };
    }
}

const fn hex(digit: u8) -> u8 {
    match digit {
        b'0'..=b'9' => digit - b'0',
        b'a'..=b'f' => digit - b'a' + 10,
        _ => digit - b'A' + 10,
    }
}

#[cfg(test)]
mod tests {
    use super::{ProtocolError, split};

    #[track_caller]
    fn check(line: &[u8], words: Result<&[&[u8]], ProtocolError>) {
        let (mut text, mut spans) = (Vec::new(), Vec::new());
        let split = split(line, &mut text, &mut spans);
        let found: Vec<&[u8]> = spans.iter().map(|&(start, end)| &text[start as usize..end as usize]).collect();
        assert_eq!(split.map(|()| found.as_slice()), words, "{}", String::from_utf8_lossy(line));
    }

    #[test]
    fn words_as_redis_splits_them() {
        check(b"", Ok(&[]));
        check(b" \t ", Ok(&[]));
        check(b"PING", Ok(&[b"PING"]));
        check(b"  set  k\tv\x0bw ", Ok(&[b"set", b"k", b"v", b"w"]));
        check(br#"set "a b" 'c d'"#, Ok(&[b"set", b"a b", b"c d"]));
        check(br#"echo "" ''"#, Ok(&[b"echo", b"", b""]));
        check(br#"echo "\x41\xfF\n\r\t\b\a\\\"\q""#, Ok(&[b"echo", b"A\xff\n\r\t\x08\x07\\\"q"]));
        check(br#"echo "\xZZ\x4""#, Ok(&[b"echo", b"xZZx4"]));
        check(br"echo 'it\'s' 'a\n'", Ok(&[b"echo", b"it's", b"a\\n"]));
        check(br#"echo glued"to gether""#, Ok(&[b"echo", b"gluedto gether"]));
    }

    #[test]
    fn quotes_must_close() {
        for line in [&br#"echo "a"#[..], b"echo 'a", br#"echo "a"b"#, b"echo 'a'b", br#"echo "a\"#, br#"echo "\x4"#] {
            check_unbalanced(line);
        }
    }

    #[track_caller]
    fn check_unbalanced(line: &[u8]) {
        assert_eq!(split(line, &mut Vec::new(), &mut Vec::new()), Err(ProtocolError::UnbalancedQuotes));
    }
}
