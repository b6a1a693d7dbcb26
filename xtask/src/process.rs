//! Running other programs: where, which Cargo, how long at most.

use std::io::read_to_string;
use std::path::PathBuf;
use std::process::{Command, Stdio};
use std::thread::{sleep, spawn};
use std::time::Duration;

use anyhow::{Context, Result, bail, ensure};

/// How often a program with a time limit is looked at.
const POLL: Duration = Duration::from_millis(100);

/// The root of the repository.
pub(crate) fn root() -> PathBuf {
    let manifest = PathBuf::from(env!("CARGO_MANIFEST_DIR"));
    manifest.parent().map_or_else(|| manifest.clone(), PathBuf::from)
}

/// Cargo's target folder.
pub(crate) fn target_dir() -> PathBuf {
    let set = std::env::var_os("CARGO_TARGET_DIR");
    root().join(set.map_or_else(|| PathBuf::from("target"), PathBuf::from))
}

/// Where a Node.js of the repository's own lies, if the machine's is too old and [`crate::languages::node`] has installed one.
pub(crate) fn own_node() -> PathBuf {
    let arch = if cfg!(target_arch = "aarch64") { "arm64" } else { "x64" };
    target_dir().join(format!("languages/nodejs/node_modules/node-linux-{arch}/bin"))
}

/// A program, run in the root of the repository; the repository's own Node.js, if there is one, comes before the machine's.
pub(crate) fn program(name: &str) -> Command {
    let mut command = Command::new(name);
    command.current_dir(root());
    let node = own_node();
    if node.join("node").is_file() {
        let path = std::env::var_os("PATH").unwrap_or_default();
        if let Ok(path) = std::env::join_paths(std::iter::once(node).chain(std::env::split_paths(&path))) {
            command.env("PATH", path);
        }
    }
    command
}

/// The Cargo that runs this.
pub(crate) fn cargo() -> Command {
    program(&std::env::var("CARGO").unwrap_or_else(|_| "cargo".into()))
}

/// Runs to the end, its output shown.
///
/// # Errors
/// It cannot be run, or fails.
pub(crate) fn run(command: &mut Command) -> Result<()> {
    let status = command.status().with_context(|| format!("cannot run {}", shown(command)))?;
    ensure!(status.success(), "{} failed: {status}", shown(command));
    Ok(())
}

/// Runs to the end, its output kept for the error.
///
/// # Errors
/// It cannot be run, fails, or takes longer than `limit`; it is killed then.
pub(crate) fn run_quietly(command: &mut Command, limit: Duration) -> Result<()> {
    command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::piped());
    let mut child = command.spawn().with_context(|| format!("cannot run {}", shown(command)))?;
    // Read beside the wait: a full pipe would stop the program.
    let errors = child.stderr.take().context("no error output")?;
    let reader = spawn(move || read_to_string(errors).unwrap_or_default());
    let mut waited = Duration::ZERO;
    let status = loop {
        if let Some(status) = child.try_wait()? {
            break status;
        }
        if waited >= limit {
            child.kill()?;
            child.wait()?;
            bail!("{} took longer than {} s", shown(command), limit.as_secs());
        }
        sleep(POLL);
        waited += POLL;
    };
    if status.success() {
        return Ok(());
    }
    let said = reader.join().unwrap_or_default();
    let lines: Vec<&str> = said.lines().filter(|line| !line.trim().is_empty()).collect();
    let tail = lines.get(lines.len().saturating_sub(3)..).unwrap_or_default().join("; ");
    bail!("{} failed: {tail}", shown(command))
}

/// Whether a program runs and succeeds; what it says is dropped.
pub(crate) fn succeeds(command: &mut Command) -> bool {
    command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null()).status().is_ok_and(|it| it.success())
}

/// Whether a program can be started at all; `wrk -v` fails and is there nonetheless.
pub(crate) fn starts(name: &str) -> bool {
    program(name).arg("-v").stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null()).status().is_ok()
}

/// What a program prints, without the line end; `None` if it fails.
pub(crate) fn printed(command: &mut Command) -> Option<String> {
    let output = command.stdin(Stdio::null()).stderr(Stdio::null()).output().ok()?;
    output.status.success().then(|| String::from_utf8_lossy(&output.stdout).trim().to_owned())
}

/// The command as one would type it.
fn shown(command: &Command) -> String {
    let words = std::iter::once(command.get_program()).chain(command.get_args());
    format!("`{}`", words.map(|word| word.to_string_lossy()).collect::<Vec<_>>().join(" "))
}
