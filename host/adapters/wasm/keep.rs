//! The last good policies in the state folder: what serves at the start if the newest file is broken, or was rolled back.
//!
//! Layout: `DOMAIN/DIGEST.wasm` and `DIGEST.toml` for what serves and what it may be rolled back to, and `DOMAIN/serving`, which
//! names the one that serves. Files are written under another name and renamed; what does not match its digest is not there.

use std::fs;
use std::io::Write as _;
use std::path::{Path, PathBuf};

use anyhow::Context as _;

use super::source::Source;

/// The folder of the last good policies.
#[derive(Debug)]
pub(super) struct LastGood {
    folder: PathBuf,
}

/// What served a domain last.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Kept {
    /// Its files.
    pub(super) source: Source,
    /// Digest of the source that an operator rolled back from: it must not serve.
    pub(super) rolled_back_from: Option<String>,
}

impl LastGood {
    /// In this folder.
    ///
    /// # Errors
    /// It cannot be made.
    pub(super) fn new(folder: PathBuf) -> anyhow::Result<Self> {
        fs::create_dir_all(&folder)
            .with_context(|| format!("making the folder for the last good policies, {}", folder.display()))?;
        Ok(Self { folder })
    }

    /// Keeps a policy's files.
    ///
    /// # Errors
    /// They cannot be written.
    pub(super) fn save(&self, domain: &str, source: &Source) -> anyhow::Result<()> {
        let folder = self.folder.join(domain);
        fs::create_dir_all(&folder)?;
        let digest = source.digest();
        write(&folder, &format!("{digest}.wasm"), &source.wasm)?;
        source.toml.as_ref().map_or(Ok(()), |toml| write(&folder, &format!("{digest}.toml"), toml.as_bytes()))
    }

    /// Names the source that serves, and the one that it was rolled back from; all but `others` and itself are removed.
    ///
    /// # Errors
    /// It cannot be written.
    pub(super) fn point(
        &self,
        domain: &str,
        serving: &str,
        rolled_back_from: Option<&str>,
        others: &[&str],
    ) -> anyhow::Result<()> {
        let folder = self.folder.join(domain);
        let text = format!("{serving}\n{}\n", rolled_back_from.unwrap_or_default());
        write(&folder, SERVING, text.as_bytes())?;
        for entry in fs::read_dir(&folder)?.flatten() {
            let path = entry.path();
            let stem = path.file_stem().unwrap_or_default().to_string_lossy();
            if stem != serving && stem != SERVING && !others.contains(&&*stem) {
                let _ = fs::remove_file(&path);
            }
        }
        Ok(())
    }

    /// What served the domain last, if it is whole.
    pub(super) fn load(&self, domain: &str) -> Option<Kept> {
        let folder = self.folder.join(domain);
        let text = fs::read_to_string(folder.join(SERVING)).ok()?;
        let mut lines = text.lines();
        let digest = lines.next()?;
        let rolled_back_from = lines.next().filter(|line| !line.is_empty()).map(str::to_owned);
        let source =
            Source::read(&folder.join(format!("{digest}.wasm")), &folder.join(format!("{digest}.toml"))).ok()?;
        (source.digest() == digest).then_some(Kept { source, rolled_back_from })
    }

    /// Forgets a domain.
    pub(super) fn forget(&self, domain: &str) {
        let _ = fs::remove_dir_all(self.folder.join(domain));
    }
}

/// Names what serves; no digest is called so.
const SERVING: &str = "serving";

fn write(folder: &Path, name: &str, bytes: &[u8]) -> anyhow::Result<()> {
    let mut file = tempfile::Builder::new().prefix(".").tempfile_in(folder)?;
    file.write_all(bytes)?;
    file.persist(folder.join(name))?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn source(wasm: &str, toml: Option<&str>) -> Source {
        Source { wasm: wasm.into(), toml: toml.map(str::to_owned) }
    }

    #[test]
    fn what_served_last_is_found_again() -> anyhow::Result<()> {
        let folder = tempfile::tempdir()?;
        let kept = LastGood::new(folder.path().join("last-good"))?;
        assert_eq!(kept.load("a"), None);
        let (one, two) = (source("1", Some("x = 1")), source("2", None));
        for it in [&one, &two] {
            kept.save("a", it)?;
        }
        kept.point("a", &two.digest(), None, &[&one.digest()])?;
        assert_eq!(kept.load("a"), Some(Kept { source: two.clone(), rolled_back_from: None }));
        kept.point("a", &one.digest(), Some(&two.digest()), &[])?;
        assert_eq!(kept.load("a"), Some(Kept { source: one, rolled_back_from: Some(two.digest()) }));
        let left = fs::read_dir(folder.path().join("last-good/a"))?.count();
        assert_eq!(left, 3, "two files of the one that serves, and its name");
        kept.forget("a");
        assert_eq!(kept.load("a"), None);
        Ok(())
    }

    #[test]
    fn what_is_damaged_is_not_there() -> anyhow::Result<()> {
        let folder = tempfile::tempdir()?;
        let kept = LastGood::new(folder.path().to_owned())?;
        let one = source("1", None);
        kept.save("a", &one)?;
        kept.point("a", &one.digest(), None, &[])?;
        fs::write(folder.path().join("a").join(format!("{}.wasm", one.digest())), "")?;
        assert_eq!(kept.load("a"), None);
        Ok(())
    }
}
