//! A policy to begin with: a crate that builds at once and passes its cases, wherever it lies.
//!
//! The SDK is not published, so its source goes along, from this binary into the crate. It has no dependencies of its own, so
//! nothing is fetched, and the crate keeps the version of the contract that it was written for.

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, ensure};

use super::sdk;
use crate::limits;

/// Stands for the domain in the texts.
const PLACE: &str = "NAME";

/// Makes the folder `dir/name` with the crate in it.
///
/// # Errors
/// The name is none of a domain, the folder exists already, or cannot be written.
pub fn new_policy(name: &str, dir: &Path) -> Result<PathBuf> {
    let begins = name.starts_with(|first: char| first.is_ascii_lowercase());
    let goes_on = name.bytes().all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-');
    ensure!(
        begins && goes_on && name.len() <= limits::DOMAIN_BYTES_MAX,
        "'{name}' is not the name of a domain: a-z, then a-z, 0-9 and '-', at most {} characters",
        limits::DOMAIN_BYTES_MAX
    );
    let folder = dir.join(name);
    ensure!(!folder.exists(), "{} exists already; nothing was changed", folder.display());
    let own = [
        ("Cargo.toml".to_owned(), include_str!("template/crate.toml")),
        ("lib.rs".to_owned(), include_str!("template/lib.rs")),
        (format!("{name}.toml"), include_str!("template/policy.toml")),
        (format!("{name}.cases.toml"), include_str!("template/cases.toml")),
    ];
    for (file, text) in own {
        write(&folder.join(file), &text.replace(PLACE, name))?;
    }
    for (file, text) in sdk::FILES {
        write(&folder.join("larder-policy").join(file), text)?;
    }
    Ok(folder)
}

fn write(path: &Path, text: &str) -> Result<()> {
    let done = path.parent().map_or(Ok(()), fs::create_dir_all).and_then(|()| fs::write(path, text));
    done.with_context(|| format!("cannot write {}", path.display()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_domain_is_a_name_and_nothing_is_overwritten() -> Result<()> {
        let dir = tempfile::tempdir()?;
        for name in ["", "Orders", "9lives", "a_b", "../up", &"a".repeat(65)] {
            let refused = new_policy(name, dir.path()).expect_err("no domain");
            assert!(refused.to_string().contains("is not the name of a domain"), "{refused}");
        }
        let folder = new_policy("orders", dir.path())?;
        assert!(fs::read_to_string(folder.join("lib.rs"))?.contains("orders:{id}"));
        let refused = new_policy("orders", dir.path()).expect_err("it is there");
        assert!(refused.to_string().contains("exists already"), "{refused}");
        Ok(())
    }
}
