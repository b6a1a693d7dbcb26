//! The rules of the house that no lint knows: layers, sizes, headers, leftovers. Each is proved by a text that breaks it.

mod layers;
mod source;

use std::fs;
use std::path::{Path, PathBuf};

/// Lines of a file: one noun fits.
const LINES_MAX: usize = 400;
/// What is read. Other folders are built or foreign.
const FOLDERS: &[&str] = &[".cargo", ".ci", ".config", "examples", "host", "policies", "tests", "wit", "xtask"];
/// What text files end in; a file without an ending is text as well.
const ENDINGS: &[&str] = &["", "js", "json", "md", "mjs", "py", "rs", "sh", "toml", "txt", "wit", "yaml", "yml"];
/// Unfinished code. Spelled in two parts, as this file is read too.
const LEFTOVERS: &[&str] =
    &[concat!("to", "do!"), concat!("unimple", "mented!"), concat!("db", "g!"), concat!("#[ig", "nore")];
/// Unfinished words in comments.
const REMINDERS: &[&str] = &[concat!("TO", "DO"), concat!("FIX", "ME"), concat!("XX", "X")];
/// Where somebody's machine shows.
const MACHINE_PATHS: &[&str] =
    &[concat!("/ho", "me/"), concat!("/ro", "ot/"), concat!("/wo", "rk/"), concat!("/Us", "ers/")];

/// Which rule is broken.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Rule {
    Header,
    Layer,
    Leftover,
    Length,
    MachinePath,
}

/// One breach.
#[derive(Debug)]
struct Finding {
    rule: Rule,
    line: usize,
    detail: String,
}

/// Everything that is wrong with a file, by its path from the root of the repository and its text.
fn findings(file: &str, text: &str) -> Vec<Finding> {
    if is_generated(file) {
        return Vec::new();
    }
    let mut found = machine_paths(text);
    if file.ends_with(".rs") {
        let code = source::code_of(text);
        found.extend(header(text));
        found.extend(length(text));
        found.extend(leftovers(text, &code));
        found.extend(layer(file, &code));
    }
    found
}

/// The guests' bindings are written by a generator.
fn is_generated(file: &str) -> bool {
    file.strip_prefix("policies/sdk/").is_some_and(|inside| inside.split('/').any(|part| part.starts_with("bindings")))
}

fn header(text: &str) -> Option<Finding> {
    let detail = "a file opens with `//!`: what it is, its invariants, what is deliberately absent".to_owned();
    (!text.starts_with("//!")).then_some(Finding { rule: Rule::Header, line: 1, detail })
}

fn length(text: &str) -> Option<Finding> {
    let lines = text.lines().count();
    let detail = format!("{lines} lines; at most {LINES_MAX}: split it by nouns");
    (lines > LINES_MAX).then_some(Finding { rule: Rule::Length, line: LINES_MAX, detail })
}

fn leftovers(text: &str, code: &str) -> Vec<Finding> {
    let in_code = LEFTOVERS.iter().flat_map(|&word| lines_with(code, move |line| line.contains(word), word));
    let in_text = REMINDERS.iter().flat_map(|&word| lines_with(text, move |line| has_word(line, word), word));
    in_code.chain(in_text).map(|(line, word)| Finding { rule: Rule::Leftover, line, detail: word.to_owned() }).collect()
}

fn machine_paths(text: &str) -> Vec<Finding> {
    let begins = |line: &str, path: &str| {
        line.match_indices(path)
            .any(|(at, _)| !line[..at].ends_with(|c: char| c.is_alphanumeric() || "-_.*}".contains(c)))
    };
    let all = MACHINE_PATHS.iter().flat_map(|&path| lines_with(text, move |line| begins(line, path), path));
    all.map(|(line, path)| Finding { rule: Rule::MachinePath, line, detail: path.to_owned() }).collect()
}

