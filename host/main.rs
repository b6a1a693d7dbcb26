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
        Command::Policy(PolicyCommand::Build(args)) => cli::build::run(args),
        Command::Policy(PolicyCommand::Measure { policies }) => cli::decision::run(policies),
        Command::Policy(command) => cli::ask::policy(command),
        Command::Locks(command) => cli::ask::locks(command),
        Command::Breakers { command, host } => cli::ask::breakers(command.as_ref(), host),
        Command::Invalidate(command) => cli::ask::invalidate(command),
        Command::Explain { key, host } => cli::ask::explain(key, host),
    }
}
