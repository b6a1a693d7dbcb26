//! The README's tables say what the code's tables say.
//!
//! `UPDATE_EXPECT=1 cargo nextest run readme` writes them anew.

use std::fmt::Write;
use std::fs;
use std::path::Path;

use larder::config::table::{POLICY_VARIABLES, RESERVED_VARIABLES, SETTINGS};
use larder::wire::http::routes::ROUTES;

/// The README holds this text between the two marks of this name.
#[track_caller]
fn check(name: &str, expect: &str) {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("README.md");
    let readme = fs::read_to_string(&path).expect("there is a README");
    let (open, close) = (format!("<!-- {name}: checked by tests/readme.rs -->\n"), format!("<!-- end of {name} -->\n"));
    let (before, rest) = readme.split_once(&open).unwrap_or_else(|| panic!("the README has no {open}"));
    let (found, after) = rest.split_once(&close).unwrap_or_else(|| panic!("the README has no {close}"));
    if found == expect {
        return;
    }
    if std::env::var_os("UPDATE_EXPECT").is_some() {
        fs::write(&path, format!("{before}{open}{expect}{close}{after}")).expect("the README can be written");
        return;
    }
    panic!("the README's {name} differ; run with UPDATE_EXPECT=1, or write:\n{expect}");
}

#[test]
fn settings() {
    let mut table = "| setting | environment | default | meaning |\n|---|---|---|---|\n".to_owned();
    for setting in SETTINGS {
        let env: Vec<String> = setting.env.iter().map(|name| code(name)).collect();
        let row = [code(setting.name), env.join(", "), code(setting.default), setting.doc.to_owned()];
        writeln!(table, "| {} |", row.join(" | ")).expect("a string");
    }
    check("settings", &table);
}

#[test]
fn policy_variables() {
    let mut table = "| environment | policy | setting |\n|---|---|---|\n".to_owned();
    for (variable, domain, setting) in POLICY_VARIABLES {
        writeln!(table, "| {} | {} | {} |", code(variable), code(domain), code(setting)).expect("a string");
    }
    let reserved: Vec<String> = RESERVED_VARIABLES.iter().map(|name| code(name)).collect();
    writeln!(table, "\nKnown, but without effect yet: {}. The log says so where one is set.", reserved.join(", "))
        .expect("a string");
    check("policy variables", &table);
}

#[test]
fn routes() {
    let mut table = "| request | what it does |\n|---|---|\n".to_owned();
    for route in ROUTES {
        let request = format!("{} {}", route.verb.as_str(), route.path.replace("{*", "{"));
        writeln!(table, "| {} | {} |", code(&request), route.summary).expect("a string");
    }
    check("routes", &table);
}

/// As code; nothing for nothing.
fn code(text: &str) -> String {
    if text.is_empty() { String::new() } else { format!("`{text}`") }
}
