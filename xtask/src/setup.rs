//! Installing what is missing, one line for each step.
//!
//! Without WebAssembly there is nothing to run, so its absence is an error; without Redis or nextest some tests fail
//! or run in another way, so theirs is a warning. Installing takes Rust's own installer first, then Debian's.

use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Context, Result, bail};

use crate::process::{cargo, printed, program, run_quietly, starts, succeeds};

const TARGET: &str = "wasm32-unknown-unknown";
/// A machine that cannot reach Rust's servers often waits instead of failing.
const RUSTUP_LIMIT: Duration = Duration::from_secs(90);
const APT_LIMIT: Duration = Duration::from_secs(600);
const BUILD_LIMIT: Duration = Duration::from_secs(1800);

/// Sees to what the host and the policies are built with.
///
/// # Errors
/// Something is missing and cannot be installed; says what to do.
pub(crate) fn compilers() -> Result<()> {
    // The allocator's own build asks for it; the C compiler is there, for nothing of Rust links without one.
    if !starts("make") {
        apt(&["make"]).context("the host's allocator is built with make; install it")?;
    }
    webassembly()
}

/// Sees to a compiler that makes WebAssembly; `host/toolchain` finds it by the same marks.
fn webassembly() -> Result<()> {
    if can_compile() {
        return Ok(());
    }
    say("WebAssembly: rustup target add wasm32-unknown-unknown");
    let rustup = run_quietly(program("rustup").args(["target", "add", TARGET]), RUSTUP_LIMIT);
    if can_compile() {
        return Ok(());
    }
    let mut debian = Ok(());
    // The first pair is newer where it exists: Debian keeps it for its browsers.
    for packages in [["rustc-web", "rust-web-src"], ["rustc", "rust-src"]] {
        let linker = if has_linker() { None } else { Some("lld") };
        debian = apt(&packages.into_iter().chain(linker).collect::<Vec<_>>());
        if can_compile() {
            return Ok(());
        }
    }
    let why = |result: Result<()>| result.map_or_else(|error| format!("{error:#}"), |()| "it changed nothing".into());
    bail!(
        "no Rust compiler here makes WebAssembly and none could be installed.\n  rustup: {}\n  apt: {}\n\
         Install the target {TARGET} of your Rust toolchain and run this again.",
        why(rustup),
        why(debian)
    );
}

/// Sees to a Redis for the tests that need a real one.
pub(crate) fn redis() {
    let there = || ["redis-server", "redis-cli"].iter().all(|name| succeeds(program(name).arg("--version")));
    if !there()
        && let Err(error) = apt(&["redis-server", "redis-tools"])
    {
        warn(&format!("Redis is missing, so the tests that need it will fail; install it and try again ({error:#})"));
    }
}

/// Sees to what the README has a newcomer type, and to what tests do as a shell would.
///
/// # Errors
/// Something is missing and cannot be installed.
pub(crate) fn shell() -> Result<()> {
    const NEEDED: [(&str, &str); 4] =
        [("curl", "curl"), ("openssl", "openssl"), ("kill", "procps"), ("script", "bsdutils")];
    let missing: Vec<&str> =
        NEEDED.iter().filter(|(program, _)| !starts(program)).map(|(_, package)| *package).collect();
    if missing.is_empty() { Ok(()) } else { apt(&missing).context("the tests do what the README says; install these") }
}

/// Sees to what the benchmark over HTTP needs; without it that section is left out.
pub(crate) fn web_benchmark() {
    if !["nginx", "wrk"].into_iter().all(starts)
        && let Err(error) = apt(&["nginx-light", "wrk"])
    {
        warn(&format!("nginx and wrk are missing, so HTTP is not measured ({error:#})"));
    }
}

/// Sees to npm, which the builder of JavaScript policies comes from.
///
/// # Errors
/// There is none and none can be installed.
pub(crate) fn npm() -> Result<()> {
    if starts("npm") {
        return Ok(());
    }
    apt(&["nodejs", "npm"]).context("the tests build policies in JavaScript; install Node.js with npm")
}

