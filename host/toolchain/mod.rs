//! From the source of Rust policies to components: the work behind `larder policy new`, `build` and `inspect`.
//!
//! A noun, a file: a policy to begin with ([`begin`]) and the SDK that goes along ([`sdk`]), the compiler that is there ([`rustc`]), one run of Cargo over the crates of a
//! workspace ([`cargo`]), the component made from its output ([`mod@componentize`]), its interfaces as text ([`mod@inspect`]). A component appears under its
//! name whole or not at all, since the folder may be watched by a running host.
//!
//! Deliberately absent: installing anything (`cargo xtask setup` does), other languages than Rust (their own tools
//! make components), and what a policy may import (the host that loads it decides).

mod begin;
mod cargo;
mod componentize;
mod inspect;
mod rustc;
mod sdk;

use std::fs;
use std::path::{Path, PathBuf};
use std::time::Duration;
#[expect(
    clippy::disallowed_types,
    reason = "how long a compiler takes is measured on the wall, nothing depends on it"
)]
use std::time::Instant;

use anyhow::{Context, Result, ensure};

pub use begin::new_policy;
pub use componentize::componentize;
pub use inspect::inspect;
pub use rustc::Rustc;

/// A component that was built.
#[derive(Clone, Debug)]
pub struct Built {
    /// The package's name; for a policy, the domain.
    pub name: String,
    /// `NAME.wasm` in the output folder.
    pub path: PathBuf,
    /// Its size in bytes.
    pub bytes: u64,
    /// From the start of the build to this component; crates of one workspace are compiled together.
    pub elapsed: Duration,
}

/// What a build says while it runs.
#[derive(Debug)]
pub enum Progress<'a> {
    /// What compiles, as it begins.
    Compiler(&'a Rustc),
    /// A line of the compiler's, without its end: progress, warnings, errors.
    Line(&'a str),
    /// A component is in the output folder.
    Built(&'a Built),
}

/// Builds each crate's component into `out_dir` as `NAME.wasm`, in the order of the compiler; `NAME.cases.toml` of the crate's
/// folder goes along, and `NAME.toml` where there is none yet.
///
/// `target_dir` keeps what is compiled between builds; one for all guests makes the second build take seconds. It must
/// not be one in which a Cargo that waits for this build is working.
///
/// # Errors
/// No toolchain for WebAssembly is there (the error says what to install), a crate does not compile (why is in the
/// lines that `progress` got), a crate is not a policy, or the folder cannot be written. Components that were
/// finished before stay.
pub fn build(
    crate_dirs: &[PathBuf],
    out_dir: &Path,
    target_dir: &Path,
    progress: &mut dyn FnMut(Progress<'_>),
) -> Result<Vec<Built>> {
    ensure!(!crate_dirs.is_empty(), "there is no crate to build; name at least one folder with a `Cargo.toml`");
    #[expect(clippy::disallowed_types, reason = "as above")]
    let began = Instant::now();
    let compiler = Rustc::find()?;
    progress(Progress::Compiler(&compiler));
    fs::create_dir_all(out_dir).with_context(|| format!("cannot make the folder {}", out_dir.display()))?;
    let mut all = Vec::new();
    for workspace in cargo::workspaces(crate_dirs)? {
        for module in cargo::compile(&compiler, &workspace, target_dir, &mut |line| progress(Progress::Line(line)))? {
            let name = module.package;
            let core = fs::read(&module.path).with_context(|| format!("cannot read {}", module.path.display()))?;
            let component = componentize(&core).with_context(|| format!("the crate `{name}` is not a policy"))?;
            let path = out_dir.join(format!("{name}.wasm"));
            bring_along(&module.folder, &name, out_dir)?;
            replace(&path, &component).with_context(|| format!("cannot write {}", path.display()))?;
            let built = Built { name, path, bytes: component.len() as u64, elapsed: began.elapsed() };
            progress(Progress::Built(&built));
            all.push(built);
        }
    }
    Ok(all)
}

/// Copies what belongs to a component and lies beside its source: the author's cases always, the operator's settings only where
/// there are none yet. Before the component, so that a watched folder never has a new one with old cases for long.
fn bring_along(from: &Path, name: &str, out_dir: &Path) -> Result<()> {
    for (ending, overwrite) in [("toml", false), ("cases.toml", true)] {
        let (source, path) = (from.join(format!("{name}.{ending}")), out_dir.join(format!("{name}.{ending}")));
        if source.is_file() && (overwrite || !path.exists()) {
            let bytes = fs::read(&source).with_context(|| format!("cannot read {}", source.display()))?;
            replace(&path, &bytes).with_context(|| format!("cannot write {}", path.display()))?;
        }
    }
    Ok(())
}

/// Writes a file beside its place and moves it there, so that a reader sees the old one or the new one.
fn replace(path: &Path, bytes: &[u8]) -> Result<()> {
    let folder = path.parent().context("the path has no folder")?;
    let mut temporary = tempfile::Builder::new().prefix(".larder-").tempfile_in(folder)?;
    std::io::Write::write_all(&mut temporary, bytes)?;
    #[cfg(unix)]
    {
        // A temporary file is its owner's alone; a component may be read by a host that runs as somebody else.
        use std::os::unix::fs::PermissionsExt;
        temporary.as_file().set_permissions(fs::Permissions::from_mode(0o644))?;
    }
    temporary.persist(path)?;
    Ok(())
}
