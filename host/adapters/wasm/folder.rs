//! The policy folder as it is: which files are policies, which are not and why, and whether one changed.
//!
//! Only `NAME.wasm` with `NAME.toml` and `NAME.cases.toml` counts, where `NAME` is a domain. What editors and copying tools leave beside them is
//! passed over. Nothing is opened here.

use std::collections::BTreeMap;
use std::fs;
use std::io;
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use crate::limits;

/// What tells that a file changed, without reading it. The change time too: a copy may bring size and modification time along.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Stamp {
    device: u64,
    inode: u64,
    bytes: u64,
    modified: (i64, i64),
    changed: (i64, i64),
}

/// The files of one policy.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Files {
    wasm: Stamp,
    toml: Option<Stamp>,
    cases: Option<Stamp>,
}

/// The folder at one moment.
#[derive(Debug, Default)]
pub(super) struct Scan {
    /// Policies by domain.
    pub(super) policies: BTreeMap<Arc<str>, Files>,
    /// Files that end in `.wasm` and are no policies, with what to do about it.
    pub(super) strays: BTreeMap<String, String>,
}

/// Looks at the folder.
///
/// # Errors
/// It cannot be read.
pub(super) fn scan(folder: &Path) -> io::Result<Scan> {
    let mut scan = Scan::default();
    for entry in fs::read_dir(folder)? {
        let name = entry?.file_name();
        let name = name.to_string_lossy();
        let Some(stem) = name.strip_suffix(".wasm").filter(|_| !is_leftover(&name)) else { continue };
        if !is_domain(stem) {
            scan.strays.insert(stem.to_owned(), misnamed(stem));
        } else if let Some(files) = files(folder, stem) {
            scan.policies.insert(stem.into(), files);
        }
    }
    while scan.policies.len() > limits::DOMAINS_MAX {
        if let Some((name, _)) = scan.policies.pop_last() {
            scan.strays
                .insert(name.to_string(), format!("the folder holds more than {} policies", limits::DOMAINS_MAX));
        }
    }
    Ok(scan)
}

/// The files of one domain as they are now; `None` if there is no component.
pub(super) fn files(folder: &Path, domain: &str) -> Option<Files> {
    let wasm = stamp(&wasm(folder, domain))?;
    Some(Files { wasm, toml: stamp(&toml(folder, domain)), cases: stamp(&cases(folder, domain)) })
}

/// The component's file.
pub(super) fn wasm(folder: &Path, domain: &str) -> PathBuf {
    folder.join(format!("{domain}.wasm"))
}

/// The operator's file beside it.
pub(super) fn toml(folder: &Path, domain: &str) -> PathBuf {
    folder.join(format!("{domain}.toml"))
}

/// The author's file beside it.
pub(super) fn cases(folder: &Path, domain: &str) -> PathBuf {
    folder.join(format!("{domain}.cases.toml"))
}

/// Whether this may be the name of a domain.
pub(super) fn is_domain(name: &str) -> bool {
    name.len() <= limits::DOMAIN_BYTES_MAX
        && name.starts_with(|first: char| first.is_ascii_lowercase())
        && name.bytes().all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-')
}

/// Device and inode of the folder itself: it may be replaced by another of its name.
pub(super) fn identity(folder: &Path) -> Option<(u64, u64)> {
    fs::metadata(folder).ok().map(|meta| (meta.dev(), meta.ino()))
}

/// Hidden files, and what editors leave.
fn is_leftover(name: &str) -> bool {
    name.starts_with(['.', '#', '~'])
}

/// A link that leads nowhere has a stamp too, so that it is reported and not taken for absent.
fn stamp(path: &Path) -> Option<Stamp> {
    let meta = match fs::metadata(path) {
        Ok(meta) => meta,
        Err(_) => return fs::symlink_metadata(path).ok().map(|_| Stamp::default()),
    };
    Some(Stamp {
        device: meta.dev(),
        inode: meta.ino(),
        bytes: meta.len(),
        modified: (meta.mtime(), meta.mtime_nsec()),
        changed: (meta.ctime(), meta.ctime_nsec()),
    })
}

/// Why a name is none of a domain, and which would be.
pub(super) fn misnamed(stem: &str) -> String {
    let better: String = stem
        .to_lowercase()
        .chars()
        .map(|c| if c.is_ascii_lowercase() || c.is_ascii_digit() { c } else { '-' })
        .collect();
    let advice = better.trim_matches('-').trim_start_matches(|c: char| !c.is_ascii_lowercase());
    let rule = format!(
        "a policy's file is named after its domain: a-z, then a-z, 0-9 and '-', at most {} characters",
        limits::DOMAIN_BYTES_MAX
    );
    if is_domain(advice) { format!("{rule}; rename it to {advice}.wasm") } else { rule }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_files_that_are_named_after_a_domain_are_policies() -> io::Result<()> {
        let folder = tempfile::tempdir()?;
        let names = [
            "profile.wasm",
            "profile.toml",
            "rate-limit.wasm",
            "lonely.toml",
            ".hidden.wasm",
            ".profile.wasm.swp",
            "profile.wasm~",
            "#profile.wasm#",
            "#x.wasm",
            "profile.wasm.tmp",
            "notes.txt",
            "Profile.wasm",
            "9lives.wasm",
            "a_b.wasm",
            "ö.wasm",
        ];
        for name in names {
            fs::write(folder.path().join(name), "x")?;
        }
        let scan = scan(folder.path())?;
        assert_eq!(scan.policies.keys().map(|name| &**name).collect::<Vec<_>>(), ["profile", "rate-limit"]);
        assert_eq!(scan.strays.keys().collect::<Vec<_>>(), ["9lives", "Profile", "a_b", "ö"]);
        assert!(scan.strays["Profile"].ends_with("rename it to profile.wasm"));
        assert!(scan.strays["a_b"].ends_with("rename it to a-b.wasm"));
        assert!(scan.strays["ö"].ends_with("characters"));
        Ok(())
    }

    #[test]
    fn every_change_of_a_file_shows_in_its_stamp() -> io::Result<()> {
        let folder = tempfile::tempdir()?;
        let at = |name: &str| folder.path().join(name);
        fs::write(at("a.wasm"), "1")?;
        let first = files(folder.path(), "a");
        fs::write(at("new"), "2")?;
        fs::rename(at("new"), at("a.wasm"))?;
        let second = files(folder.path(), "a");
        assert_ne!(first, second);
        fs::write(at("a.toml"), "")?;
        let third = files(folder.path(), "a");
        assert_ne!(third, second);
        fs::write(at("a.cases.toml"), "")?;
        assert_ne!(files(folder.path(), "a"), third);
        assert_eq!(files(folder.path(), "b"), None);
        std::os::unix::fs::symlink(at("nowhere"), at("b.wasm"))?;
        assert!(files(folder.path(), "b").is_some());
        Ok(())
    }
}