fn layer(file: &str, code: &str) -> Vec<Finding> {
    let paths = source::paths_of(code);
    let objections = paths.iter().filter_map(|path| Some((path.line, layers::objection(file, path)?)));
    objections.map(|(line, detail)| Finding { rule: Rule::Layer, line, detail }).collect()
}

/// The numbers of the lines for which `holds`, each with `word`.
fn lines_with<'a>(text: &str, holds: impl Fn(&str) -> bool, word: &'a str) -> Vec<(usize, &'a str)> {
    (1..).zip(text.lines()).filter(|(_, line)| holds(line)).map(|(number, _)| (number, word)).collect()
}

fn has_word(line: &str, word: &str) -> bool {
    line.split(|c: char| !c.is_alphanumeric() && c != '_').any(|part| part == word)
}

/// Every text file of the house, as a path from its root with `/`.
fn files(root: &Path) -> Vec<String> {
    let mut found = Vec::new();
    let mut open: Vec<PathBuf> = FOLDERS.iter().map(|folder| root.join(folder)).filter(|path| path.is_dir()).collect();
    let top = fs::read_dir(root).expect("the root is readable").map(|entry| entry.expect("readable").path());
    found.extend(top.filter(|path| path.is_file() && !path.ends_with(".git")));
    while let Some(folder) = open.pop() {
        for entry in fs::read_dir(&folder).expect("a folder of the house is readable") {
            let path = entry.expect("readable").path();
            let name = path.file_name().and_then(|name| name.to_str()).expect("names are UTF-8");
            match path.is_dir() {
                true if matches!(name, "target" | "node_modules" | "__pycache__") => {}
                true => open.push(path),
                false => found.push(path),
            }
        }
    }
    found.retain(|path| ENDINGS.contains(&path.extension().and_then(|e| e.to_str()).unwrap_or_default()));
    let inside = |path: &PathBuf| path.strip_prefix(root).expect("below the root").to_str().expect("UTF-8").to_owned();
    found.iter().map(inside).collect()
}

#[test]
fn the_house_is_tidy() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let files = files(root);
    assert!(files.iter().any(|file| file == "host/lib.rs"), "the walk missed the library: {files:?}");
    let mut complaints = Vec::new();
    for file in &files {
        let text = fs::read_to_string(root.join(file)).unwrap_or_else(|error| panic!("{file}: {error}"));
        complaints
            .extend(findings(file, &text).iter().map(|f| format!("{file}:{}: {:?}: {}", f.line, f.rule, f.detail)));
    }
    complaints.sort();
    assert!(complaints.is_empty(), "{} breaches:\n{}", complaints.len(), complaints.join("\n"));
}

/// Exactly these rules are broken, in order of the lines of the text below its header.
#[track_caller]
fn check(file: &str, body: &str, expect: &[(Rule, usize)]) {
    let text = if file.ends_with(".rs") { format!("//! What it is.\n{body}") } else { format!("\n{body}") };
    let mut found: Vec<(Rule, usize)> = findings(file, &text).iter().map(|f| (f.rule, f.line - 1)).collect();
    found.sort_by_key(|&(_, line)| line);
    assert_eq!(found, expect, "in {file}:\n{text}");
}

