//! `cargo xtask …`: from a clean checkout to something that runs, in one command each.
//!
//! Everything here is a short list of steps that run other programs; what they do is in those programs. Each step
//! finds out first whether it is needed, so every command can be repeated.
//!
//! Deliberately absent: anything that a user of the built binary needs, and dependencies, since this is what
//! everybody compiles first.

mod bench;
mod clients;
mod languages;
mod policies;
mod process;
mod run;
mod setup;
mod test;
mod valkey;

use std::process::ExitCode;

use anyhow::{Result, bail};

const USAGE: &str = "\
cargo xtask setup                 install what is missing to build policies and run the tests; `test` does it, too
cargo xtask policies [--release]  build the policies into policies/, where a running host picks them up
cargo xtask run [ARG…]            build all, then serve policies/; arguments go to `larder serve`
cargo xtask test [ARG…]           build all, then run every test; arguments go to the test runner
cargo xtask bench [--quick] …     build all, then measure Larder beside Redis and others";

fn main() -> ExitCode {
    match dispatch() {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: {error:#}");
            ExitCode::FAILURE
        }
    }
}

fn dispatch() -> Result<()> {
    let mut args = std::env::args().skip(1);
    let command = args.next().unwrap_or_default();
    let rest: Vec<String> = args.collect();
    match (command.as_str(), rest.as_slice()) {
        ("setup", []) => {
            let has_nextest = test::set_up()?;
            println!("setup: {}", if has_nextest { "all is there" } else { "all is there but nextest" });
            Ok(())
        }
        ("policies", []) => policies::all(policies::Profile::Dev),
        ("policies", [flag]) if flag == "--release" => policies::all(policies::Profile::Release),
        ("run", args) => run::run(args),
        ("test", args) => test::test(args),
        ("bench", args) => bench::bench(args),
        ("" | "help" | "--help" | "-h", _) => {
            println!("{USAGE}");
            Ok(())
        }
        _ => bail!("there is no such command\n{USAGE}"),
    }
}
