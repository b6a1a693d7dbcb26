//! The last good policies in the state folder: what serves at the start if the newest file is broken, or was rolled back.
//!
//! Layout: `DOMAIN/DIGEST.wasm`, `DIGEST.toml` and `DIGEST.cases.toml` for what serves and what it may be rolled back to, and `DOMAIN/serving`, which
//! names the one that serves, the one that was rolled back from, and those before, newest first. `DOMAIN/quarantine` lists what is
//! not taken again. Files are written under another name and renamed; what does not match its digest is not there.

use std::fs;
use std::io::Write as _;
use std::path::{Path, PathBuf};

use anyhow::Context as _;

use super::quarantine::Quarantine;
use super::source::Source;
use crate::limits;

/// The folder of the last good policies.
#[derive(Debug)]
pub(super) struct LastGood {
    folder: PathBuf,
}

/// What served a domain last.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Kept {
    /// Its files, then those of what served before, newest first: those that are whole.
    pub(super) sources: Vec<Source>,
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
        for (ending, text) in [("toml", &source.toml), ("cases.toml", &source.cases)] {
            text.as_ref().map_or(Ok(()), |text| write(&folder, &format!("{digest}.{ending}"), text.as_bytes()))?;
        }
        Ok(())
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
        let lines: Vec<&str> = [serving, rolled_back_from.unwrap_or_default()].iter().chain(others).copied().collect();
        let text = lines.join("\n");
        write(&folder, SERVING, text.as_bytes())?;
        for entry in fs::read_dir(&folder)?.flatten() {
            let name = entry.file_name();
            let name = name.to_string_lossy();
            let stem = name.split('.').next().unwrap_or_default();
            if ![serving, SERVING, QUARANTINE].contains(&stem) && !others.contains(&stem) {
                let _ = fs::remove_file(entry.path());
            }
        }
        Ok(())
    }

    /// What served the domain last, if it is whole.
    pub(super) fn load(&self, domain: &str) -> Option<Kept> {
        let folder = self.folder.join(domain);
        let text = fs::read_to_string(folder.join(SERVING)).ok()?;
        let mut lines = text.lines();
        let serving = lines.next()?;
        let rolled_back_from = lines.next().filter(|line| !line.is_empty()).map(str::to_owned);
        let whole = |digest: &str| Source::read(&folder, digest).ok().filter(|source| source.digest() == digest);
        let sources = [serving].into_iter().chain(lines.take(limits::ROLLBACK_MAX)).filter_map(whole).collect();
        Some(Kept { sources, rolled_back_from })
    }

    /// Keeps what is in quarantine.
    ///
    /// # Errors
    /// It cannot be written.
    pub(super) fn save_quarantine(&self, domain: &str, quarantine: &Quarantine) -> anyhow::Result<()> {
        let folder = self.folder.join(domain);
        if quarantine.is_empty() {
            let _ = fs::remove_file(folder.join(QUARANTINE));
            return Ok(());
        }
        fs::create_dir_all(&folder)?;
        write(&folder, QUARANTINE, &serde_json::to_vec_pretty(quarantine)?)
    }

    /// What is in quarantine; what cannot be read is taken for empty, and said.
    pub(super) fn quarantine(&self, domain: &str) -> Quarantine {
        let path = self.folder.join(domain).join(QUARANTINE);
        let Ok(text) = fs::read(&path) else { return Quarantine::default() };
        serde_json::from_slice(&text).unwrap_or_else(|error| {
            tracing::warn!(target: "larder::policy", domain, path = %path.display(), "the quarantine cannot be read: {error}");
            Quarantine::default()
        })
    }

    /// Forgets a domain.
    pub(super) fn forget(&self, domain: &str) {
        let _ = fs::remove_dir_all(self.folder.join(domain));
    }
}

/// Names what serves; no digest is called so.
const SERVING: &str = "serving";
/// Lists what is in quarantine.
const QUARANTINE: &str = "quarantine";

fn write(folder: &Path, name: &str, bytes: &[u8]) -> anyhow::Result<()> {
    let mut file = tempfile::Builder::new().prefix(".").tempfile_in(folder)?;
    file.write_all(bytes)?;
    file.persist(folder.join(name))?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ports::registry::Quarantined;

    fn source(wasm: &str, toml: Option<&str>) -> Source {
        Source { wasm: wasm.into(), toml: toml.map(str::to_owned), cases: Some("[settings]".to_owned()) }
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
        let sources = vec![two.clone(), one.clone()];
        assert_eq!(kept.load("a"), Some(Kept { sources, rolled_back_from: None }));
        let mut quarantine = Quarantine::default();
        quarantine.add(7, Quarantined { at_ms: 1, digest: "x".into(), detail: "it fails".into() });
        kept.save_quarantine("a", &quarantine)?;
        kept.point("a", &one.digest(), Some(&two.digest()), &[])?;
        assert_eq!(kept.load("a"), Some(Kept { sources: vec![one], rolled_back_from: Some(two.digest()) }));
        assert_eq!(kept.quarantine("a"), quarantine);
        kept.save_quarantine("a", &Quarantine::default())?;
        assert_eq!(kept.quarantine("a"), Quarantine::default());
        let left = fs::read_dir(folder.path().join("last-good/a"))?.count();
        assert_eq!(left, 4, "three files of the one that serves, and its name");
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
        assert_eq!(kept.load("a").map(|kept| kept.sources), Some(Vec::new()));
        kept.save("a", &one)?;
        fs::write(folder.path().join("a").join(QUARANTINE), "{")?;
        assert_eq!(kept.quarantine("a"), Quarantine::default());
        Ok(())
    }
}
