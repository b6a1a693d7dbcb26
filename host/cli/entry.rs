//! `larder get|set|del`: single values of a running host, whatever bytes they and their keys are.

use std::ffi::OsStr;
use std::io::{IsTerminal as _, Read as _};
use std::os::unix::ffi::OsStrExt as _;

use anyhow::{Context as _, Result};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use hyper::Method;
use hyper::header::{AGE, CACHE_CONTROL, HeaderMap, HeaderName, HeaderValue, IF_MATCH, IF_NONE_MATCH};
use larder::config::value::duration_ms;
use larder::limits::VALUE_BYTES_MAX;

use super::document::Document;
use super::exit::{Exit, Failure};
use super::out::{remark, say, write_out};
use super::remote::{Ask, Remote, encoded};
use super::{DelArgs, GetArgs, SetArgs};

const CACHE_STATUS: HeaderName = HeaderName::from_static("cache-status");
const LEASE: HeaderName = HeaderName::from_static("larder-lease");

/// Where a key is: the domain `default` takes keys as applications say them.
fn path(key: &OsStr) -> String {
    format!("/v1/cache/default/{}", encoded(key.as_bytes()))
}

fn shown(key: &OsStr) -> String {
    key.to_string_lossy().into_owned()
}

/// `larder get`.
pub(crate) fn get(args: &GetArgs) -> Result<Exit> {
    // Who looks will not load: a lease that nobody fills would hold up those who would.
    let ask = Ask::new(Method::GET, path(&args.key)).header(LEASE, HeaderValue::from_static("none"));
    let answer = match Remote::new(&args.host)?.ask(ask) {
        Ok(answer) => answer,
        Err(error) => return not_there(error, args),
    };
    let seen = Seen::of(&answer.headers);
    if args.host.json {
        let (form, value) = match std::str::from_utf8(&answer.body) {
            Ok(text) => ("text", text.to_owned()),
            Err(_) => ("base64", BASE64.encode(&answer.body)),
        };
        let document = Document::record([
            ("key", shown(&args.key).into()),
            ("found", true.into()),
            ("state", seen.state.into()),
            ("age_s", seen.age_s.into()),
            ("ttl_s", seen.ttl_s.into()),
            ("size_bytes", answer.body.len().into()),
            ("value_form", form.into()),
            ("value", value.into()),
        ]);
        return say(&format!("{}\n", document.json()));
    }
    write_out(&answer.body)?;
    if std::io::stdout().is_terminal() && !answer.body.ends_with(b"\n") {
        write_out(b"\n")?;
    }
    if !args.quiet {
        remark(seen.in_words());
    }
    Ok(Exit::Done)
}

/// An absent key is an answer; all else is an error.
fn not_there(error: anyhow::Error, args: &GetArgs) -> Result<Exit> {
    let Some(failure) = error.downcast_ref::<Failure>().filter(|it| is_absent(it)) else { return Err(error) };
    let document = Document::record([("key", shown(&args.key).into()), ("found", false.into())]);
    let document = args.host.json.then_some(document);
    Err(Failure { document, ..Failure::new(Exit::No, failure.message.clone()) }.into())
}

fn is_absent(failure: &Failure) -> bool {
    failure.kind == "absent"
}

/// `larder set`.
pub(crate) fn set(args: &SetArgs) -> Result<Exit> {
    let mut ask = Ask::new(Method::PUT, path(&args.key));
    if let Some(text) = &args.ttl {
        let ms = duration_ms(text, 1000).map_err(|error| Failure::new(Exit::Usage, error))?;
        if ms % 1000 != 0 {
            return Err(Failure::new(Exit::Usage, "--ttl: a lifetime that is asked for is in whole seconds").into());
        }
        let max_age = HeaderValue::try_from(format!("max-age={}", ms / 1000))?;
        ask = ask.header(CACHE_CONTROL, max_age);
    }
    let any = HeaderValue::from_static("*");
    if args.if_absent {
        ask = ask.header(IF_NONE_MATCH, any);
    } else if args.if_present {
        ask = ask.header(IF_MATCH, any);
    }
    let state = match Remote::new(&args.host)?.ask(ask.body(value(args)?)) {
        Ok(answer) => Parameters::of(&answer.headers).stored(),
        Err(error) => match error.downcast_ref::<Failure>() {
            Some(failure) if failure.kind == "unmet" => Err("unmet".to_owned()),
            _ => return Err(error),
        },
    };
    let document = Document::record([
        ("key", shown(&args.key).into()),
        ("stored", state.is_ok().into()),
        ("why_not", state.clone().err().into()),
    ]);
    let line = match &state {
        Ok(()) => "stored\n".to_owned(),
        Err(why) => format!("not stored: {why}\n"),
    };
    say(&if args.host.json { format!("{}\n", document.json()) } else { line })?;
    Ok(if state.is_ok() { Exit::Done } else { Exit::No })
}

