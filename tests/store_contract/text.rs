//! Commands and replies as text, so that a test reads like a session.

use bytes::Bytes;
use larder::ports::store::{Command, Reply};

/// A command from its words. `""` is an empty word, `\xHH` a byte.
pub(crate) fn command(words: &str) -> Command {
    Command { args: words.split_whitespace().map(word).collect() }
}

fn word(word: &str) -> Bytes {
    if word == "\"\"" {
        return Bytes::new();
    }
    let mut parts = word.split("\\x");
    let mut bytes = parts.next().unwrap_or_default().as_bytes().to_vec();
    for part in parts {
        let (hex, rest) = part.split_at(2);
        bytes.push(u8::from_str_radix(hex, 16).expect("two hex digits follow \\x"));
        bytes.extend_from_slice(rest.as_bytes());
    }
    bytes.into()
}

/// A reply: `nil`, `OK`, `7`, `"bytes"`, `[…]`, `~[…]`, `{…}`, `!ERR …`. What has no order is put in order.
pub(crate) fn reply(reply: &Reply) -> String {
    let all = |replies: &[Reply]| replies.iter().map(self::reply).collect::<Vec<_>>().join(" ");
    match reply {
        Reply::Nil => "nil".to_owned(),
        Reply::NilArray => "nil*".to_owned(),
        Reply::Pairs(pairs) => {
            let pair = |(name, value): &(Reply, Reply)| format!("[{} {}]", self::reply(name), self::reply(value));
            format!("[{}]", pairs.iter().map(pair).collect::<Vec<_>>().join(" "))
        }
        Reply::Status(text) => text.escape_ascii().to_string(),
        Reply::Integer(n) => n.to_string(),
        Reply::Bulk(bytes) => format!("\"{}\"", bytes.escape_ascii()),
        Reply::Array(replies) => format!("[{}]", all(replies)),
        Reply::Set(replies) => {
            let mut members: Vec<String> = replies.iter().map(self::reply).collect();
            members.sort();
            format!("~[{}]", members.join(" "))
        }
        Reply::Map(pairs) => {
            let pair = |(name, value): &(Reply, Reply)| format!("{}: {}", self::reply(name), self::reply(value));
            let mut pairs: Vec<String> = pairs.iter().map(pair).collect();
            pairs.sort();
            format!("{{{}}}", pairs.join(", "))
        }
        Reply::Double(n) => format!("{n:?}"),
        Reply::Boolean(yes) => yes.to_string(),
        Reply::Verbatim(_, text) => format!("\"{}\"", text.escape_ascii()),
        Reply::BigNumber(digits) => digits.escape_ascii().to_string(),
        Reply::Push(replies) => format!(">[{}]", all(replies)),
        Reply::Error(line) => format!("!{line}"),
    }
}
