//! Writes answers as RESP2 or RESP3.
//!
//! RESP2 has no maps, sets, doubles and booleans: they become flat lists, lists, strings and numbers, as Redis sends them to
//! clients that never said `HELLO 3`. Deliberately absent: attributes, which Redis itself does not send.

use crate::ports::store::Reply;
use crate::ports::upstream::Types;

/// The protocol that a client speaks.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Protocol {
    /// What every client begins with.
    #[default]
    Resp2,
    /// After `HELLO 3`.
    Resp3,
}

impl Protocol {
    /// Its number in `HELLO` and `CLIENT LIST`.
    #[must_use]
    pub const fn number(self) -> i64 {
        match self {
            Self::Resp2 => 2,
            Self::Resp3 => 3,
        }
    }

    /// The types in which Redis is to answer what goes through as it is.
    #[must_use]
    pub const fn types(self) -> Types {
        match self {
            Self::Resp2 => Types::Flat,
            Self::Resp3 => Types::Rich,
        }
    }
}

/// Writes an answer.
pub fn write(out: &mut Vec<u8>, protocol: Protocol, reply: &Reply) {
    match reply {
        Reply::Nil => out.extend_from_slice(if protocol == Protocol::Resp3 { b"_\r\n" } else { b"$-1\r\n" }),
        Reply::NilArray => out.extend_from_slice(if protocol == Protocol::Resp3 { b"_\r\n" } else { b"*-1\r\n" }),
        Reply::Status(text) => line(out, b'+', text),
        Reply::Error(text) => line(out, b'-', text.as_bytes()),
        Reply::Integer(number) => header(out, b':', *number),
        Reply::Bulk(bytes) => bulk(out, bytes),
        Reply::Array(items) => list(out, protocol, b'*', items),
        Reply::Set(items) => list(out, protocol, if protocol == Protocol::Resp3 { b'~' } else { b'*' }, items),
        Reply::Map(all) => {
            map_header(out, protocol, all.len());
            pairs(out, protocol, all);
        }
        Reply::Pairs(all) if protocol == Protocol::Resp2 => {
            header(out, b'*', size(all.len() * 2));
            pairs(out, protocol, all);
        }
        Reply::Pairs(all) => {
            header(out, b'*', size(all.len()));
            for pair in all {
                header(out, b'*', 2);
                pairs(out, protocol, std::slice::from_ref(pair));
            }
        }
        Reply::Double(number) => double(out, protocol, *number),
        Reply::Boolean(yes) => match (protocol, yes) {
            (Protocol::Resp3, true) => out.extend_from_slice(b"#t\r\n"),
            (Protocol::Resp3, false) => out.extend_from_slice(b"#f\r\n"),
            (Protocol::Resp2, yes) => header(out, b':', i64::from(*yes)),
        },
        Reply::Verbatim(form, text) => verbatim(out, protocol, form, text),
        Reply::BigNumber(digits) => match protocol {
            Protocol::Resp2 => bulk(out, digits),
            Protocol::Resp3 => line(out, b'(', digits),
        },
        Reply::Push(items) => list(out, protocol, if protocol == Protocol::Resp3 { b'>' } else { b'*' }, items),
    }
}

/// Writes bytes as they are.
pub fn bulk(out: &mut Vec<u8>, bytes: &[u8]) {
    out.reserve(bytes.len() + 32);
    header(out, b'$', size(bytes.len()));
    out.extend_from_slice(bytes);
    out.extend_from_slice(b"\r\n");
}

/// Writes text for people, which RESP3 marks as such.
pub fn text(out: &mut Vec<u8>, protocol: Protocol, text: &str) {
    verbatim(out, protocol, b"txt", text.as_bytes());
}

fn verbatim(out: &mut Vec<u8>, protocol: Protocol, form: &[u8], text: &[u8]) {
    match protocol {
        Protocol::Resp2 => bulk(out, text),
        Protocol::Resp3 => {
            header(out, b'=', size(form.len() + 1 + text.len()));
            out.extend_from_slice(form);
            out.push(b':');
            out.extend_from_slice(text);
            out.extend_from_slice(b"\r\n");
        }
    }
}

/// About how many bytes an answer takes; never less than the payload in it.
#[must_use]
pub fn weight(reply: &Reply) -> usize {
    const OVERHEAD: usize = 16;
    OVERHEAD
        + match reply {
            Reply::Status(bytes) | Reply::Bulk(bytes) | Reply::BigNumber(bytes) | Reply::Verbatim(_, bytes) => {
                bytes.len()
            }
            Reply::Error(text) => text.len(),
            Reply::Array(items) | Reply::Set(items) | Reply::Push(items) => items.iter().map(weight).sum(),
            Reply::Map(pairs) | Reply::Pairs(pairs) => {
                pairs.iter().map(|(name, value)| weight(name) + weight(value)).sum()
            }
            Reply::Nil | Reply::NilArray | Reply::Integer(_) | Reply::Double(_) | Reply::Boolean(_) => 0,
        }
}

fn size(len: usize) -> i64 {
    i64::try_from(len).unwrap_or(i64::MAX)
}

