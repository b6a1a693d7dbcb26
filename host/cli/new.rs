//! `larder policy new`: a policy to begin with.

use std::path::Path;

use anyhow::Result;
use larder::toolchain;

/// Makes the crate and says what to do with it.
///
/// # Errors
/// The name is none of a domain, the folder exists, or cannot be written.
pub(crate) fn run(name: &str, dir: &Path, as_json: bool) -> Result<()> {
    let folder = toolchain::new_policy(name, dir)?;
    if as_json {
        println!("{:#}", serde_json::json!({ "domain": name, "folder": folder }));
        return Ok(());
    }
    let shown = folder.display();
    println!(
        "{shown}/
  lib.rs           the rules: where a key is kept, how long a value lives
  {name}.toml  settings that an operator may change, grants, limits
  {name}.cases.toml  what the policy must answer before it may serve
  Cargo.toml       the crate
  larder-policy/   the SDK, so that the crate builds anywhere and without a network

larder policy build {shown} --out policies   compiles it; a host that watches the folder swaps it in
larder policy test policies/{name}.wasm      asks it its cases
larder serve --policies policies             serves it: redis-cli -p 6380 SET {name}:42 hello"
    );
    Ok(())
}
