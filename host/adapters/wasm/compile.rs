//! From the bytes of a component to machine code: compiled off the request path, kept on disk.
//!
//! Invariants: the compiler runs in a process of its own where there is a program for it ([`super::beside`]), else in an engine of its own
//! that is dropped afterwards; machine code is loaded only if its digest
//! is the one that this host wrote beside it, since the loader trusts what it is given; whatever is wrong with a kept file, the
//! answer is to compile again. Files are written under another name and renamed, never changed in place: they are mapped.

use std::collections::hash_map::DefaultHasher;
use std::fs;
use std::hash::{Hash as _, Hasher as _};
use std::io::Write as _;
use std::os::unix::fs::{DirBuilderExt as _, MetadataExt as _, PermissionsExt as _};
use std::path::{Path, PathBuf};

use anyhow::Context as _;
use wasmtime::Engine;
use wasmtime::component::Component;

use super::beside::Beside;
use super::engine;
use super::refused::{Reason, Refused};
use super::source::digest_hex;
use crate::limits;

/// Machine code, and its digest beside it.
const CODE: &str = "cwasm";
const DIGEST: &str = "sha256";

/// Compiles components for one serving engine and keeps the results in a folder.
pub(super) struct Compiler {
    engine: Engine,
    /// Tells apart what different hosts, versions and settings of the compiler made.
    compatibility: String,
    folder: PathBuf,
    /// Compiles; `None`: this process does.
    beside: Option<Beside>,
}

impl Compiler {
    /// Keeps machine code in `folder`, which only this user may enter; `program` compiles, or this process if there is none.
    ///
    /// # Errors
    /// The folder cannot be made.
    pub(super) fn new(engine: Engine, folder: PathBuf, program: Option<PathBuf>) -> anyhow::Result<Self> {
        let context = || format!("making the folder for compiled policies, {}", folder.display());
        fs::DirBuilder::new().recursive(true).mode(0o700).create(&folder).with_context(context)?;
        fs::set_permissions(&folder, fs::Permissions::from_mode(0o700)).with_context(context)?;
        let mut hasher = DefaultHasher::new();
        engine.precompile_compatibility_hash().hash(&mut hasher);
        let compatibility = format!("{:016x}", hasher.finish());
        Ok(Self { engine, compatibility, folder, beside: program.map(Beside::new) })
    }

    /// The serving engine.
    pub(super) const fn engine(&self) -> &Engine {
        &self.engine
    }

    /// Machine code of a component whose SHA-256 is `digest`, from the folder or compiled now. Blocks for long.
    ///
    /// # Errors
    /// It is not valid, or uses what this host's WebAssembly does not have.
    pub(super) fn component(&self, wasm: &[u8], digest: &str) -> Result<Component, Refused> {
        let path = self.folder.join(format!("{digest}-{}.{CODE}", self.compatibility));
        if let Some(component) = self.kept(&path) {
            return Ok(component);
        }
        let code = self.beside.as_ref().map_or_else(|| compile_here(wasm), |beside| beside.compile(wasm))?;
        match self.keep(&path, &code) {
            Ok(()) => self.make_room(&path),
            Err(error) => tracing::warn!(
                target: "larder::policy",
                error = format!("{error:#}"),
                "a compiled policy could not be kept; the next start compiles it again"
            ),
        }
        self.kept(&path).map_or_else(|| self.load_unkept(&code), Ok)
    }

    /// What was kept, if it is whole.
    fn kept(&self, path: &Path) -> Option<Component> {
        let written = fs::read_to_string(path.with_extension(DIGEST)).ok()?;
        if digest_hex(&fs::read(path).ok()?) != written {
            tracing::warn!(target: "larder::policy", path = %path.display(), "a compiled policy is damaged; compiling again");
            return None;
        }
        #[expect(
            unsafe_code,
            reason = "the folder is this user's alone, and the digest says that this host wrote these bytes"
        )]
        let loaded = unsafe { Component::deserialize_file(&self.engine, path) };
        loaded.inspect_err(|error| tracing::debug!(target: "larder::policy", "compiling again: {error:#}")).ok()
    }

    fn load_unkept(&self, code: &[u8]) -> Result<Component, Refused> {
        #[expect(
            unsafe_code,
            reason = "the compiler made these bytes just now, in this process or one of this host's own"
        )]
        let loaded = unsafe { Component::deserialize(&self.engine, code) };
        loaded.map_err(|error| Refused::new(Reason::Invalid, format!("does not fit into this host: {error:#}")))
    }

    /// The digest is written last: without it the code counts as absent.
    fn keep(&self, path: &Path, code: &[u8]) -> anyhow::Result<()> {
        let _ = fs::remove_file(path.with_extension(DIGEST));
        self.write(path, code)?;
        self.write(&path.with_extension(DIGEST), digest_hex(code).as_bytes())
    }

    fn write(&self, path: &Path, bytes: &[u8]) -> anyhow::Result<()> {
        let mut file = tempfile::Builder::new().prefix(".").tempfile_in(&self.folder)?;
        file.write_all(bytes)?;
        file.persist(path)?;
        Ok(())
    }

    /// Removes the oldest code above [`limits::COMPILED_BYTES_MAX`], but not what was just written. Code in use stays mapped.
    fn make_room(&self, newest: &Path) {
        let Ok(entries) = fs::read_dir(&self.folder) else { return };
        let mut files: Vec<_> = entries
            .flatten()
            .filter(|entry| entry.path().extension().is_some_and(|extension| extension == CODE))
            .filter_map(|entry| entry.metadata().ok().map(|meta| (meta.mtime(), meta.len(), entry.path())))
            .collect();
        files.sort_unstable();
        let mut bytes: u64 = files.iter().map(|(_, len, _)| len).sum();
        for (_, len, path) in files.iter().filter(|(_, _, path)| path != newest) {
            if bytes <= limits::COMPILED_BYTES_MAX {
                break;
            }
            bytes -= len;
            let _ = fs::remove_file(path.with_extension(DIGEST));
            let _ = fs::remove_file(path);
        }
    }
}

