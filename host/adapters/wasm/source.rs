//! A policy as it lies on disk: the component's bytes, its `NAME.toml` and `NAME.cases.toml`, and what identifies them.

use std::fmt::Write as _;
use std::fs::{self, File};
use std::io::Read as _;
use std::path::Path;

use sha2::{Digest as _, Sha256};

use super::folder;
use super::refused::{Reason, Refused};
use crate::limits;

/// The files of one policy, read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Source {
    /// The component.
    pub(super) wasm: Vec<u8>,
    /// Its `NAME.toml`, if there is one.
    pub(super) toml: Option<String>,
    /// Its `NAME.cases.toml`, if there is one.
    pub(super) cases: Option<String>,
}

impl Source {
    /// Reads the files of one name in a folder.
    ///
    /// # Errors
    /// One cannot be read, or is larger than it may be.
    pub(super) fn read(folder: &Path, name: &str) -> Result<Self, Refused> {
        let Some(wasm) = read(&folder::wasm(folder, name), limits::COMPONENT_BYTES_MAX)? else {
            return Err(Refused::new(Reason::Unreadable, format!("{name}.wasm is not there")));
        };
        let toml = text(&folder::toml(folder, name), limits::POLICY_TOML_BYTES_MAX, Reason::Manifest)?;
        let cases = text(&folder::cases(folder, name), limits::POLICY_CASES_BYTES_MAX, Reason::Cases)?;
        Ok(Self { wasm, toml, cases })
    }

    /// SHA-256 over all files, in hex: says whether anything changed.
    pub(super) fn digest(&self) -> String {
        let mut hash = Sha256::new();
        hash.update((self.wasm.len() as u64).to_le_bytes());
        hash.update(&self.wasm);
        if let Some(cases) = &self.cases {
            hash.update([2]);
            hash.update((cases.len() as u64).to_le_bytes());
            hash.update(cases);
        }
        if let Some(toml) = &self.toml {
            hash.update([1]);
            hash.update(toml);
        }
        hex(&hash.finalize())
    }
}

/// SHA-256 of some bytes, in hex.
pub(super) fn digest_hex(bytes: &[u8]) -> String {
    hex(&Sha256::digest(bytes))
}

/// Bytes in hex.
pub(super) fn hex(bytes: &[u8]) -> String {
    bytes.iter().fold(String::with_capacity(bytes.len() * 2), |mut text, byte| {
        let _ = write!(text, "{byte:02x}");
        text
    })
}

/// A file's text; `None` if there is no such file.
fn text(path: &Path, bytes_max: u64, reason: Reason) -> Result<Option<String>, Refused> {
    let text = read(path, bytes_max)?.map(String::from_utf8).transpose();
    text.map_err(|_| {
        let name = path.file_name().unwrap_or_default().to_string_lossy();
        Refused::new(reason, format!("{name} is not UTF-8"))
    })
}

/// A file's bytes; `None` if there is no such file. Looks before it opens: opening a pipe would wait for its writer.
fn read(path: &Path, bytes_max: u64) -> Result<Option<Vec<u8>>, Refused> {
    let name = path.file_name().unwrap_or_default().to_string_lossy();
    let unreadable =
        |error: std::io::Error| Refused::new(Reason::Unreadable, format!("{name} cannot be read: {error}"));
    let meta = match fs::metadata(path) {
        Ok(meta) => meta,
        Err(_) if path.is_symlink() => {
            return Err(Refused::new(Reason::Unreadable, format!("{name} is a link that leads nowhere")));
        }
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(unreadable(error)),
    };
    if !meta.is_file() {
        return Err(Refused::new(Reason::Unreadable, format!("{name} is not a file")));
    }
    let too_large = || {
        let allowed = bytes_max >> 10;
        Refused::new(Reason::TooLarge, format!("{name} is larger than {allowed} KiB, the most that is allowed"))
    };
    if meta.len() > bytes_max {
        return Err(too_large());
    }
    let mut bytes = Vec::with_capacity(usize::try_from(meta.len()).unwrap_or(0));
    // It may have grown since.
    File::open(path).and_then(|file| file.take(bytes_max + 1).read_to_end(&mut bytes)).map_err(unreadable)?;
    if bytes.len() as u64 > bytes_max { Err(too_large()) } else { Ok(Some(bytes)) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_digest_tells_every_change() {
        let source = |wasm: &str, toml: Option<&str>, cases: Option<&str>| {
            let own = |text: Option<&str>| text.map(str::to_owned);
            Source { wasm: wasm.into(), toml: own(toml), cases: own(cases) }.digest()
        };
        let all = [
            source("ab", None, None),
            source("ab", Some(""), None),
            source("ab", None, Some("")),
            source("ab", Some(""), Some("")),
            source("a", Some("b"), None),
            source("ab", Some("x"), None),
            source("ab", None, Some("x")),
        ];
        for (i, one) in all.iter().enumerate() {
            assert!(all.iter().skip(i + 1).all(|other| other != one));
        }
        assert_eq!(digest_hex(b""), "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855");
    }

    #[test]
    fn what_is_no_readable_file_says_so() -> anyhow::Result<()> {
        let folder = tempfile::tempdir()?;
        let path = |name: &str| folder.path().join(name);
        let refuses = |name: &str, reason: Reason, words: &str| {
            let refused = Source::read(folder.path(), name).expect_err("there is nothing to read");
            assert_eq!(refused.reason, reason, "{refused}");
            assert!(refused.message.contains(words), "{refused}");
        };
        refuses("a", Reason::Unreadable, "a.wasm is not there");
        fs::create_dir(path("b.wasm"))?;
        refuses("b", Reason::Unreadable, "not a file");
        std::os::unix::fs::symlink(path("nowhere"), path("c.wasm"))?;
        refuses("c", Reason::Unreadable, "leads nowhere");
        File::create(path("d.wasm"))?.set_len(limits::COMPONENT_BYTES_MAX + 1)?;
        refuses("d", Reason::TooLarge, "d.wasm is larger than");
        fs::write(path("e.wasm"), "")?;
        fs::write(path("e.cases.toml"), b"\xff")?;
        refuses("e", Reason::Cases, "e.cases.toml is not UTF-8");
        File::create(path("e.cases.toml"))?.set_len(limits::POLICY_CASES_BYTES_MAX + 1)?;
        refuses("e", Reason::TooLarge, "e.cases.toml is larger than");
        Ok(())
    }
}
