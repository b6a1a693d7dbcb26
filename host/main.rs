//! The `larder` binary: dispatches the command line. `cli::serve` wires the host.

#![warn(clippy::print_stdout, clippy::print_stderr)]

mod cli;

use std::process::ExitCode;
use std::sync::atomic::AtomicPtr;

use anyhow::Result;
use clap::Parser as _;

use crate::cli::ask::PolicyStep;
use crate::cli::exit::{Exit, Failure};
use crate::cli::out::{remark, say};
use crate::cli::{Cli, Command, PolicyCommand};

/// Half the time of a hit would go into the system's allocator. This one keeps least of what is freed: sizes of L1's entries come and go,
/// and others hold half as much again.
#[global_allocator]
static ALLOCATOR: tikv_jemallocator::Jemalloc = tikv_jemallocator::Jemalloc;

/// What it reads before it begins; `_RJEM_MALLOC_CONF` in the environment comes after it and wins. Pages that are freed go back after a
/// hundredth of a second instead of ten seconds, by a thread of its own; few arenas and no large blocks kept by each thread, as all of that would be
/// beside L1's bound. No huge pages: the kernel makes one whole again of which most was given back, and reads of 300,000 keys take about as
/// long with them.
#[expect(unsafe_code, reason = "the allocator finds its options by the name of a symbol, which nothing else has")]
#[unsafe(export_name = "_rjem_malloc_conf")]
#[used]
static ALLOCATOR_OPTIONS: AtomicPtr<u8> = AtomicPtr::new(
    c"thp:never,narenas:4,lg_tcache_max:12,background_thread:true,max_background_threads:1,dirty_decay_ms:10,muzzy_decay_ms:0"
        .as_ptr()
        .cast_mut()
        .cast(),
);

fn main() -> ExitCode {
    let exit = dispatch(&Cli::parse()).unwrap_or_else(|error| {
        let failure = error.downcast_ref::<Failure>();
        if let Some(document) = failure.and_then(|failure| failure.document.as_ref()) {
            // Whether it can be written or not: the command has failed.
            let _ = say(&format!("{}\n", document.json()));
        }
        remark(format_args!("error: {error:#}"));
        failure.map_or(Exit::Failed, |failure| failure.exit)
    });
    exit.code().into()
}

fn dispatch(cli: &Cli) -> Result<Exit> {
    let done = |()| Exit::Done;
    match &cli.command {
        Command::Serve(args) => cli::serve::run(args).map(done),
        Command::Config(command) => cli::config::run(command),
        Command::Policy(command) => policy(command),
        Command::Get(args) => cli::entry::get(args),
        Command::Set(args) => cli::entry::set(args),
        Command::Del(args) => cli::entry::del(args),
        Command::Inspect(args) => cli::record::inspect(args),
        Command::Locks(command) => cli::ask::locks(command),
        Command::Breakers { command, host } => cli::ask::breakers(command.as_ref(), host),
        Command::Invalidate(command) => cli::invalidate::run(command),
        Command::Warm(args) => cli::warm::warm(args),
        Command::Explain { key, host } => cli::ask::explain(key, host),
        Command::Top(args) => cli::top::run(args).map(done),
        Command::Completions { shell } => cli::man::completions(*shell).map(done),
        Command::Man { out } => cli::man::man(out.as_deref()).map(done),
    }
}

fn policy(command: &PolicyCommand) -> Result<Exit> {
    let done = |()| Exit::Done;
    match command {
        PolicyCommand::New { name, dir, json } => cli::new::run(name, dir, *json),
        PolicyCommand::Build(args) => cli::build::run(args),
        PolicyCommand::Check { files, json } => cli::check::check(files, *json),
        PolicyCommand::Test { files, json } => cli::check::test(files, *json),
        PolicyCommand::Inspect { file, json } => cli::inspect::run(file, *json),
        PolicyCommand::Compile => cli::compile::run().map(done),
        PolicyCommand::Measure { policies } => cli::decision::run(policies).map(done),
        PolicyCommand::MeasureFill { store } => cli::fill::run(store).map(done),
        PolicyCommand::List { host } => cli::ask::policies(host),
        PolicyCommand::Show { domain, host } => cli::ask::policy(host, PolicyStep::Show, domain),
        PolicyCommand::Rollback { domain, host } => cli::ask::policy(host, PolicyStep::RollBack, domain),
        PolicyCommand::Remove { domain, host } => cli::ask::policy(host, PolicyStep::Remove, domain),
        PolicyCommand::Unquarantine { domain, host } => cli::ask::policy(host, PolicyStep::Unquarantine, domain),
    }
}
