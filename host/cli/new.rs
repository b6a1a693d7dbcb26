//! `larder policy new`: a policy to begin with.

use std::path::Path;

use anyhow::Result;
use larder::toolchain;

use super::exit::Exit;
use super::out::say;

/// Makes the crate and says what to do with it.
///
/// # Errors
/// The name is none of a domain, the folder exists, or cannot be written.
pub(crate) fn run(name: &str, dir: &Path, as_json: bool) -> Result<Exit> {
    let folder = toolchain::new_policy(name, dir)?;
    if as_json {
        return say(&format!("{:#}\n", serde_json::json!({ "domain": name, "folder": folder })));
    }
    let shown = folder.display();
    let (settings, cases) = (format!("{name}.toml"), format!("{name}.cases.toml"));
    let wide = cases.len().max("larder-policy/".len());
    say(&format!(
        "{shown}/
  {:wide$}  the rules: where a key is kept, how long a value lives
  {settings:wide$}  settings that an operator may change, grants, limits
  {cases:wide$}  what the policy must answer before it may serve
  {:wide$}  the crate
  {:wide$}  the SDK, so that the crate builds anywhere and without a network

larder policy build {shown} --out policies   # compiles it; a host that watches the folder swaps it in
larder policy test policies/{name}.wasm   # asks it its cases
larder serve --policies policies   # serves it: redis-cli -p 6380 SET {name}:42 hello
",
        "lib.rs", "Cargo.toml", "larder-policy/"
    ))
}