fn header(out: &mut Vec<u8>, kind: u8, number: i64) {
    out.push(kind);
    out.extend_from_slice(itoa::Buffer::new().format(number).as_bytes());
    out.extend_from_slice(b"\r\n");
}

/// A line ends at the first line break, so that none in it may begin another answer.
fn line(out: &mut Vec<u8>, kind: u8, text: &[u8]) {
    out.push(kind);
    out.extend(text.iter().map(|&byte| if matches!(byte, b'\r' | b'\n') { b' ' } else { byte }));
    out.extend_from_slice(b"\r\n");
}

fn list(out: &mut Vec<u8>, protocol: Protocol, kind: u8, items: &[Reply]) {
    header(out, kind, size(items.len()));
    for item in items {
        write(out, protocol, item);
    }
}

fn map_header(out: &mut Vec<u8>, protocol: Protocol, len: usize) {
    match protocol {
        Protocol::Resp2 => header(out, b'*', size(len * 2)),
        Protocol::Resp3 => header(out, b'%', size(len)),
    }
}

fn pairs(out: &mut Vec<u8>, protocol: Protocol, pairs: &[(Reply, Reply)]) {
    for (name, value) in pairs {
        write(out, protocol, name);
        write(out, protocol, value);
    }
}

fn double(out: &mut Vec<u8>, protocol: Protocol, number: f64) {
    let text = if number.is_nan() {
        "nan".to_owned()
    } else if number.is_infinite() {
        if number > 0.0 { "inf".to_owned() } else { "-inf".to_owned() }
    } else if number != 0.0 && !(1e-5..1e17).contains(&number.abs()) {
        format!("{number:e}")
    } else {
        number.to_string()
    };
    match protocol {
        Protocol::Resp2 => bulk(out, text.as_bytes()),
        Protocol::Resp3 => line(out, b',', text.as_bytes()),
    }
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;

    use super::{Protocol, text, weight, write};
    use crate::ports::store::Reply;

    #[track_caller]
    fn check(reply: &Reply, resp2: &str, resp3: &str) {
        for (protocol, expected) in [(Protocol::Resp2, resp2), (Protocol::Resp3, resp3)] {
            let mut out = Vec::new();
            write(&mut out, protocol, reply);
            assert_eq!(String::from_utf8_lossy(&out).replace("\r\n", "|"), expected, "{protocol:?}");
        }
    }

    fn bulk(text: &'static str) -> Reply {
        Reply::Bulk(Bytes::from_static(text.as_bytes()))
    }

    #[test]
    fn every_type_in_both_protocols() {
        check(&Reply::Nil, "$-1|", "_|");
        check(&Reply::ok(), "+OK|", "+OK|");
        check(&Reply::Integer(i64::MIN), ":-9223372036854775808|", ":-9223372036854775808|");
        check(&bulk(""), "$0||", "$0||");
        check(&bulk("abc"), "$3|abc|", "$3|abc|");
        check(&Reply::Array(vec![]), "*0|", "*0|");
        check(&Reply::Array(vec![Reply::Nil, Reply::Integer(1)]), "*2|$-1|:1|", "*2|_|:1|");
        check(&Reply::Set(vec![bulk("a")]), "*1|$1|a|", "~1|$1|a|");
        check(&Reply::Map(vec![(bulk("a"), Reply::Integer(1))]), "*2|$1|a|:1|", "%1|$1|a|:1|");
        check(&Reply::Verbatim("mkd".into(), "#".into()), "$1|#|", "=5|mkd:#|");
        check(&Reply::BigNumber("-12".into()), "$3|-12|", "(-12|");
        check(&Reply::Push(vec![bulk("a")]), "*1|$1|a|", ">1|$1|a|");
        check(&Reply::Boolean(true), ":1|", "#t|");
        check(&Reply::Boolean(false), ":0|", "#f|");
        check(&Reply::Error("ERR no\r\n+OK".into()), "-ERR no  +OK|", "-ERR no  +OK|");
    }

    #[test]
    fn doubles() {
        for (number, expected) in [
            (0.0, "0"),
            (1.5, "1.5"),
            (-3.0, "-3"),
            (0.1, "0.1"),
            (1e300, "1e300"),
            (2.5e-7, "2.5e-7"),
            (f64::INFINITY, "inf"),
            (f64::NEG_INFINITY, "-inf"),
            (f64::NAN, "nan"),
        ] {
            check(&Reply::Double(number), &format!("${}|{expected}|", expected.len()), &format!(",{expected}|"));
        }
    }

    #[test]
    fn text_is_marked_in_resp3() {
        let mut out = Vec::new();
        text(&mut out, Protocol::Resp2, "a\r\n");
        text(&mut out, Protocol::Resp3, "a\r\n");
        assert_eq!(out, b"$3\r\na\r\n\r\n=7\r\ntxt:a\r\n\r\n");
    }

    #[test]
    fn a_weight_covers_the_payload() {
        let reply = Reply::Array(vec![bulk("abc"), Reply::Map(vec![(bulk("de"), Reply::Nil)])]);
        assert!(weight(&reply) >= 5);
    }
}
