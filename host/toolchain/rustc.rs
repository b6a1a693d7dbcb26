//! The Rust compiler that makes WebAssembly on this machine.
//!
//! A compiler with the standard library of the target needs nothing else. One without it, but with the library's
//! source, builds the library first, which takes a minute once per target folder. That uses an unstable option of
//! Cargo's, allowed by `RUSTC_BOOTSTRAP`; the policy's own code is compiled as stable Rust all the same.

use std::fmt;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, bail, ensure};

/// The target of every policy: no system interface, so nothing to import but what the contract has.
pub(super) const TARGET: &str = "wasm32-unknown-unknown";

/// Debian keeps a newer compiler for its browsers, with its library's source in a package beside it.
const DEBIAN: &str = "/usr/bin/rustc";

const INSTALL: &str = "install the target with `rustup target add wasm32-unknown-unknown`, or on Debian a compiler with its \
                       library's source: `apt-get install --no-install-recommends rustc-web rust-web-src lld`; \
                       `cargo xtask setup` tries both";

/// A compiler, and how it comes by the standard library of the target.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Rustc {
    /// The program.
    pub program: PathBuf,
    /// Where the standard library comes from.
    pub library: Library,
}

/// Where the standard library of the target comes from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Library {
    /// It is installed.
    Installed,
    /// It is built from its source, with this linker: such a compiler has none of its own.
    Built {
        /// `rust-lld` of another toolchain, or a `wasm-ld`.
        linker: PathBuf,
    },
}

impl fmt::Display for Rustc {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let library = match self.library {
            Library::Installed => "",
            Library::Built { .. } => ", which builds its own standard library first (a minute, once)",
        };
        write!(f, "{} for {TARGET}{library}", self.program.display())
    }
}

impl Rustc {
    /// The compiler to use: `$RUSTC` or `rustc` if it has the target, else the first that can build its library.
    ///
    /// # Errors
    /// There is none; says what to install.
    pub fn find() -> Result<Self> {
        let usual = std::env::var_os("RUSTC").map_or_else(|| PathBuf::from("rustc"), PathBuf::from);
        let compilers: Vec<(PathBuf, PathBuf)> = [usual, PathBuf::from(DEBIAN)]
            .into_iter()
            .filter_map(|program| sysroot(&program).ok().map(|sysroot| (program, sysroot)))
            .collect();
        ensure!(!compilers.is_empty(), "there is no Rust compiler: `rustc` cannot be run; {INSTALL}");
        if let Some((program, _)) = compilers.iter().find(|(_, sysroot)| has_target(sysroot)) {
            return Ok(Self { program: program.clone(), library: Library::Installed });
        }
        let Some((program, _)) = compilers.iter().find(|(_, sysroot)| has_source(sysroot)) else {
            bail!("no Rust compiler here can make WebAssembly; {INSTALL}");
        };
        let linker = linker(compilers.iter().map(|(_, sysroot)| sysroot.as_path())).with_context(|| {
            format!("{} needs a linker for WebAssembly and there is none; {INSTALL}", program.display())
        })?;
        Ok(Self { program: program.clone(), library: Library::Built { linker } })
    }
}

fn sysroot(program: &Path) -> Result<PathBuf> {
    let output = Command::new(program).args(["--print", "sysroot"]).output()?;
    ensure!(output.status.success(), "{} failed", program.display());
    Ok(PathBuf::from(String::from_utf8(output.stdout)?.trim()))
}

fn has_target(sysroot: &Path) -> bool {
    let library = sysroot.join("lib/rustlib").join(TARGET).join("lib");
    library.read_dir().is_ok_and(|mut files| files.next().is_some())
}

fn has_source(sysroot: &Path) -> bool {
    sysroot.join("lib/rustlib/src/rust/library/Cargo.lock").is_file()
}

/// `rust-lld` of one of the toolchains, or a `wasm-ld` (of any version) on the `PATH`.
fn linker<'a>(sysroots: impl Iterator<Item = &'a Path>) -> Option<PathBuf> {
    let bundled =
        sysroots.flat_map(|sysroot| entries(&sysroot.join("lib/rustlib"))).map(|host| host.join("bin/rust-lld"));
    let on_path = std::env::var_os("PATH").unwrap_or_default();
    let installed = std::env::split_paths(&on_path).flat_map(|folder| entries(&folder)).filter(|program| {
        program.file_name().and_then(|name| name.to_str()).is_some_and(|name| name.starts_with("wasm-ld"))
    });
    bundled.chain(installed).find(|program| program.is_file())
}

fn entries(folder: &Path) -> impl Iterator<Item = PathBuf> + use<> {
    folder.read_dir().into_iter().flatten().filter_map(|entry| Some(entry.ok()?.path()))
}
