//! Commands that ask a running host, over RESP, and print what it answers.

use anyhow::{Context, Result, bail};
use indicatif::{ProgressBar, ProgressStyle};
use larder::limits::WARM_STEP_KEYS_MAX;
use redis::Value;

use super::{BreakersCommand, HostArgs, InvalidateCommand, LocksCommand, WarmArgs};

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

/// `larder warm`: steps, until there are no more.
pub(crate) fn warm(args: &WarmArgs) -> Result<()> {
    let keys = match &args.file {
        Some(file) => {
            let text = std::fs::read_to_string(file).with_context(|| format!("cannot read {}", file.display()))?;
            text.lines().map(str::trim).filter(|line| !line.is_empty()).map(str::to_owned).collect()
        }
        None => Vec::new(),
    };
    let bar = ProgressBar::new(keys.len() as u64);
    bar.set_style(ProgressStyle::with_template("{bar:30} {pos} of {len} keys, {per_sec}; {msg}")?);
    let mut sums = [0_u64; WARMED.len()];
    if args.file.is_some() {
        for chunk in keys.chunks(WARM_STEP_KEYS_MAX) {
            let words: Vec<&str> =
                ["LARDER.WARM", &args.domain, "KEYS"].into_iter().chain(chunk.iter().map(String::as_str)).collect();
            warm_step(args, &words, &bar, &mut sums)?;
        }
    } else {
        let mut cursor = args.cursor.clone();
        loop {
            let mut words = vec!["LARDER.WARM", &args.domain];
            if let Some(version) = &args.version {
                words.extend(["VERSION", version, &args.pattern]);
            }
            if let Some(cursor) = &cursor {
                words.extend(["CURSOR", cursor]);
            }
            cursor = warm_step(args, &words, &bar, &mut sums).with_context(|| match &cursor {
                Some(cursor) => format!("go on with --cursor {cursor}"),
                None => "nothing was warmed".to_owned(),
            })?;
            if cursor.is_none() {
                break;
            }
        }
    }
    bar.finish_and_clear();
    WARMED.iter().zip(sums).for_each(|(name, sum)| println!("{name}: {sum}"));
    Ok(())
}

/// What a step counts.
const WARMED: [&str; 5] = ["held", "stored", "loaded", "absent", "failed"];

/// One step; the cursor of the next.
fn warm_step(args: &WarmArgs, words: &[&str], bar: &ProgressBar, sums: &mut [u64; 5]) -> Result<Option<String>> {
    let Value::Map(fields) = send(&args.host, words)? else { bail!("the host gave an answer that makes no sense") };
    let mut cursor = None;
    for (name, value) in &fields {
        match (word(name).as_str(), value) {
            ("cursor", Value::Nil) => {}
            ("cursor", next) => cursor = Some(word(next)),
            ("total", Value::Int(total)) => bar.set_length(u64::try_from(*total).unwrap_or(0)),
            (name, Value::Int(n)) => {
                if let Some(i) = WARMED.iter().position(|known| *known == name) {
                    sums[i] += u64::try_from(*n).unwrap_or(0);
                }
            }
            _ => {}
        }
    }
    let done = sums.iter().sum();
    bar.set_length(bar.length().unwrap_or(0).max(done));
    bar.set_position(done);
    bar.set_message(cursor.as_ref().map_or(String::new(), |cursor| format!("cursor {cursor}")));
    Ok(cursor)
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