fn value(args: &SetArgs) -> Result<Vec<u8>> {
    if let Some(value) = &args.value {
        return Ok(value.as_bytes().to_vec());
    }
    // One byte more than may be sent: the host says what it allows.
    let limit = VALUE_BYTES_MAX as u64 + 1;
    let mut bytes = Vec::new();
    match args.file.as_deref().filter(|file| file.as_os_str() != "-") {
        Some(file) => {
            let opened = std::fs::File::open(file).with_context(|| format!("cannot read {}", file.display()))?;
            opened.take(limit).read_to_end(&mut bytes).with_context(|| format!("cannot read {}", file.display()))?;
        }
        None => {
            std::io::stdin().take(limit).read_to_end(&mut bytes).context("cannot read the standard input")?;
        }
    }
    Ok(bytes)
}

/// `larder del`.
pub(crate) fn del(args: &DelArgs) -> Result<Exit> {
    let mut remote = Remote::new(&args.host)?;
    let mut outcomes = Vec::with_capacity(args.keys.len());
    for key in &args.keys {
        let removed = match remote.ask(Ask::new(Method::DELETE, path(key))) {
            Ok(_) => true,
            Err(error) if error.downcast_ref::<Failure>().is_some_and(is_absent) => false,
            Err(error) if outcomes.is_empty() => return Err(error),
            Err(error) => {
                let done = outcomes.len();
                return Err(error.context(format!("{}; the {done} keys before it are done", shown(key))));
            }
        };
        outcomes.push((shown(key), removed));
    }
    let removed = outcomes.iter().filter(|(_, removed)| *removed).count();
    if args.host.json {
        let keys = outcomes
            .iter()
            .map(|(key, removed)| Document::record([("key", key.as_str().into()), ("removed", (*removed).into())]));
        let document = Document::record([("removed", removed.into()), ("keys", Document::List(keys.collect()))]);
        say(&format!("{}\n", document.json()))?;
    } else {
        say(&format!("removed {removed} of {}\n", outcomes.len()))?;
    }
    Ok(if removed == outcomes.len() { Exit::Done } else { Exit::No })
}

/// What the headers of an answer say of a value.
struct Seen {
    state: String,
    age_s: Option<u64>,
    ttl_s: Option<i64>,
}

impl Seen {
    fn of(headers: &HeaderMap) -> Self {
        let parameters = Parameters::of(headers);
        let age_s = headers.get(AGE).and_then(|age| age.to_str().ok()).and_then(|age| age.parse().ok());
        let ttl_s = parameters.get("ttl").and_then(|ttl| ttl.parse().ok());
        Self { state: parameters.get("detail").unwrap_or("hit").to_owned(), age_s, ttl_s }
    }

    fn in_words(&self) -> String {
        let age = self.age_s.map_or_else(String::new, |age_s| format!(", {age_s} s old"));
        let ttl = match self.ttl_s {
            Some(ttl_s) if ttl_s < 0 => format!(", stale for {} s", -ttl_s),
            Some(ttl_s) => format!(", fresh for {ttl_s} s"),
            None => String::new(),
        };
        format!("{}{age}{ttl}", self.state)
    }
}

/// The parameters of `Cache-Status` (RFC 9211).
struct Parameters(Vec<(String, String)>);

impl Parameters {
    fn of(headers: &HeaderMap) -> Self {
        Self::parse(headers.get(CACHE_STATUS).and_then(|it| it.to_str().ok()).unwrap_or_default())
    }

    /// Names and values; those of strings without their quotes (RFC 8941 §3.3.3).
    fn parse(field: &str) -> Self {
        let mut parts = vec![String::new()];
        let (mut quoted, mut escaped) = (false, false);
        for c in field.chars() {
            match c {
                _ if escaped => escaped = false,
                '\\' if quoted => {
                    escaped = true;
                    continue;
                }
                '"' => {
                    quoted = !quoted;
                    continue;
                }
                ';' if !quoted => {
                    parts.push(String::new());
                    continue;
                }
                _ => {}
            }
            if let Some(part) = parts.last_mut() {
                part.push(c);
            }
        }
        let named = parts.iter().map(|part| part.trim().split_once('=').unwrap_or_else(|| (part.trim(), "")));
        Self(named.map(|(name, value)| (name.to_owned(), value.to_owned())).collect())
    }

    fn get(&self, name: &str) -> Option<&str> {
        self.0.iter().find(|(it, _)| it == name).map(|(_, value)| value.as_str())
    }

    /// Whether a value was stored; if not, why.
    fn stored(&self) -> Result<(), String> {
        match self.get("stored") {
            Some("?0") => Err(self.get("detail").unwrap_or("refused").to_owned()),
            _ => Ok(()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_cache_status_is_read() {
        let of = Parameters::parse(r#"larder; hit; ttl=-7; key="a; detail=\"x\\"; detail=stale"#);
        assert_eq!((of.get("ttl"), of.get("detail")), (Some("-7"), Some("stale")));
        assert_eq!(of.get("key"), Some(r#"a; detail="x\"#));
        assert_eq!(of.stored(), Ok(()));
        let of = Parameters::parse(r#"larder; stored=?0; key="k"; detail=passed"#);
        assert_eq!(of.stored(), Err("passed".to_owned()));
    }
}
