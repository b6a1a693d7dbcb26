//! Building the policies that are not in Rust: the examples, and the tests' guests, with the tools of their languages.
//!
//! The tools come from the public registries of npm and PyPI, in the versions that the examples pin, into the target
//! folder; nothing is installed for the whole machine but npm and Python themselves. A guest is built again when one of its
//! sources is newer. Where a registry cannot be reached this fails and says so: a test that is left out proves nothing.

use std::fs;
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use anyhow::{Context, Result, ensure};

use crate::process::{own_node, printed, program, root, run_quietly, target_dir};
use crate::setup;

const JS: &str = "examples/policy-js";
const PYTHON: &str = "examples/policy-python";
const GUESTS: &str = "tests/languages";
pub(crate) const INSTALL_LIMIT: Duration = Duration::from_secs(600);
const BUILD_LIMIT: Duration = Duration::from_secs(600);

/// How a guest is built: its name, what it is made from, the command without the output.
struct Guest {
    name: &'static str,
    sources: Vec<PathBuf>,
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
    let (article, article_wit) = (format!("{JS}/policy.js"), format!("{JS}/wit"));
    let (mischief, mischief_wit) = (format!("{GUESTS}/mischief.js"), format!("{GUESTS}/wit"));
    for guest in [
        from_js(&js, "article-js", [&article, &article_wit, "article"], &["--sync"]),
        from_js(&js, "article-js-stubbed", [&article, &article_wit, "article"], &["--sync", "--stub-wasi"]),
        from_js(&js, "article-js-asynchronous", [&article, &article_wit, "article"], &[]),
        from_js(&js, "mischief-js", [&mischief, &mischief_wit, "mischief"], &["--sync"]),
        from_python(&python, "article-python", ["policy", &format!("{PYTHON}/wit"), "article"], &[]),
        from_python(
            &python,
            "article-python-stubbed",
            ["policy", &format!("{PYTHON}/wit"), "article"],
            &["--stub-wasi"],
        ),
        // The module must have another name than the world.
        from_python(&python, "mischief-python", ["mischievous", &mischief_wit, "mischief"], &[]),
    ] {
        build(guest, &out)?;
    }
    Ok(())
}

/// The command of `examples/policy-js/package.json`: a source file, a folder of WIT, a world.
fn from_js(tool: &Path, name: &'static str, [source, wit, world]: [&str; 3], flags: &[&str]) -> Guest {
    let mut command = program(&tool.to_string_lossy());
    command.args(["--wit", wit, "--world", world, "--js", source]).args(flags);
    // The tests' guest has the example's policy inside.
    command.args(["--module-root", "."]);
    let sources = [files(&root().join(JS)), files(&root().join(wit)), vec![root().join(source), stamp("js")]].concat();
    Guest { name, sources, command }
}

/// The command of `examples/policy-python/README.md`: a module, a folder of WIT, a world.
fn from_python(tool: &Path, name: &'static str, [module, wit, world]: [&str; 3], flags: &[&str]) -> Guest {
    let mut command = program(&tool.to_string_lossy());
    command.args(["--wit-path", wit, "--world", world, "componentize"]).args(flags);
    command.args(["--python-path", PYTHON, "--python-path", GUESTS, module]);
    let source = root().join(GUESTS).join(format!("{module}.py"));
    let sources = [files(&root().join(PYTHON)), files(&root().join(wit)), vec![source, stamp("python")]].concat();
    Guest { name, sources, command }
}

fn build(mut guest: Guest, out: &Path) -> Result<()> {
    let path = out.join(format!("{}.wasm", guest.name));
    guest.sources.extend(files(&root().join("wit")));
    guest.sources.push(root().join(file!()));
    let newest = guest.sources.iter().filter_map(|source| changed(source)).max();
    if changed(&path).is_some_and(|built| Some(built) > newest) {
        return Ok(());
    }
    println!("building {}", guest.name);
    let unfinished = out.join(format!("{}.unfinished", guest.name));
    guest.command.arg("--output").arg(&unfinished);
    run_quietly(&mut guest.command, BUILD_LIMIT).with_context(|| format!("{} does not build", guest.name))?;
    fs::rename(&unfinished, &path).with_context(|| format!("writing {}", path.display()))
}

/// The builders for JavaScript and Python.
///
/// # Errors
/// One cannot be installed.
pub(crate) fn builders() -> Result<()> {
    componentize_qjs()?;
    componentize_py().map(drop)
}

/// What drives the browser of the dashboard's tests, and the browser.
///
/// # Errors
/// It cannot be installed.
pub(crate) fn browser() -> Result<()> {
    let wanted = root().join("tests/dashboard/package.json");
    installed(&wanted, "browser", Path::new("node_modules/playwright-core"), || npm_install(&wanted, "browser"))?;
    setup::browser()
}

/// The clients of Node through which `tests/clients.rs` uses a host.
///
/// # Errors
/// They cannot be installed.
pub(crate) fn node_clients() -> Result<()> {
    let wanted = root().join("tests/clients/node/package.json");
    installed(&wanted, "node", Path::new("node_modules/bullmq"), || npm_install(&wanted, "node")).map(drop)
}

/// The oldest Node.js that the tools run on.
const NODE_MIN: u32 = 20;
/// What is installed where the machine's is older, as that of Debian 12: the builds of the package `node` of npm.
const NODE: &str = "22";

