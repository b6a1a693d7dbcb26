//! The port's commands as the client library sends them, and those that a shared connection cannot carry.

use redis::{Cmd, Pipeline};

use super::script::Script;
use crate::limits::TTL_MS_MAX;
use crate::ports::store::{Command, Expire, Reply, StoreKey};
use crate::ports::way::{self, Way};

/// Besides those that have no place on a shared connection (`ports/way.rs`): they hold the server up, or end it.
const HARMFUL: [&str; 4] = ["debug", "failover", "shutdown", "sync"];

/// Why a command is not sent as part of a block, if it is not: there nothing waits.
pub(super) fn refusal_in_block(command: &Command) -> Option<Reply> {
    if !command.args.is_empty() && way::may_wait(command.name()) { None } else { refusal(command) }
}

/// Why a command is not sent, if it is not.
pub(super) fn refusal(command: &Command) -> Option<Reply> {
    let Some(name) = command.args.first() else { return Some(Reply::Error("ERR empty command".to_owned())) };
    let is_harmful = || HARMFUL.iter().any(|word| name.eq_ignore_ascii_case(word.as_bytes()));
    if way::of(&command.args) == Way::Shared && !is_harmful() {
        return None;
    }
    let name = String::from_utf8_lossy(name).to_ascii_lowercase();
    Some(Reply::Error(format!("ERR '{name}' is not served: commands of all callers share this connection")))
}

/// The port's command.
pub(super) fn raw(command: &Command) -> Cmd {
    let bytes = command.args.iter().map(bytes::Bytes::len).sum();
    let mut built = Cmd::with_capacity(command.args.len(), bytes);
    for argument in &command.args {
        built.arg(&argument[..]);
    }
    built
}

/// Commands as one block that nothing comes between.
pub(super) fn block(commands: &[Command]) -> Pipeline {
    let mut built = Pipeline::with_capacity(commands.len() + 2);
    built.cmd("MULTI");
    for command in commands {
        built.add_command(raw(command));
    }
    built.cmd("EXEC");
    built
}

/// A command on one key.
pub(super) fn on(name: &str, key: &StoreKey) -> Cmd {
    let mut built = Cmd::with_capacity(4, name.len() + key.as_bytes().len() + 32);
    built.arg(name).arg(key.as_bytes());
    built
}

/// A command on many keys.
pub(super) fn on_all(name: &str, keys: &[StoreKey]) -> Cmd {
    let bytes: usize = keys.iter().map(|key| key.as_bytes().len()).sum();
    let mut built = Cmd::with_capacity(keys.len() + 1, bytes + name.len());
    built.arg(name);
    for key in keys {
        built.arg(key.as_bytes());
    }
    built
}

/// `SET`, with the expiry.
pub(super) fn set(key: &StoreKey, value: &[u8], expire: Expire) -> Cmd {
    let mut built = Cmd::with_capacity(6, key.as_bytes().len() + value.len() + 32);
    built.arg("SET").arg(key.as_bytes()).arg(value);
    match expire {
        Expire::Keep => built.arg("KEEPTTL"),
        Expire::Never => &mut built,
        Expire::InMs(ms) => built.arg("PX").arg(life_ms(ms)),
    };
    built
}

/// `SET` if there is no such key. There is no expiry to keep then.
pub(super) fn set_new(key: &StoreKey, value: &[u8], expire: Expire) -> Cmd {
    let expire = if expire == Expire::Keep { Expire::Never } else { expire };
    let mut built = set(key, value, expire);
    built.arg("NX");
    built
}

/// A change of the expiry, in one go: what says whether the key is there is the last answer.
pub(super) fn expire(key: &StoreKey, expire: Expire) -> Pipeline {
    let mut built = Pipeline::with_capacity(2);
    match expire {
        Expire::Keep => built.add_command(on("EXISTS", key)),
        Expire::Never => built.add_command(on("PERSIST", key)).add_command(on("EXISTS", key)),
        Expire::InMs(ms) => built.cmd("PEXPIRE").arg(key.as_bytes()).arg(life_ms(ms)),
    };
    built
}

/// A script on some keys, by its digest or as a whole.
pub(super) fn script(script: &Script, whole: bool, keys: &[&StoreKey], arguments: &[&[u8]]) -> Cmd {
    let mut built = Cmd::new();
    if whole {
        built.arg("EVAL").arg(script.text)
    } else {
        built.arg("EVALSHA").arg(&script.digest)
    };
    built.arg(keys.len());
    for key in keys {
        built.arg(key.as_bytes());
    }
    for argument in arguments {
        built.arg(*argument);
    }
    built
}

/// What a script is told of the expiry.
pub(super) fn expiry_word(expire: Expire) -> String {
    match expire {
        Expire::Keep => "keep".to_owned(),
        Expire::Never => "never".to_owned(),
        Expire::InMs(ms) => life(ms),
    }
}

/// A life as text, as Redis takes it.
pub(super) fn life(ms: u64) -> String {
    life_ms(ms).to_string()
}

/// A life that Redis takes: not nothing, not beyond the limits.
fn life_ms(ms: u64) -> u64 {
    ms.clamp(1, TTL_MS_MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(words: &[&'static str], refused: bool) {
        let args = words.iter().map(|word| bytes::Bytes::from_static(word.as_bytes())).collect();
        assert_eq!(refusal(&Command { args }).is_some(), refused, "{words:?}");
    }

    #[test]
    fn what_a_shared_connection_cannot_carry_is_refused() {
        check(&[], true);
        check(&["Multi"], true);
        check(&["BLPOP", "k", "0"], true);
        check(&["XREAD", "block", "0", "STREAMS", "s", "$"], true);
        check(&["XREAD", "STREAMS", "s", "0"], false);
        check(&["GET", "multi"], false);
    }

    #[test]
    fn what_waits_elsewhere_may_be_in_a_block() {
        let refused = |words: &[&'static str]| {
            let args = words.iter().map(|word| bytes::Bytes::from_static(word.as_bytes())).collect();
            refusal_in_block(&Command { args }).is_some()
        };
        assert!(!refused(&["blpop", "k", "0"]) && !refused(&["XREAD", "BLOCK", "0", "STREAMS", "s", "$"]));
        assert!(refused(&["Exec"]) && refused(&["SUBSCRIBE", "c"]) && refused(&[]));
    }
}
