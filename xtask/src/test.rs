//! `cargo xtask test`: all tests of the workspace, with everything they need built first.
//!
//! The last line is `N passed, N failed` and nothing else, over the test runner's tests and the documentation's.

use std::io::{BufRead, BufReader};
use std::process::{Command, Stdio};

use anyhow::{Context, Result, bail};

use crate::clients;
use crate::languages;
use crate::policies::{self, Profile};
use crate::process::cargo;
use crate::{setup, valkey};

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct Counts {
    passed: u64,
    failed: u64,
}

/// Installs what is missing of all that the tests need, before anything is built. Whether nextest is there.
///
/// # Errors
/// Something cannot be had without which tests would prove nothing.
pub(crate) fn set_up() -> Result<bool> {
    setup::compilers()?;
    setup::redis();
    setup::shell()?;
    setup::prometheus()?;
    languages::node()?;
    languages::builders()?;
    languages::browser()?;
    languages::schemathesis()?;
    languages::node_clients()?;
    clients::all()?;
    valkey::valkey();
    Ok(setup::nextest())
}

/// Builds the host, the policies and the guests, and runs every test.
///
/// # Errors
/// Something does not build, or a test fails.
pub(crate) fn test(args: &[String]) -> Result<()> {
    let has_nextest = set_up()?;
    policies::all(Profile::Dev)?;
    policies::guests(Profile::Dev)?;
    languages::guests()?;
    let mut runs = if has_nextest {
        vec![(command(&["nextest", "run", "--workspace"], args), nextest_counts as fn(&str) -> Option<Counts>)]
    } else {
        vec![(command(&["test", "--workspace", "--lib", "--bins", "--tests"], args), libtest_counts as _)]
    };
    // A selection of tests means those alone.
    if args.is_empty() {
        runs.push((command(&["test", "--workspace", "--doc", "--quiet"], args), libtest_counts as _));
    }
    let mut total = Counts::default();
    let mut broken = false;
    for (mut command, counts_of) in runs {
        let (counts, succeeded) = run_counting(&mut command, counts_of)?;
        total.passed += counts.passed;
        total.failed += counts.failed;
        // A build that fails prints no count.
        broken |= !succeeded && counts.failed == 0;
    }
    println!("{} passed, {} failed", total.passed, total.failed);
    if broken {
        bail!("the tests could not be built or run; what failed is said above");
    }
    if total.failed > 0 {
        bail!("tests failed");
    }
    Ok(())
}

fn command(words: &[&str], args: &[String]) -> Command {
    let mut command = cargo();
    command.args(words).args(args);
    command
}

/// Runs it, shows its lines and adds up the counts in them; whether it succeeded.
fn run_counting(command: &mut Command, counts_of: fn(&str) -> Option<Counts>) -> Result<(Counts, bool)> {
    // Both outputs through one pipe, in order.
    let (reader, writer) = std::io::pipe()?;
    command.stdout(writer.try_clone()?).stderr(writer).stdin(Stdio::null());
    let mut child = command.spawn().context("cannot run cargo")?;
    // The command holds the writing ends; as long as one is open here, the pipe does not end.
    command.stdout(Stdio::null()).stderr(Stdio::null());
    let mut total = Counts::default();
    for line in BufReader::new(reader).split(b'\n') {
        let line = String::from_utf8_lossy(&line?).into_owned();
        println!("{line}");
        if let Some(counts) = counts_of(&line) {
            total.passed += counts.passed;
            total.failed += counts.failed;
        }
    }
    Ok((total, child.wait()?.success()))
}

/// `     Summary [   1.541s] 23 tests run: 21 passed (1 slow, 1 leaky), 1 failed, 1 timed out, 25 skipped`.
fn nextest_counts(line: &str) -> Option<Counts> {
    let (_, result) = line.trim_start().strip_prefix("Summary [")?.split_once("run: ")?;
    let mut counts = Counts::default();
    let outside: String = result.split('(').map(|part| part.split_once(')').map_or(part, |(_, after)| after)).collect();
    for part in outside.split(", ") {
        let (number, word) = part.trim().split_once(' ')?;
        let number: u64 = number.parse().ok()?;
        match word.trim() {
            "passed" => counts.passed += number,
            "skipped" => {}
            _ => counts.failed += number,
        }
    }
    Some(counts)
}

/// `test result: ok. 3 passed; 0 failed; 0 ignored; …`.
fn libtest_counts(line: &str) -> Option<Counts> {
    let result = line.strip_prefix("test result: ")?;
    let number = |word: &str| {
        let part = result.split([';', '.']).find_map(|part| part.trim().strip_suffix(word))?;
        part.trim().parse().ok()
    };
    Some(Counts { passed: number(" passed")?, failed: number(" failed")? })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(counts: Option<Counts>, passed: u64, failed: u64) {
        assert_eq!(counts, Some(Counts { passed, failed }));
    }

    #[test]
    fn nextests_summary_is_understood() {
        check(nextest_counts("     Summary [   1.541s] 23 tests run: 23 passed, 25 skipped"), 23, 0);
        let failed = "Summary [ 10.0s] 23 tests run: 20 passed (1 slow, 1 leaky), 2 failed, 1 timed out, 0 skipped";
        check(nextest_counts(failed), 20, 3);
        check(nextest_counts("Summary [ 1.0s] 1 test run: 1 passed, 0 skipped"), 1, 0);
        check(nextest_counts("Summary [ 1.0s] 7/23 tests run: 6 passed, 1 failed, 0 skipped"), 6, 1);
        assert_eq!(nextest_counts("    Starting 23 tests across 6 binaries"), None);
    }

    #[test]
    fn libtests_result_is_understood() {
        check(libtest_counts("test result: ok. 3 passed; 0 failed; 1 ignored; 0 measured; 2 filtered out"), 3, 0);
        check(libtest_counts("test result: FAILED. 3 passed; 2 failed; 0 ignored"), 3, 2);
        assert_eq!(libtest_counts("test the_house_is_tidy ... ok"), None);
    }
}
