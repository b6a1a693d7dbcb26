//! One run of Cargo over the policies of a workspace.
//!
//! Cargo itself says where what it made lies; nothing is guessed from names. The profile of guests is given on the
//! command line, so that it is the same for a crate of any workspace.

use std::collections::BTreeMap;
use std::io::{BufRead, BufReader, Read};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::mpsc::{self, Sender};
use std::thread;

use anyhow::{Context, Result, bail, ensure};
use serde::Deserialize;

use super::rustc::{Library, Rustc, TARGET};

/// A guest is small, runs for microseconds at a time and has nobody who would unwind it or debug it in place.
const PROFILE: &[&str] = &[
    "inherits=\"release\"",
    "opt-level=3",
    "lto=true",
    "codegen-units=1",
    "panic=\"abort\"",
    "strip=true",
    "debug=false",
    "overflow-checks=true",
];

/// A stack of 64 KiB, and below the data: an overflow traps, and a fresh instance costs a fifth of what it does with
/// the megabyte that is the default. Separated as Cargo wants its encoded flags.
const FLAGS: &str = "-Clink-arg=-zstack-size=65536\x1f-Clink-arg=--stack-first";

/// Packages that one run of Cargo can build.
#[derive(Debug)]
pub(super) struct Workspace {
    root: PathBuf,
    /// By package ids, as Cargo writes them in its messages.
    packages: BTreeMap<String, Crate>,
}

/// A package that is to be built.
#[derive(Clone, Debug)]
struct Crate {
    name: String,
    folder: PathBuf,
}

/// A core module that Cargo made.
#[derive(Debug)]
pub(super) struct Module {
    pub(super) package: String,
    pub(super) path: PathBuf,
    /// The folder of its crate.
    pub(super) folder: PathBuf,
}

#[derive(Deserialize)]
struct Metadata {
    workspace_root: PathBuf,
    packages: Vec<Package>,
}

#[derive(Deserialize)]
struct Package {
    id: String,
    name: String,
    manifest_path: PathBuf,
}

#[derive(Deserialize)]
struct Message {
    reason: String,
    #[serde(default)]
    package_id: String,
    #[serde(default)]
    filenames: Vec<PathBuf>,
}

/// The crates by workspace.
pub(super) fn workspaces(crate_dirs: &[PathBuf]) -> Result<Vec<Workspace>> {
    let mut found: BTreeMap<PathBuf, Workspace> = BTreeMap::new();
    for dir in crate_dirs {
        let manifest = dir.join("Cargo.toml");
        let manifest = manifest.canonicalize().with_context(|| {
            format!("{} is not the folder of a crate: there is no {}", dir.display(), manifest.display())
        })?;
        let metadata = metadata(&manifest)?;
        let package = metadata.packages.into_iter().find(|package| package.manifest_path == manifest);
        let package = package.with_context(|| format!("{} names no package", manifest.display()))?;
        let root = metadata.workspace_root;
        let workspace = found.entry(root.clone()).or_insert_with(|| Workspace { root, packages: BTreeMap::new() });
        let folder = manifest.parent().map(Path::to_owned).unwrap_or_default();
        workspace.packages.insert(package.id, Crate { name: package.name, folder });
    }
    Ok(found.into_values().collect())
}

fn metadata(manifest: &Path) -> Result<Metadata> {
    let output = cargo()
        .args(["metadata", "--no-deps", "--format-version=1", "--manifest-path"])
        .arg(manifest)
        .output()
        .context("cannot run `cargo`; install Rust from https://rustup.rs")?;
    let said = String::from_utf8_lossy(&output.stderr);
    ensure!(output.status.success(), "cargo cannot read {}: {}", manifest.display(), said.trim());
    Ok(serde_json::from_slice(&output.stdout)?)
}

/// Compiles the packages of a workspace, their lines going to `progress`.
pub(super) fn compile(
    compiler: &Rustc,
    workspace: &Workspace,
    target_dir: &Path,
    progress: &mut dyn FnMut(&str),
) -> Result<Vec<Module>> {
    let mut child = command(compiler, workspace, target_dir).spawn().context("cannot run `cargo`")?;
    let (lines, said) = mpsc::channel();
    let messages = child.stdout.take().context("no output of cargo")?;
    let errors = child.stderr.take().context("no output of cargo")?;
    let threads = [forward(messages, lines.clone(), Line::Message), forward(errors, lines, Line::Text)];

    let mut modules = Vec::new();
    let mut last_error = None;
    for line in said {
        match line {
            Line::Message(line) => modules.extend(module(&line, workspace)),
            Line::Text(line) => {
                progress(&line);
                if line.starts_with("error") {
                    last_error = Some(line);
                }
            }
        }
    }
    for thread in threads {
        ensure!(thread.join().is_ok(), "a reader of cargo's output panicked");
    }
    if !child.wait()?.success() {
        bail!("the policies do not compile: {}", last_error.as_deref().unwrap_or("cargo failed without a word"));
    }
    let missing = workspace.packages.values().find(|it| modules.iter().all(|module| module.package != it.name));
    if let Some(Crate { name, .. }) = missing {
        bail!(
            "the crate `{name}` made no WebAssembly module; its `Cargo.toml` needs `[lib] crate-type = [\"cdylib\"]`"
        );
    }
    Ok(modules)
}

fn command(compiler: &Rustc, workspace: &Workspace, target_dir: &Path) -> Command {
    let mut command = cargo();
    command
        .current_dir(&workspace.root)
        .args(["build", "--lib", "--profile=guest", "--message-format=json-render-diagnostics", "--target", TARGET])
        .arg("--target-dir")
        .arg(std::path::absolute(target_dir).unwrap_or_else(|_| target_dir.to_owned()))
        .args(PROFILE.iter().map(|setting| format!("--config=profile.guest.{setting}")))
        .args(workspace.packages.values().map(|it| format!("--package={}", it.name)))
        .env("RUSTC", &compiler.program)
        .env("CARGO_ENCODED_RUSTFLAGS", FLAGS)
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped());
    if let Library::Built { linker } = &compiler.library {
        command
            .arg("-Zbuild-std=std,panic_abort")
            .env("RUSTC_BOOTSTRAP", "1")
            .env("CARGO_TARGET_WASM32_UNKNOWN_UNKNOWN_LINKER", linker);
    }
    command
}

/// Cargo, without what an outer Cargo or its user set for the host's own build.
fn cargo() -> Command {
    let mut command = Command::new(std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
    for outer in ["RUSTFLAGS", "RUSTC_WRAPPER", "RUSTC_WORKSPACE_WRAPPER", "CARGO_BUILD_TARGET", "CARGO_TARGET_DIR"] {
        command.env_remove(outer);
    }
    command
}

enum Line {
    Message(String),
    Text(String),
}

fn forward(from: impl Read + Send + 'static, to: Sender<Line>, kind: fn(String) -> Line) -> thread::JoinHandle<()> {
    thread::spawn(move || {
        for line in BufReader::new(from).split(b'\n').map_while(Result::ok) {
            if to.send(kind(String::from_utf8_lossy(&line).trim_end().to_owned())).is_err() {
                return;
            }
        }
    })
}

/// The module that a message tells of, if it does.
fn module(message: &str, workspace: &Workspace) -> Option<Module> {
    let message: Message =
        serde_json::from_str(message).ok().filter(|it: &Message| it.reason == "compiler-artifact")?;
    let Crate { name: package, folder } = workspace.packages.get(&message.package_id)?.clone();
    let path = message.filenames.into_iter().find(|path| path.extension().is_some_and(|ending| ending == "wasm"))?;
    Some(Module { package, path, folder })
}