/// Sees to a Chromium, which the dashboard is tested in.
///
/// # Errors
/// There is none and none can be installed.
pub(crate) fn browser() -> Result<()> {
    if ["chromium", "chromium-browser", "google-chrome"].into_iter().any(starts) {
        return Ok(());
    }
    apt(&["chromium"]).context("the dashboard is tested in a browser; install Chromium")
}

/// Sees to a Prometheus, which the examples of monitoring are tested with.
///
/// # Errors
/// There is none and none can be installed.
pub(crate) fn prometheus() -> Result<()> {
    if ["prometheus", "promtool"].into_iter().all(starts) {
        return Ok(());
    }
    apt(&["prometheus"]).context("the examples of monitoring are tested with Prometheus; install it")
}

/// Sees to a Python that makes virtual environments, which the builder of Python policies is installed in.
///
/// # Errors
/// There is none and none can be installed.
pub(crate) fn python() -> Result<()> {
    if succeeds(program("python3").args(["-c", "import ensurepip, venv"])) {
        return Ok(());
    }
    apt(&["python3", "python3-venv"]).context("the tests build policies in Python; install Python 3 with its `venv`")
}

/// Sees to nextest. Whether it is there.
pub(crate) fn nextest() -> bool {
    let there = || succeeds(cargo().args(["nextest", "--version"]));
    if !there() {
        say("nextest: cargo install --locked cargo-nextest (some minutes)");
        if let Err(error) = run_quietly(cargo().args(["install", "--locked", "cargo-nextest"]), BUILD_LIMIT) {
            warn(&format!("nextest cannot be installed, `cargo test` is used instead ({error:#})"));
        }
    }
    there()
}

fn can_compile() -> bool {
    sysroots().iter().any(|sysroot| has_files(&sysroot.join("lib/rustlib").join(TARGET).join("lib")))
        || has_linker()
            && sysroots().iter().any(|sysroot| sysroot.join("lib/rustlib/src/rust/library/Cargo.lock").is_file())
}

fn sysroots() -> Vec<PathBuf> {
    let usual = std::env::var("RUSTC").unwrap_or_else(|_| "rustc".into());
    let ask = |rustc: &str| printed(program(rustc).args(["--print", "sysroot"])).map(PathBuf::from);
    [usual.as_str(), "/usr/bin/rustc"].into_iter().filter_map(ask).collect()
}

fn has_linker() -> bool {
    let hosts = |sysroot: &PathBuf| entries(&sysroot.join("lib/rustlib"));
    let bundled = sysroots().iter().flat_map(hosts).any(|host| host.join("bin/rust-lld").is_file());
    let path = std::env::var_os("PATH").unwrap_or_default();
    let is_linker = |path: PathBuf| path.file_name().is_some_and(|name| name.to_string_lossy().starts_with("wasm-ld"));
    bundled || std::env::split_paths(&path).flat_map(|folder| entries(&folder)).any(is_linker)
}

fn has_files(folder: &Path) -> bool {
    !entries(folder).is_empty()
}

fn entries(folder: &Path) -> Vec<PathBuf> {
    folder.read_dir().into_iter().flatten().flatten().map(|entry| entry.path()).collect()
}

/// Installs packages of a Debian or Ubuntu.
fn apt(packages: &[&str]) -> Result<()> {
    say(&format!("apt-get install {}", packages.join(" ")));
    let root = printed(program("id").arg("-u")).is_some_and(|user| user == "0");
    let apt_get = |args: &[&str]| {
        let mut command = if root { program("apt-get") } else { program("sudo") };
        if !root {
            // Asking for a password here would look like a hang.
            command.args(["-n", "apt-get"]);
        }
        command.args(args).env("DEBIAN_FRONTEND", "noninteractive");
        run_quietly(&mut command, APT_LIMIT)
    };
    // An old list is no reason to fail: the packages may be in it all the same.
    let updated = apt_get(&["update"]);
    let mut install = vec!["install", "-y", "--no-install-recommends"];
    install.extend(packages);
    apt_get(&install).with_context(|| updated.err().map_or_else(String::new, |error| format!("{error:#}")))
}

fn say(step: &str) {
    println!("setup: {step}");
}

fn warn(text: &str) {
    eprintln!("setup: warning: {text}");
}
