//! The settings of this process: flags over environment over `larder.toml` over defaults.

use std::path::Path;

use anyhow::{Context, Result};
use larder::config::Config;
use larder::config::layers::Layers;
use larder::config::table::stranger;

use super::ServeArgs;

/// The settings' texts, and what they mean.
///
/// # Errors
/// The first thing that is wrong, with where it was set.
pub(crate) fn read(args: &ServeArgs) -> Result<(Layers, Config)> {
    let mut layers = Layers::defaults();
    let file = args.config.as_deref().unwrap_or_else(|| Path::new("larder.toml"));
    match std::fs::read_to_string(file) {
        Ok(text) => layers = layers.file(&file.display().to_string(), &text)?,
        Err(error) if args.config.is_none() && error.kind() == std::io::ErrorKind::NotFound => {}
        Err(error) => return Err(error).with_context(|| format!("cannot read the settings file {}", file.display())),
    }
    layers = layers.environment(environment);
    let flags = [
        ("policies.folder", &args.policies),
        ("state.folder", &args.state),
        ("resp.address", &args.resp),
        ("http.address", &args.http),
        ("admin.address", &args.admin),
        ("store.url", &args.store),
    ];
    for (name, value) in flags {
        if let Some(value) = value {
            layers = layers.flag(name, value.clone())?;
        }
    }
    if args.insecure {
        layers = layers.flag("auth.open", "true".to_owned())?;
    }
    for pair in &args.set {
        // What follows the name may be a secret: it is not repeated.
        let (name, value) = pair.split_once('=').context("--set wants NAME=VALUE")?;
        layers = layers.flag(name, value.to_owned())?;
    }
    let config = Config::new(&layers, environment)?;
    Ok((layers, config))
}

/// What is set and does nothing, in words.
pub(crate) fn warnings(config: &Config) -> Vec<String> {
    let unused = config.unused_variables.iter();
    let unused = unused.map(|name| format!("{name} is set, and this version of the host does not use it yet"));
    let names = std::env::vars_os().filter_map(|(name, _)| name.into_string().ok());
    let strange = names.filter_map(|name| {
        let near = stranger(&name)?.map_or_else(String::new, |near| format!("; did you mean {near}?"));
        Some(format!("{name} is set, and there is no such variable{near}"))
    });
    let mut warnings: Vec<String> = unused.chain(strange).collect();
    warnings.sort();
    warnings
}

/// A variable; what is no UTF-8 is read with marks in its place, and refused by whoever reads a value from it.
fn environment(name: &str) -> Option<String> {
    std::env::var_os(name).map(|value| value.to_string_lossy().into_owned())
}
