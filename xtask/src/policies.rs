//! Building the policies with the host's own `larder policy build`.

use std::path::{Path, PathBuf};

use anyhow::{Context, Result};

use crate::process::{cargo, program, root, run, target_dir};
use crate::setup;

/// How the host is built.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Profile {
    /// Quick to build.
    Dev,
    /// Quick to run.
    Release,
}

/// Builds every policy of the house into `policies/`.
///
/// # Errors
/// A policy or the host does not build.
pub(crate) fn all(profile: Profile) -> Result<()> {
    setup::compilers()?;
    build(profile, &crates(Path::new("policies"))?, Path::new("policies"))
}

/// Builds the guests of the tests, which must not lie among the policies: some of them are hostile.
///
/// # Errors
/// A guest or the host does not build.
pub(crate) fn guests(profile: Profile) -> Result<()> {
    build(profile, &crates(Path::new("tests/guests"))?, &target_dir().join("guests-out"))
}

fn build(profile: Profile, crates: &[PathBuf], out: &Path) -> Result<()> {
    let mut command = program(&host(profile)?.to_string_lossy());
    command.args(["policy", "build", "--out"]).arg(out);
    command.arg("--target").arg(target_dir().join("guests")).args(crates);
    run(&mut command)
}

/// The host's binary, built.
///
/// For the tests it is built *with* them: Cargo resolves the features of dependencies anew for a binary alone, and everything
/// below it, the compiler of WebAssembly included, would be compiled twice.
fn host(profile: Profile) -> Result<PathBuf> {
    let (words, folder): (&[&str], _) = match profile {
        Profile::Dev => (&["test", "--no-run", "--workspace"], "debug"),
        Profile::Release => (&["build", "--release", "--bin", "larder"], "release"),
    };
    run(cargo().args(words))?;
    Ok(target_dir().join(folder).join("larder"))
}

/// The crates in a folder, in order of their names; the SDK is none that makes a component.
fn crates(folder: &Path) -> Result<Vec<PathBuf>> {
    let entries = root().join(folder).read_dir().with_context(|| format!("cannot read {}", folder.display()))?;
    let names = entries.flatten().filter(|entry| entry.path().join("Cargo.toml").is_file()).map(|it| it.file_name());
    let mut found: Vec<_> = names.filter(|name| name != "sdk").map(|name| folder.join(name)).collect();
    found.sort();
    Ok(found)
}
