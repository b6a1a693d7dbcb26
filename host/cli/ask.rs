//! Commands that ask a running host, over RESP, and print what it answers.

use anyhow::{Context, Result, bail};
use redis::Value;

use super::{BreakersCommand, HostArgs, InvalidateCommand, LocksCommand};

/// `larder policy list|show|rollback|remove|unquarantine`: one word of `LARDER.POLICY`, and a domain if it takes one.
pub(crate) fn policy(host: &HostArgs, word: &str, domain: Option<&str>) -> Result<()> {
    let words: Vec<&str> = ["LARDER.POLICY", word].into_iter().chain(domain).collect();
    print_reply(&send(host, &words)?);
    Ok(())
}

/// `larder invalidate`. A scan may take its time: there is no deadline for the answer.
pub(crate) fn invalidate(command: &InvalidateCommand) -> Result<()> {
    use InvalidateCommand::{Domain, Key, Pattern, Prefix, Tag};
    let (mut words, how) = match command {
        Key { key, how } => (vec!["KEY", key], how),
        Tag { domain, tag, how } => (vec!["TAG", domain, tag], how),
        Prefix { domain, prefix, how } => (vec!["PREFIX", domain, prefix], how),
        Pattern { domain, pattern, how } => (vec!["PATTERN", domain, pattern], how),
        Domain { domain, how } => (vec!["DOMAIN", domain], how),
    };
    words.insert(0, "LARDER.INVALIDATE");
    if how.soft {
        words.push("SOFT");
    }
    print_reply(&send(&how.host, &words)?);
    Ok(())
}

/// `larder explain`.
pub(crate) fn explain(key: &str, host: &HostArgs) -> Result<()> {
    print_reply(&send(host, &["LARDER.EXPLAIN", key])?);
    Ok(())
}

/// `larder locks list|info|release`.
pub(crate) fn locks(command: &LocksCommand) -> Result<()> {
    match command {
        LocksCommand::List { prefix, host } => {
            let prefix = prefix.as_deref().unwrap_or_default();
            print_reply(&send(host, &["LARDER.LOCK", "LIST", prefix])?);
        }
        LocksCommand::Info { name, host } => match send(host, &["LARDER.LOCK", "INFO", name])? {
            Value::Nil => bail!("nobody holds the lock {name}"),
            info => print_reply(&info),
        },
        LocksCommand::Release { name, host } => match send(host, &["LARDER.LOCK", "FORCE-RELEASE", name])? {
            Value::Int(0) => bail!("nobody holds the lock {name}"),
            _ => println!("released {name}"),
        },
    }
    Ok(())
}

/// `larder breakers [history|force]`.
pub(crate) fn breakers(command: Option<&BreakersCommand>, host: &HostArgs) -> Result<()> {
    let reply = match command {
        None => send(host, &["LARDER.BREAKER", "LIST"]),
        Some(BreakersCommand::History { name, host }) => send(host, &["LARDER.BREAKER", "HISTORY", name]),
        Some(BreakersCommand::Force { name, mode, host }) => send(host, &["LARDER.BREAKER", "FORCE", name, mode]),
    }?;
    print_reply(&reply);
    Ok(())
}

/// The text that a command answers.
///
/// # Errors
/// No host answers, or it refuses.
pub(crate) fn text(host: &HostArgs, words: &[&str]) -> Result<String> {
    Ok(word(&send(host, words)?))
}

fn send(host: &HostArgs, words: &[&str]) -> Result<Value> {
    let url = if host.resp.contains("://") { host.resp.clone() } else { format!("redis://{}", host.resp) };
    let url = format!("{url}{}protocol=resp3", if url.contains('?') { '&' } else { '?' });
    let client = redis::Client::open(url).context("the address of the host cannot be read; write HOST:PORT")?;
    let mut connection = client
        .get_connection_with_timeout(std::time::Duration::from_secs(5))
        .with_context(|| format!("no host answers at {}; is `larder serve` running there?", host.resp))?;
    let mut command = redis::cmd(words[0]);
    for word in &words[1..] {
        command.arg(*word);
    }
    command.query(&mut connection).context("the host refused")
}

fn print_reply(reply: &Value) {
    let mut text = String::new();
    write_reply(reply, 0, &mut text);
    print!("{text}");
}

/// Nested names and values, indented; lists of records with a line between them.
fn write_reply(reply: &Value, depth: usize, into: &mut String) {
    let pad = "  ".repeat(depth);
    match reply {
        Value::Map(fields) => {
            for (name, value) in fields {
                let nested =
                    matches!(value, Value::Array(items) if !items.is_empty()) || matches!(value, Value::Map(_));
                if nested {
                    into.push_str(&format!("{pad}{}:\n", word(name)));
                    write_reply(value, depth + 1, into);
                } else {
                    into.push_str(&format!("{pad}{}: {}\n", word(name), word(value)));
                }
            }
        }
        Value::Array(items) => {
            for (i, item) in items.iter().enumerate() {
                if i > 0 && matches!(item, Value::Map(_)) {
                    into.push('\n');
                }
                write_reply(item, depth, into);
            }
        }
        other => into.push_str(&format!("{pad}{}\n", word(other))),
    }
}

fn word(value: &Value) -> String {
    match value {
        Value::Nil => "-".to_owned(),
        Value::Int(n) => n.to_string(),
        Value::Double(n) => n.to_string(),
        Value::Boolean(yes) => yes.to_string(),
        Value::Okay => "OK".to_owned(),
        Value::SimpleString(text) | Value::VerbatimString { text, .. } => text.clone(),
        Value::BulkString(bytes) => String::from_utf8_lossy(bytes).into_owned(),
        Value::Array(items) if items.is_empty() => "none".to_owned(),
        other => format!("{other:?}"),
    }
}
