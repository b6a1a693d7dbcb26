//! `cargo xtask run`: everything built for speed, then the server in place of this process.

use std::process::Command;

use anyhow::{Context, Result};

use crate::policies::{self, Profile};
use crate::process::{program, target_dir};

/// Builds the host and the policies and serves them.
///
/// # Errors
/// Something does not build, or the server cannot be run.
pub(crate) fn run(args: &[String]) -> Result<()> {
    policies::all(Profile::Release)?;
    let resp = value_of(args, "--resp").unwrap_or("127.0.0.1:6380");
    let http = value_of(args, "--http").unwrap_or("127.0.0.1:8380");
    println!("{}", hints(resp, http));
    let server = target_dir().join("release/larder");
    let mut command = program(&server.to_string_lossy());
    command.args(["serve", "--policies", "policies"]).args(args);
    become_program(command)
}

/// What to try, in a box.
fn hints(resp: &str, http: &str) -> String {
    let port = resp.rsplit(':').next().unwrap_or(resp);
    let lines = [
        "Larder serves policies/. In another terminal:".to_owned(),
        String::new(),
        format!("  redis-cli -p {port} SET profile:user:42 '{{\"name\":\"Ada\"}}'"),
        format!("  redis-cli -p {port} GET profile:user:42"),
        format!("  redis-cli -p {port} LARDER.EXPLAIN profile:user:42"),
        String::new(),
        format!("  curl -X PUT -d '{{\"name\":\"Ada\"}}' http://{http}/v1/cache/profile/user:42"),
        format!("  curl -i http://{http}/v1/cache/profile/user:42"),
        format!("  curl http://{http}/v1/policies"),
        String::new(),
        "Change policies/profile.toml, or a policy's source and `cargo xtask policies --release`:".to_owned(),
        "the rules change at once, for what is cached too.".to_owned(),
    ];
    let width = lines.iter().map(|line| line.chars().count()).max().unwrap_or_default();
    let rule = "─".repeat(width + 2);
    let body: String = lines.iter().map(|line| format!("│ {line:width$} │\n")).collect();
    format!("┌{rule}┐\n{body}└{rule}┘")
}

/// The value of `--name VALUE` or `--name=VALUE`.
fn value_of<'a>(args: &'a [String], name: &str) -> Option<&'a str> {
    let separate = args.iter().position(|arg| arg == name).and_then(|at| args.get(at + 1)).map(String::as_str);
    separate.or_else(|| args.iter().find_map(|arg| arg.strip_prefix(name)?.strip_prefix('=')))
}

/// Puts the program in place of this one, so that signals reach it and it alone.
#[cfg(unix)]
fn become_program(mut command: Command) -> Result<()> {
    use std::os::unix::process::CommandExt;
    Err(command.exec()).context("cannot run the server")
}

#[cfg(not(unix))]
fn become_program(mut command: Command) -> Result<()> {
    crate::process::run(&mut command)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_argument_is_found_in_both_spellings() {
        let args = ["--resp", "0.0.0.0:1", "--http=0.0.0.0:2"].map(str::to_owned);
        assert_eq!(value_of(&args, "--resp"), Some("0.0.0.0:1"));
        assert_eq!(value_of(&args, "--http"), Some("0.0.0.0:2"));
        assert_eq!(value_of(&args, "--store"), None);
    }

    #[test]
    fn the_box_has_straight_sides() {
        let text = hints("127.0.0.1:6380", "127.0.0.1:8380");
        let widths: Vec<_> = text.lines().map(|line| line.chars().count()).collect();
        assert!(widths.iter().all(|width| Some(width) == widths.first()), "{text}");
    }
}