#[test]
fn imports_go_one_way() {
    let breach = &[(Rule::Layer, 1)];
    check(
        "host/wire/http/api.rs",
        "use crate::engine::Engine;\nuse crate::{error, limits, config, ports::store};",
        &[],
    );
    check("host/wire/resp.rs", "use crate::adapters::redis;", breach);
    check("host/wire/resp.rs", "fn f(client: redis::Client) {}", breach);
    check("host/engine/core.rs", "use super::api::*;\nuse crate::ports::clock::Clock;", &[]);
    check("host/engine/core.rs", "use crate::adapters::memory::Memory;", breach);
    check("host/engine/core.rs", "use crate::{\n    error::Error,\n    wire::resp,\n};", &[(Rule::Layer, 3)]);
    check("host/engine/core.rs", "use super::super::adapters;", breach);
    check("host/engine/core.rs", "fn f() { crate::config::load(); }", breach);
    check("host/engine/core.rs", "fn f() { std::fs::read(path); }", breach);
    check(
        "host/engine/core.rs",
        "#[cfg(test)]\nmod tests { use crate::adapters::memory::Memory; }",
        &[(Rule::Layer, 2)],
    );
    check("host/ports/mod.rs", "use super::engine::Engine;", breach);
    check("host/ports/store.rs", "use crate::error::Error;\nuse super::policy::Plan;", &[]);
    check("host/ports/store.rs", "use wasmtime::Engine;", breach);
    check("host/adapters/redis/mod.rs", "use crate::{ports::store::Store, config, limits};\nuse redis::Client;", &[]);
    check("host/adapters/redis/mod.rs", "use crate::engine::Engine;", breach);
    check("host/config/mod.rs", "use crate::adapters::redis::Options;", breach);
    check("host/cellar/mod.rs", "use std::sync::Arc;", breach);
    check("host/cli/serve.rs", "use larder::adapters::redis::RedisStore;\nuse super::ServeArgs;", &[]);
    check("host/cli/ask.rs", "use super::HostArgs;\nuse larder::toolchain::build;", &[]);
    check("host/cli/ask.rs", "use larder::adapters::redis::RedisStore;", breach);
    check("host/wire/resp/table.rs", "use super::larder;\nfn f() { larder::explain() }", &[]);
    check("host/main.rs", "use larder::adapters::redis;\nuse larder::wire;", &[]);
    check("tests/read.rs", "use larder::adapters::memory;", &[]);
}

#[test]
fn comments_and_texts_may_name_anything() {
    check("host/engine/core.rs", "// crate::adapters\nconst A: &str = \"crate::wire redis::Client\";", &[]);
}

#[test]
fn a_file_opens_with_its_header_and_is_short() {
    let rules = |text: &str| findings("host/wire/mod.rs", text).iter().map(|f| f.rule).collect::<Vec<_>>();
    assert_eq!(rules("// What it is.\n"), [Rule::Header]);
    assert_eq!(rules("\n//! Late.\n"), [Rule::Header]);
    check("host/wire/mod.rs", &"\n".repeat(LINES_MAX - 1), &[]);
    check("host/wire/mod.rs", &"\n".repeat(LINES_MAX), &[(Rule::Length, LINES_MAX - 1)]);
}

#[test]
fn nothing_is_left_over() {
    for leftover in LEFTOVERS {
        check("policies/profile/lib.rs", &format!("fn f() {{\n    {leftover}(x)]\n}}"), &[(Rule::Leftover, 2)]);
        check("policies/profile/lib.rs", &format!("// no {leftover}(x)]"), &[]);
    }
    for reminder in REMINDERS {
        check("xtask/src/main.rs", &format!("// {reminder}: later"), &[(Rule::Leftover, 1)]);
        check("xtask/src/main.rs", &format!("const {reminder}S: u8 = 1;"), &[]);
    }
}

#[test]
fn nobodys_machine_shows() {
    for path in MACHINE_PATHS {
        check("README.md", &format!("see {path}somebody"), &[(Rule::MachinePath, 1)]);
        check("tests/run.rs", &format!("const A: &str = \"{path}somebody\";"), &[(Rule::MachinePath, 1)]);
        check("README.md", &format!("GET https://example.org{path}x"), &[]);
    }
}

#[test]
fn generated_bindings_are_exempt() {
    let text = format!("{}(x)\n{}x", LEFTOVERS[0], MACHINE_PATHS[0]);
    check("policies/sdk/bindings/rules.rs", &text, &[]);
    check("policies/sdk/src/bindings.rs", &text, &[]);
    check("policies/sdk/src/lib.rs", &text, &[(Rule::Leftover, 1), (Rule::MachinePath, 2)]);
}
