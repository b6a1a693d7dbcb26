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
use super::table::table;
use super::{BreakersCommand, HostArgs, LocksCommand};

/// `larder policy list`.
pub(crate) fn policies(host: &HostArgs) -> Result<Exit> {
    let list = Remote::new(host)?.document(Ask::new(Method::GET, "/v1/policies".to_owned()))?;
    if host.json {
        return print(host, &list);
    }
    say(&table(list.items("policies"), &["domain", "state", "generation", "version", "digest", "last_error"]))
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
pub(crate) fn print(host: &HostArgs, document: &Document) -> Result<Exit> {
    if host.json { say(&format!("{}\n", document.json())) } else { say(&document.lines()) }
}

/// Prints that something was done.
fn done(host: &HostArgs, document: Document, line: &str) -> Result<Exit> {
    if host.json { print(host, &document) } else { say(&format!("{line}\n")) }
}
