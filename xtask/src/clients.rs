//! Real clients with their own tests, which `tests/clients.rs` runs through a host: from PyPI, in the versions that
//! `tests/clients/requirements.txt` pins, into the target folder.

use std::fs;
use std::path::Path;

use anyhow::{Context, Result, bail};

use crate::languages::{INSTALL_LIMIT, installed, tools};
use crate::process::{program, root, run_quietly};
use crate::setup;

/// The client whose source package is unpacked beside its installation.
const SOURCE: &str = "redis";

/// Installs them.
///
/// # Errors
/// PyPI is out of reach, or a package is not what it was.
pub(crate) fn all() -> Result<()> {
    let wanted = root().join("tests/clients/requirements.txt");
    let folder = tools("clients");
    installed(&wanted, "clients", Path::new("source/tests/conftest.py"), || {
        setup::python()?;
        run_quietly(program("python3").args(["-m", "venv"]).arg(&folder), INSTALL_LIMIT)
            .context("Python cannot make a virtual environment")?;
        let pip = || program(&folder.join("bin/pip").to_string_lossy());
        let mut install = pip();
        install.args(["install", "--disable-pip-version-check", "--requirement"]).arg(&wanted);
        run_quietly(&mut install, INSTALL_LIMIT).context("pip cannot install the clients; is PyPI in reach?")?;
        let mut download = pip();
        download.args(["download", "--disable-pip-version-check", "--no-deps", "--no-binary", SOURCE, "--dest"]);
        download.arg(folder.join("packages")).arg(pinned(&fs::read_to_string(&wanted)?)?);
        run_quietly(&mut download, INSTALL_LIMIT).context("pip cannot fetch the client's source; is PyPI in reach?")?;
        unpack(&folder)
    })?;
    Ok(())
}

/// The line that pins the client.
fn pinned(requirements: &str) -> Result<String> {
    let line = requirements.lines().find(|line| line.split("==").next() == Some(SOURCE));
    line.map(str::to_owned).with_context(|| format!("tests/clients/requirements.txt does not pin {SOURCE}"))
}

fn unpack(folder: &Path) -> Result<()> {
    let source = folder.join("source");
    fs::create_dir_all(&source)?;
    let mut packages = folder.join("packages").read_dir()?.flatten().map(|entry| entry.path());
    let Some(package) = packages.find(|path| path.extension().is_some_and(|ending| ending == "gz")) else {
        bail!("pip fetched no source package of {SOURCE}");
    };
    let mut tar = program("tar");
    tar.args(["--extract", "--gzip", "--strip-components=1", "--directory"]).arg(&source).arg("--file").arg(&package);
    run_quietly(&mut tar, INSTALL_LIMIT).with_context(|| format!("unpacking {}", package.display()))
}

#[cfg(test)]
mod tests {
    use super::pinned;

    #[test]
    fn the_pin_of_the_client_is_found() {
        assert_eq!(pinned("# redis\nredis-lock==1\nredis==8.1.0\n").unwrap(), "redis==8.1.0");
        assert!(pinned("redis-lock==1").is_err());
    }
}
