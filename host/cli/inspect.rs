//! `larder policy inspect`: the interfaces of a component, as WIT.

use std::fs;
use std::path::Path;

use anyhow::{Context, Result};
use larder::toolchain;

use super::exit::Exit;
use super::out::say;

/// Prints what the component imports and exports, with all types.
///
/// # Errors
/// The file cannot be read, or is no component.
pub(crate) fn run(file: &Path, as_json: bool) -> Result<Exit> {
    let bytes = fs::read(file).with_context(|| format!("cannot read {}", file.display()))?;
    let wit = toolchain::inspect(&bytes).with_context(|| format!("{} is no component", file.display()))?;
    if as_json {
        return say(&format!("{:#}\n", serde_json::json!({ "file": file, "wit": wit })));
    }
    say(&wit)
}