/// Sees to a Node.js that is new enough: the machine's, or one of the repository's own.
///
/// # Errors
/// There is none and none can be installed.
pub(crate) fn node() -> Result<()> {
    setup::npm()?;
    let version = || printed(program("node").arg("--version"));
    let is_new = |version: String| {
        let major = version.trim_start_matches('v').split('.').next().and_then(|major| major.parse().ok());
        major.is_some_and(|major: u32| major >= NODE_MIN)
    };
    if version().is_some_and(is_new) {
        return Ok(());
    }
    let folder = tools("nodejs");
    println!("setup: {}: Node.js {NODE}, as the machine's is older than {NODE_MIN}", folder.display());
    fs::create_dir_all(&folder).with_context(|| format!("making {}", folder.display()))?;
    let bin = own_node();
    let package = bin.parent().and_then(Path::file_name).context("a package")?.to_string_lossy().into_owned();
    let mut npm = npm(&folder);
    npm.arg(format!("{package}@{NODE}"));
    run_quietly(&mut npm, INSTALL_LIMIT).context("npm cannot install a newer Node.js; is its registry in reach?")?;
    ensure!(
        version().is_some_and(is_new),
        "{} does not start here; install Node.js {NODE_MIN} or newer",
        bin.display()
    );
    Ok(())
}

/// The machine's npm, with the machine's Node.js, for which it was made.
fn npm(folder: &Path) -> Command {
    let mut npm = program("npm");
    npm.args(["install", "--no-audit", "--no-fund", "--no-package-lock"]).current_dir(folder);
    npm.env("PATH", std::env::var_os("PATH").unwrap_or_default());
    npm
}

fn npm_install(wanted: &Path, language: &str) -> Result<()> {
    node()?;
    let folder = tools(language);
    fs::copy(wanted, folder.join("package.json"))?;
    let mut npm = npm(&folder);
    let what = wanted.display();
    run_quietly(&mut npm, INSTALL_LIMIT)
        .with_context(|| format!("npm cannot install what {what} asks for; is its registry in reach?"))
}

/// What asks the HTTP interface everything that its OpenAPI document allows, and what it does not.
///
/// # Errors
/// It cannot be installed.
pub(crate) fn schemathesis() -> Result<()> {
    let wanted = root().join("tests/openapi/requirements.txt");
    python_tools(&wanted, "openapi", Path::new("bin/schemathesis")).map(drop)
}

/// The builder for JavaScript, installed.
fn componentize_qjs() -> Result<PathBuf> {
    let wanted = root().join(JS).join("package.json");
    installed(&wanted, "js", Path::new("node_modules/.bin/componentize-qjs"), || npm_install(&wanted, "js"))
}

/// The builder for Python, installed.
fn componentize_py() -> Result<PathBuf> {
    python_tools(&root().join(PYTHON).join("requirements.txt"), "python", Path::new("bin/componentize-py"))
}

/// What a file of requirements asks for, in a virtual environment of its own.
fn python_tools(wanted: &Path, language: &str, tool: &Path) -> Result<PathBuf> {
    let folder = tools(language);
    installed(wanted, language, tool, || {
        setup::python()?;
        run_quietly(program("python3").args(["-m", "venv"]).arg(&folder), INSTALL_LIMIT)
            .context("Python cannot make a virtual environment")?;
        let mut pip = program(&folder.join("bin/pip").to_string_lossy());
        pip.args(["install", "--disable-pip-version-check", "--requirement"]).arg(wanted);
        let what = wanted.display();
        run_quietly(&mut pip, INSTALL_LIMIT)
            .with_context(|| format!("pip cannot install what {what} asks for; is PyPI in reach?"))
    })
}

/// Where the tools of a language are installed.
pub(crate) fn tools(language: &str) -> PathBuf {
    target_dir().join("languages").join(language)
}

/// What they were installed from.
fn stamp(language: &str) -> PathBuf {
    tools(language).join("installed-from")
}

/// A language's tool, installed anew if `wanted`, which pins its version, is not what it was installed from.
pub(crate) fn installed(
    wanted: &Path,
    language: &str,
    tool: &Path,
    install: impl FnOnce() -> Result<()>,
) -> Result<PathBuf> {
    let (folder, stamp) = (tools(language), stamp(language));
    let tool = folder.join(tool);
    let wants = fs::read(wanted).with_context(|| format!("reading {}", wanted.display()))?;
    if tool.exists() && fs::read(&stamp).is_ok_and(|from| from == wants) {
        return Ok(tool);
    }
    println!("setup: {}", folder.display());
    let _ = fs::remove_dir_all(&folder);
    fs::create_dir_all(&folder).with_context(|| format!("making {}", folder.display()))?;
    install()?;
    // Written last: an installation that was cut off counts as none.
    fs::write(&stamp, wants).with_context(|| format!("writing {}", stamp.display()))?;
    Ok(tool)
}

/// The files in a folder itself.
fn files(folder: &Path) -> Vec<PathBuf> {
    folder.read_dir().into_iter().flatten().flatten().map(|entry| entry.path()).filter(|path| path.is_file()).collect()
}

/// When a file was last changed, in seconds and nanoseconds: to compare, not to tell the time.
fn changed(path: &Path) -> Option<(i64, i64)> {
    path.metadata().ok().map(|meta| (meta.mtime(), meta.mtime_nsec()))
}
