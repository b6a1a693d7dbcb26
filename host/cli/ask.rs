//! Commands for operators that ask a running host and print what it answers: as lines, or as JSON in the form of the OpenAPI document.

use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt as _;

use anyhow::{Context as _, Result};
use hyper::Method;
use serde_json::{Value, json};

use super::document::Document;
use super::exit::Exit;
use super::out::{remark, say};
use super::remote::{Ask, Remote, encoded};
use super::{BreakersCommand, HostArgs, InvalidateCommand, LocksCommand, progress};

/// `larder policy list`.
pub(crate) fn policies(host: &HostArgs) -> Result<Exit> {
    let list = Remote::new(host)?.document(Ask::new(Method::GET, "/v1/policies".to_owned()))?;
    if host.json {
        return print(host, &list);
    }
    let short = list.items("policies").iter().map(|policy| policy.without("history")).collect();
    print(host, &Document::List(short))
}

/// What is done with one policy.
#[derive(Clone, Copy, Debug)]
pub(crate) enum PolicyStep {
    Show,
    RollBack,
    Remove,
    Unquarantine,
}

/// `larder policy show|rollback|remove|unquarantine`.
pub(crate) fn policy(host: &HostArgs, step: PolicyStep, domain: &str) -> Result<Exit> {
    let path = format!("/v1/policies/{}", encoded(domain.as_bytes()));
    let ask = match step {
        PolicyStep::Show => Ask::new(Method::GET, path),
        PolicyStep::RollBack => Ask::new(Method::POST, path + "/rollback"),
        PolicyStep::Unquarantine => Ask::new(Method::DELETE, path + "/quarantine"),
        PolicyStep::Remove => {
            Remote::new(host)?.ask(Ask::new(Method::DELETE, path))?;
            return done(host, Document::record([("removed", domain.into())]), &format!("removed {domain}"));
        }
    };
    print(host, &Remote::new(host)?.document(ask)?)
}

/// `larder invalidate`.
pub(crate) fn invalidate(command: &InvalidateCommand) -> Result<Exit> {
    use InvalidateCommand::{Domain, Key, Pattern, Prefix, Tag};
    let (selector, what, how) = match command {
        Key { key, how } => (json!({ "key": key }), key.clone(), how),
        Tag { domain, tag, how } => (json!({ "domain": domain, "tag": tag }), format!("tag {tag}"), how),
        Prefix { domain, prefix, how } => (json!({ "domain": domain, "prefix": prefix }), prefix.clone(), how),
        Pattern { domain, pattern, how } => (json!({ "domain": domain, "pattern": pattern }), pattern.clone(), how),
        Domain { domain, how } => (json!({ "domain": domain }), domain.clone(), how),
    };
    let mode = if how.soft { "soft" } else { "hard" };
    let mut remote = Remote::new(&how.host)?;
    // A scan may take its time.
    let shown = progress::begin(format!("invalidating {what}"));
    let ask = Ask::new(Method::POST, "/v1/invalidate".to_owned());
    let answer = remote.document(ask.json(&json!({ "selectors": [selector], "mode": mode })))?;
    drop(shown);
    let done = answer.items("invalidated").first().cloned().unwrap_or(Document::Null);
    let of = match done.integer("keys") {
        Some(1) => "1 key".to_owned(),
        Some(keys) => format!("{keys} keys"),
        None => "all that was cached until now".to_owned(),
    };
    if how.host.json {
        return print(&how.host, &answer);
    }
    say(&format!("invalidated ({mode}): {of}\n"))
}

/// `larder explain`.
pub(crate) fn explain(key: &OsStr, host: &HostArgs) -> Result<Exit> {
    let path = format!("/v1/explain/default/{}", encoded(key.as_bytes()));
    print(host, &Remote::new(host)?.document(Ask::new(Method::GET, path))?)
}

/// `larder locks list|info|release`.
pub(crate) fn locks(command: &LocksCommand) -> Result<Exit> {
    let path = |name: &str| format!("/v1/locks/{}", encoded(name.as_bytes()));
    match command {
        LocksCommand::List { prefix, host } => {
            let prefix = prefix.as_deref().map_or_else(String::new, |it| format!("?prefix={}", encoded(it.as_bytes())));
            let list = Remote::new(host)?.document(Ask::new(Method::GET, format!("/v1/locks{prefix}")))?;
            if host.json {
                return print(host, &list);
            }
            if list.get("complete") == Some(&Document::Flag(false)) {
                remark("these are not all: a bound ended the search; name a prefix");
            }
            print(host, &Document::List(list.items("locks").to_vec()))
        }
        LocksCommand::Info { name, host } => {
            print(host, &Remote::new(host)?.document(Ask::new(Method::GET, path(name)))?)
        }
        LocksCommand::Release { name, host } => {
            let ask = Ask::new(Method::DELETE, path(name)).json(&json!({ "force": true }));
            Remote::new(host)?.ask(ask)?;
            done(host, Document::record([("released", name.as_str().into())]), &format!("released {name}"))
        }
    }
}

/// `larder breakers [history|force]`.
pub(crate) fn breakers(command: Option<&BreakersCommand>, host: &HostArgs) -> Result<Exit> {
    let path = |name: &str| format!("/v1/breakers/{}", encoded(name.as_bytes()));
    match command {
        None => {
            let list = Remote::new(host)?.document(Ask::new(Method::GET, "/v1/breakers".to_owned()))?;
            if host.json {
                return print(host, &list);
            }
            print(host, &Document::List(list.items("breakers").to_vec()))
        }
        Some(BreakersCommand::History { name, host }) => {
            let breaker = Remote::new(host)?.document(Ask::new(Method::GET, path(name)))?;
            if host.json {
                return print(host, &breaker);
            }
            print(host, &Document::List(breaker.items("history").to_vec()))
        }
        Some(BreakersCommand::Force { name, mode, host }) => {
            let ask = Ask::new(Method::POST, path(name)).json(&json!({ "mode": mode }));
            print(host, &Remote::new(host)?.document(ask)?)
        }
    }
}

/// The counts of a host since its start.
///
/// # Errors
/// No host answers, or it refuses.
pub(crate) fn status(remote: &mut Remote) -> Result<Value> {
    let answer = remote.ask(Ask::new(Method::GET, "/v1/status".to_owned()))?;
    serde_json::from_slice(&answer.body).context("the host's answer is no JSON; is it of another version?")
}

/// Prints a document as it was asked for.
fn print(host: &HostArgs, document: &Document) -> Result<Exit> {
    if host.json { say(&format!("{}\n", document.json())) } else { say(&document.lines()) }
}

/// Prints that something was done.
fn done(host: &HostArgs, document: Document, line: &str) -> Result<Exit> {
    if host.json { print(host, &document) } else { say(&format!("{line}\n")) }
}
