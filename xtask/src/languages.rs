//! Building the policies that are not in Rust: the examples, and the tests' guests, with the tools of their languages.
//!
//! The tools come from the public registries of npm and PyPI, in the versions that the examples pin, into the target
//! folder; nothing is installed for the whole machine but npm and Python themselves. A guest is built again when one of its
//! sources is newer. Where a registry cannot be reached this fails and says so: a test that is left out proves nothing.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, SystemTime};

use anyhow::{Context, Result};

use crate::process::{program, root, run_quietly, target_dir};
use crate::setup;

const JS: &str = "examples/policy-js";
const PYTHON: &str = "examples/policy-python";
const GUESTS: &str = "tests/languages";
const INSTALL_LIMIT: Duration = Duration::from_secs(600);
const BUILD_LIMIT: Duration = Duration::from_secs(600);

/// How a guest is built: its name, what the sources depend on, the command without the output.
struct Guest<'a> {
    name: &'a str,
    sources: &'a [&'a str],
    command: Command,
}

/// Builds all of them into the folder of the tests' guests.
///
/// # Errors
/// A tool cannot be had, or a policy does not build.
pub(crate) fn guests() -> Result<()> {
    let out = target_dir().join("guests-out");
    fs::create_dir_all(&out).with_context(|| format!("making {}", out.display()))?;
    let (js, python) = (componentize_qjs()?, componentize_py()?);
    let article_js = format!("{JS}/policy.js");
    let mischief_js = format!("{GUESTS}/mischief.js");
    let article_py = format!("{PYTHON}/policy.py");
    let mischief_py = format!("{GUESTS}/mischief.py");
    for guest in [
        Guest { name: "article-js", sources: &[&article_js], command: from_js(&js, &article_js, &[]) },
        Guest {
            name: "article-js-stubbed",
            sources: &[&article_js],
            command: from_js(&js, &article_js, &["--stub-wasi"]),
        },
        Guest { name: "mischief-js", sources: &[&article_js, &mischief_js], command: from_js(&js, &mischief_js, &[]) },
        Guest { name: "article-python", sources: &[&article_py], command: from_python(&python, "policy", &[]) },
        Guest {
            name: "article-python-stubbed",
            sources: &[&article_py],
            command: from_python(&python, "policy", &["--stub-wasi"]),
        },
        Guest {
            name: "mischief-python",
            sources: &[&article_py, &mischief_py],
            command: from_python(&python, "mischief", &[]),
        },
    ] {
        build(guest, &out)?;
    }
    Ok(())
}

/// The command of `examples/policy-js/package.json`.
fn from_js(tool: &Path, source: &str, flags: &[&str]) -> Command {
    let mut command = program(&tool.to_string_lossy());
    command.args(["--wit", &format!("{JS}/wit"), "--world", "article", "--module-root", "."]);
    command.args(["--js", source, "--sync"]).args(flags);
    command
}

/// The command of `examples/policy-python/README.md`.
fn from_python(tool: &Path, module: &str, flags: &[&str]) -> Command {
    let mut command = program(&tool.to_string_lossy());
    command.args(["--wit-path", &format!("{PYTHON}/wit"), "--world", "article", "componentize"]).args(flags);
    command.args(["--python-path", PYTHON, "--python-path", GUESTS, module]);
    command
}

fn build(mut guest: Guest<'_>, out: &Path) -> Result<()> {
    let path = out.join(format!("{}.wasm", guest.name));
    let contract = files(&root().join("wit")).into_iter().chain(files(&root().join(JS).join("wit")));
    let sources = guest.sources.iter().map(|source| root().join(source)).chain(contract);
    let newest = sources.chain([guest.command.get_program().into()]).filter_map(|source| changed(&source)).max();
    if changed(&path).is_some_and(|built| Some(built) > newest) {
        return Ok(());
    }
    println!("building {}", guest.name);
    let unfinished = out.join(format!("{}.unfinished", guest.name));
    guest.command.arg("--output").arg(&unfinished);
    run_quietly(&mut guest.command, BUILD_LIMIT).with_context(|| format!("{} does not build", guest.name))?;
    fs::rename(&unfinished, &path).with_context(|| format!("writing {}", path.display()))
}

/// The builder for JavaScript, installed.
fn componentize_qjs() -> Result<PathBuf> {
    let wanted = root().join(JS).join("package.json");
    let folder = target_dir().join("languages/js");
    installed(&wanted, &folder, Path::new("node_modules/.bin/componentize-qjs"), || {
        setup::npm()?;
        fs::copy(&wanted, folder.join("package.json"))?;
        let mut npm = program("npm");
        npm.args(["install", "--no-audit", "--no-fund", "--no-package-lock"]).current_dir(&folder);
        run_quietly(&mut npm, INSTALL_LIMIT).context("npm cannot install componentize-qjs; is its registry in reach?")
    })
}

/// The builder for Python, installed.
fn componentize_py() -> Result<PathBuf> {
    let wanted = root().join(PYTHON).join("requirements.txt");
    let folder = target_dir().join("languages/python");
    installed(&wanted, &folder, Path::new("bin/componentize-py"), || {
        setup::python()?;
        run_quietly(program("python3").args(["-m", "venv"]).arg(&folder), INSTALL_LIMIT)
            .context("Python cannot make a virtual environment")?;
        let mut pip = program(&folder.join("bin/pip").to_string_lossy());
        pip.args(["install", "--disable-pip-version-check", "--requirement"]).arg(&wanted);
        run_quietly(&mut pip, INSTALL_LIMIT).context("pip cannot install componentize-py; is PyPI in reach?")
    })
}

/// The tool in `folder`, installed anew if `wanted`, which pins its version, is not what it was installed from.
fn installed(wanted: &Path, folder: &Path, tool: &Path, install: impl FnOnce() -> Result<()>) -> Result<PathBuf> {
    let (tool, stamp) = (folder.join(tool), folder.join("installed-from"));
    let wants = fs::read(wanted).with_context(|| format!("reading {}", wanted.display()))?;
    if tool.exists() && fs::read(&stamp).is_ok_and(|from| from == wants) {
        return Ok(tool);
    }
    println!("setup: {}", folder.display());
    let _ = fs::remove_dir_all(folder);
    fs::create_dir_all(folder).with_context(|| format!("making {}", folder.display()))?;
    install()?;
    // Written last: an installation that was cut off counts as none.
    fs::write(&stamp, wants).with_context(|| format!("writing {}", stamp.display()))?;
    Ok(tool)
}

/// The files in a folder itself.
fn files(folder: &Path) -> Vec<PathBuf> {
    folder.read_dir().into_iter().flatten().flatten().map(|entry| entry.path()).filter(|path| path.is_file()).collect()
}

fn changed(path: &Path) -> Option<SystemTime> {
    path.metadata().ok()?.modified().ok()
}
