//! A Valkey for the store's contract suite, in the target folder: nothing is installed for the machine, and no service is started.
//!
//! It is Debian's own package, from the suites that the machine knows or else from the backports of the one that it runs. Where there is none
//! the suite is run on Redis alone, and the test says so.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use anyhow::{Context, Result, ensure};

use crate::process::{program, run_quietly, succeeds, target_dir};

const PACKAGES: [&str; 2] = ["valkey-server", "valkey-tools"];
const DOWNLOAD_LIMIT: Duration = Duration::from_secs(300);

/// Sees to it.
pub(crate) fn valkey() {
    let own = folder().join("usr/bin/valkey-server");
    if starts(Path::new("valkey-server")) || starts(&own) {
        return;
    }
    println!("setup: {}", folder().display());
    if let Err(error) = unpack().and_then(|()| {
        ensure!(starts(&own), "{} does not start here", own.display());
        Ok(())
    }) {
        eprintln!("setup: warning: there is no Valkey for this machine, so the store is not tested on it ({error:#})");
    }
}

fn folder() -> PathBuf {
    target_dir().join("languages/valkey")
}

fn starts(path: &Path) -> bool {
    succeeds(program(&path.to_string_lossy()).arg("--version"))
}

fn unpack() -> Result<()> {
    let folder = folder();
    let _ = fs::remove_dir_all(&folder);
    for part in ["lists/partial", "cache/archives/partial"] {
        fs::create_dir_all(folder.join(part)).with_context(|| format!("making {}", folder.display()))?;
    }
    let downloaded = run_quietly(apt(&folder).arg("download").args(PACKAGES), DOWNLOAD_LIMIT);
    downloaded.or_else(|_| from_backports(&folder))?;
    for entry in fs::read_dir(&folder)?.flatten().map(|entry| entry.path()) {
        if entry.extension().is_some_and(|ending| ending == "deb") {
            run_quietly(program("dpkg-deb").arg("-x").arg(&entry).arg(&folder), DOWNLOAD_LIMIT)?;
        }
    }
    Ok(())
}

/// With lists of packages of its own, so that those of the machine stay as they are.
fn from_backports(folder: &Path) -> Result<()> {
    let release = fs::read_to_string("/etc/os-release").context("it is no Debian")?;
    let says = |name: &str| release.lines().find_map(|line| line.strip_prefix(name)).map(|it| it.trim_matches('"'));
    ensure!(says("ID=") == Some("debian"), "it is no Debian");
    let suite = says("VERSION_CODENAME=").context("this Debian does not say which it is")?;
    let keys = "/usr/share/keyrings/debian-archive-keyring.gpg";
    let source = format!("deb [signed-by={keys}] {} {suite}-backports main\n", mirror(folder, suite)?);
    fs::write(folder.join("sources.list"), source)?;
    let shown = folder.display();
    let with_own_lists = |words: &[&str]| {
        let mut command = apt(folder);
        for option in [
            format!("Dir::Etc::SourceList={shown}/sources.list"),
            "Dir::Etc::SourceParts=-".to_owned(),
            format!("Dir::State::lists={shown}/lists"),
            format!("Dir::Cache={shown}/cache"),
        ] {
            command.args(["-o", &option]);
        }
        run_quietly(command.args(words), DOWNLOAD_LIMIT)
    };
    with_own_lists(&["update"])?;
    with_own_lists(&["download", PACKAGES[0], PACKAGES[1]])
}

/// Where this machine gets that suite from: its backports lie beside it.
fn mirror(folder: &Path, suite: &str) -> Result<String> {
    let mut asked = apt(folder);
    asked.args(["indextargets", "--format", "$(CODENAME) $(REPO_URI)", "Created-By: Packages"]);
    let output = asked.output().context("asking apt where this machine gets its packages from")?;
    let text = String::from_utf8_lossy(&output.stdout);
    let found = text.lines().find_map(|line| line.strip_prefix(suite)?.strip_prefix(' '));
    found.map(str::to_owned).context("apt gets this Debian's packages from nowhere; `apt-get update` may help")
}

fn apt(folder: &Path) -> Command {
    let mut command = program("apt-get");
    command.current_dir(folder);
    command
}
