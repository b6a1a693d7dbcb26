//! The `larder` binary: dispatches the command line. `cli::serve` wires the host.

mod cli;

use std::process::ExitCode;

use anyhow::Result;
use clap::Parser as _;

use crate::cli::{Cli, Command, PolicyCommand};

/// Half the time of a hit would go into the system's allocator.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> ExitCode {
    match dispatch(&Cli::parse()) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: {error:#}");
            ExitCode::FAILURE
        }
    }
}

fn dispatch(cli: &Cli) -> Result<()> {
    match &cli.command {
        Command::Serve(args) => cli::serve::run(args),
        Command::Config(command) => cli::config::run(command),
        Command::Policy(command) => policy(command),
        Command::Locks(command) => cli::ask::locks(command),
        Command::Breakers { command, host } => cli::ask::breakers(command.as_ref(), host),
        Command::Invalidate(command) => cli::ask::invalidate(command),
        Command::Explain { key, host } => cli::ask::explain(key, host),
        Command::Top(args) => cli::top::run(args),
        Command::Completions { shell } => cli::man::completions(*shell),
        Command::Man { out } => cli::man::man(out.as_deref()),
    }
}

fn policy(command: &PolicyCommand) -> Result<()> {
    match command {
        PolicyCommand::New { name, dir } => cli::new::run(name, dir),
        PolicyCommand::Build(args) => cli::build::run(args),
        PolicyCommand::Check { files, json } => cli::check::check(files, *json),
        PolicyCommand::Test { files } => cli::check::test(files),
        PolicyCommand::Inspect { file } => cli::inspect::run(file),
        PolicyCommand::Compile => cli::compile::run(),
        PolicyCommand::Measure { policies } => cli::decision::run(policies),
        PolicyCommand::List { host } => cli::ask::policy(host, "LIST", None),
        PolicyCommand::Show { domain, host } => cli::ask::policy(host, "SHOW", Some(domain)),
        PolicyCommand::Rollback { domain, host } => cli::ask::policy(host, "ROLLBACK", Some(domain)),
        PolicyCommand::Remove { domain, host } => cli::ask::policy(host, "REMOVE", Some(domain)),
        PolicyCommand::Unquarantine { domain, host } => cli::ask::policy(host, "UNQUARANTINE", Some(domain)),
    }
}
