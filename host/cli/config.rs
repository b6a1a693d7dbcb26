//! `larder config`: what a host would be started with, without starting one.

use std::io::Read as _;

use anyhow::{Context, Result};
use larder::config::secret::{self, Secret};
use larder::config::show;

use super::exit::Exit;
use super::out::{remark, say};
use super::{ConfigArgs, ConfigCommand, settings};
use larder::limits::SECRET_BYTES_MAX;

/// `larder config check|show|hash`.
///
/// # Errors
/// The settings cannot be shown, or no secret is there.
pub(crate) fn run(command: &ConfigCommand) -> Result<Exit> {
    match command {
        ConfigCommand::Check(args) => check(args),
        ConfigCommand::Show(args) => shown(args),
        ConfigCommand::Hash { json } => hash(*json),
    }
}

fn check(args: &ConfigArgs) -> Result<Exit> {
    let read = settings::read(&args.settings);
    if args.json {
        let error = read.as_ref().err().map(|error| format!("{error:#}"));
        let warnings = read.as_ref().map(|(_, config)| settings::warnings(config)).unwrap_or_default();
        say(&format!("{}\n", serde_json::json!({ "ok": error.is_none(), "error": error, "warnings": warnings })))?;
    }
    let config = match read {
        Ok((_, config)) => config,
        Err(error) => {
            remark(format_args!("error: {error:#}"));
            return Ok(Exit::No);
        }
    };
    if args.json {
        return Ok(Exit::Done);
    }
    let warnings: String = settings::warnings(&config).iter().map(|it| format!("warning: {it}\n")).collect();
    say(&format!("{warnings}the settings are good\n"))
}

fn shown(args: &ConfigArgs) -> Result<Exit> {
    let (layers, config) = settings::read(&args.settings)?;
    let shown = show::all(&layers, &config.users);
    if args.json {
        return say(&format!("{}\n", serde_json::to_string_pretty(&shown)?));
    }
    let width = |of: fn(&show::Shown) -> &str| shown.iter().map(|it| of(it).chars().count()).max().unwrap_or(0).min(48);
    let (names, values) = (width(|it| &it.name), width(|it| &it.value));
    let line = |it: &show::Shown| format!("{:names$}  {:values$}  {}\n", it.name, it.value, it.source);
    say(&shown.iter().map(line).collect::<String>())
}

/// Makes of a secret what may stand in a file.
fn hash(as_json: bool) -> Result<Exit> {
    let mut text = String::new();
    let limit = SECRET_BYTES_MAX as u64 + 2;
    std::io::stdin().take(limit).read_to_string(&mut text).context("write the secret on the standard input")?;
    let text = text.trim_end_matches(['\r', '\n']);
    secret::checked(text).map_err(anyhow::Error::msg)?;
    let written = Secret::of(text.as_bytes()).written();
    let line = if as_json { serde_json::json!({ "secret": written }).to_string() } else { written };
    say(&format!("{line}\n"))
}