/// Compiles in this process; nothing bounds how long it takes.
///
/// # Errors
/// What is wrong with the component, in words for its author.
pub fn compile(wasm: &[u8]) -> Result<Vec<u8>, String> {
    compile_here(wasm).map_err(|refused| refused.message)
}

/// Bounds the memory and the time on the processor of this process, which compiles and does nothing else: should its host end before it,
/// it still ends. On a busy machine requests come before it.
///
/// # Errors
/// The system refuses.
pub fn bound_compiler() -> std::io::Result<()> {
    let bounds = [
        (libc::RLIMIT_AS, limits::COMPILE_MEMORY_BYTES_MAX),
        (libc::RLIMIT_CPU, limits::COMPILE_CPU_S_MAX),
        (libc::RLIMIT_CORE, 0),
    ];
    for (what, bound) in bounds {
        let bound = libc::rlimit { rlim_cur: bound, rlim_max: bound };
        #[expect(unsafe_code, reason = "reads one value of this function's")]
        let done = unsafe { libc::setrlimit(what, &raw const bound) };
        if done != 0 {
            return Err(std::io::Error::last_os_error());
        }
    }
    rustix::process::nice(limits::COMPILE_NICE)?;
    Ok(())
}

fn compile_here(wasm: &[u8]) -> Result<Vec<u8>, Refused> {
    let all_cores = wasm.len() > limits::COMPILE_ALONE_BYTES_MAX;
    let engine = engine::compiling(all_cores)
        .map_err(|error| Refused::new(Reason::Host, format!("the compiler does not start: {error:#}")))?;
    engine.precompile_component(wasm).map_err(|error| not_compiled(&format!("{error:#}")))
}

fn not_compiled(words: &str) -> Refused {
    if words.contains("component model async feature") {
        return Refused::new(
            Reason::Invalid,
            format!(
                "is asynchronous, but policies are called synchronously; build it so (`componentize-qjs --sync`): {words}"
            ),
        );
    }
    Refused::new(Reason::Invalid, format!("is not a valid component: {words}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The smallest component: no sections at all.
    const WASM: [u8; 8] = [0, b'a', b's', b'm', 0x0d, 0, 1, 0];

    fn files(folder: &Path, extension: &str) -> Vec<PathBuf> {
        let paths = fs::read_dir(folder).expect("the folder is there").flatten().map(|entry| entry.path());
        paths.filter(|path| path.extension().is_some_and(|it| it == extension)).collect()
    }

    #[test]
    fn the_compiler_makes_what_the_serving_engine_loads() -> anyhow::Result<()> {
        let mut hashes = [engine::serving()?, engine::compiling(false)?, engine::compiling(true)?].map(|engine| {
            let mut hasher = DefaultHasher::new();
            engine.precompile_compatibility_hash().hash(&mut hasher);
            hasher.finish()
        });
        hashes.sort_unstable();
        assert_eq!(hashes[0], hashes[2]);
        Ok(())
    }

    #[test]
    fn what_is_damaged_on_disk_is_compiled_again() -> anyhow::Result<()> {
        let folder = tempfile::tempdir()?;
        let compiler = Compiler::new(engine::serving()?, folder.path().join("cache"), None)?;
        compiler.component(&WASM, "abc")?;
        let path = files(&compiler.folder, CODE).pop().expect("one file of code");
        assert!(compiler.kept(&path).is_some());
        let whole = fs::read(&path)?;
        let flipped: Vec<u8> = whole.iter().map(|byte| byte ^ 1).collect();
        for damaged in [&whole[..whole.len() / 2], &flipped[..], &[]] {
            fs::remove_file(&path)?;
            fs::write(&path, damaged)?;
            assert!(compiler.kept(&path).is_none());
            compiler.component(&WASM, "abc")?;
            assert!(compiler.kept(&path).is_some());
        }
        Ok(())
    }

    #[test]
    fn only_this_user_may_enter_the_folder() -> anyhow::Result<()> {
        let folder = tempfile::tempdir()?;
        fs::set_permissions(folder.path(), fs::Permissions::from_mode(0o755))?;
        Compiler::new(engine::serving()?, folder.path().to_owned(), None)?;
        assert_eq!(fs::metadata(folder.path())?.mode() & 0o777, 0o700);
        Ok(())
    }
}
