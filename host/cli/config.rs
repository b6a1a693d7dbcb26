//! `larder config`: what a host would be started with, without starting one.

use std::io::Read as _;

use anyhow::{Context, Result};
use larder::config::secret::{self, Secret};
use larder::config::show;

use super::{ConfigArgs, ConfigCommand, settings};
use larder::limits::SECRET_BYTES_MAX;

/// `larder config check|show|hash`.
pub(crate) fn run(command: &ConfigCommand) -> Result<()> {
    match command {
        ConfigCommand::Check(args) => check(args),
        ConfigCommand::Show(args) => shown(args),
        ConfigCommand::Hash => hash(),
    }
}

fn check(args: &ConfigArgs) -> Result<()> {
    let read = settings::read(&args.settings);
    if args.json {
        let error = read.as_ref().err().map(|error| format!("{error:#}"));
        let warnings = read.as_ref().map(|(_, config)| settings::warnings(config)).unwrap_or_default();
        println!("{}", serde_json::json!({ "ok": error.is_none(), "error": error, "warnings": warnings }));
    }
    let (_, config) = read?;
    if !args.json {
        for warning in settings::warnings(&config) {
            println!("warning: {warning}");
        }
        println!("the settings are good");
    }
    Ok(())
}

fn shown(args: &ConfigArgs) -> Result<()> {
    let (layers, config) = settings::read(&args.settings)?;
    let shown = show::all(&layers, &config.users);
    if args.json {
        println!("{}", serde_json::to_string_pretty(&shown)?);
        return Ok(());
    }
    let width = |of: fn(&show::Shown) -> &str| shown.iter().map(|it| of(it).chars().count()).max().unwrap_or(0).min(48);
    let (names, values) = (width(|it| &it.name), width(|it| &it.value));
    for show::Shown { name, value, source, .. } in &shown {
        println!("{name:names$}  {value:values$}  {source}");
    }
    Ok(())
}

/// Makes of a secret what may stand in a file.
fn hash() -> Result<()> {
    let mut text = String::new();
    let limit = SECRET_BYTES_MAX as u64 + 2;
    std::io::stdin().take(limit).read_to_string(&mut text).context("write the secret on the standard input")?;
    let text = text.trim_end_matches(['\r', '\n']);
    secret::checked(text).map_err(anyhow::Error::msg)?;
    println!("{}", Secret::of(text.as_bytes()).written());
    Ok(())
}
