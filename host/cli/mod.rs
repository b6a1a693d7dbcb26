//! The command line: what can be said, and which function does it.

pub(crate) mod ask;
pub(crate) mod build;
pub(crate) mod check;
pub(crate) mod compile;
pub(crate) mod config;
pub(crate) mod decision;
pub(crate) mod document;
pub(crate) mod entry;
pub(crate) mod exit;
pub(crate) mod fill;
pub(crate) mod inspect;
pub(crate) mod invalidate;
pub(crate) mod man;
pub(crate) mod new;
pub(crate) mod out;
mod parts;
pub(crate) mod progress;
pub(crate) mod record;
pub(crate) mod reload;
pub(crate) mod remote;
pub(crate) mod serve;
pub(crate) mod settings;
pub(crate) mod state;
mod table;
mod telling;
pub(crate) mod top;
pub(crate) mod warm;
pub(crate) mod words;

use std::ffi::OsString;
use std::path::PathBuf;

use clap::{Args, Parser, Subcommand};

use self::remote::HostArgs;
pub(crate) use self::words::{
    BreakersCommand, BuildArgs, DelArgs, GetArgs, HowArgs, InspectArgs, InvalidateCommand, LocksCommand, PolicyCommand,
    SetArgs, WarmArgs,
};

/// The file that this process was started from, also when another one has its name by now: what runs beside a host is of its version.
pub(crate) const OWN_PROGRAM: &str = "/proc/self/exe";

/// A policy-driven cache host: in front of Redis, with rules that are WebAssembly components, swapped while it runs.
#[derive(Debug, Parser)]
#[command(version, about, long_about = None, after_help = format!("{EXAMPLES}\n\nExit codes:\n{}", exit::Exit::table()))]
pub(crate) struct Cli {
    #[command(subcommand)]
    pub command: Command,
}

const EXAMPLES: &str = "Examples:
  larder serve --policies policies                       serve on the memory store
  larder serve --store redis://127.0.0.1:6379            serve in front of Redis
  redis-cli -p 6380 SET profile:user:42 '{\"name\":\"Ada\"}'
  redis-cli -p 6380 LARDER.EXPLAIN profile:user:42       why a key is answered as it is
  larder set profile:user:42 '{\"name\":\"Ada\"}'          write, read, look at and remove a value
  larder get profile:user:42
  larder inspect profile:user:42
  larder del profile:user:42
  larder invalidate tag profile team:7                   all entries with a tag, at once
  larder config show                                     every setting, and where it comes from
  larder policy new presence                             begin a policy, in the folder presence
  larder policy build presence                           compile it into policies; a running host swaps it in
  larder policy test policies/presence.wasm              ask it its cases
  larder policy list                                     what is live, and what went wrong
  larder policy rollback profile                         back to the component before
  larder top                                             what a running host does, live";

#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Run the host
    Serve(ServeArgs),
    /// Write, build and check policies; list, roll back and remove those of a running host
    #[command(subcommand)]
    Policy(PolicyCommand),
    /// Invalidate what is out of date on a running host
    #[command(subcommand)]
    Invalidate(InvalidateCommand),
    /// Read a value of a running host
    Get(GetArgs),
    /// Write a value
    Set(SetArgs),
    /// Remove values
    Del(DelArgs),
    /// Show the record of a key: its value's size and type, its deadlines, tags and generations, and whose rules they are
    Inspect(InspectArgs),
    /// Tell why a running host answers a key as it does
    Explain {
        /// The key, as an application says it
        key: OsString,
        #[command(flatten)]
        host: HostArgs,
    },
    /// Watch a running host: traffic, hit rates and times of each domain, once a second
    Top(TopArgs),
    /// Bring values into a domain before anybody asks for them
    Warm(WarmArgs),
    /// Check and show the settings with which a host would start
    #[command(subcommand)]
    Config(ConfigCommand),
    /// List, show and free distributed locks of a running host
    #[command(subcommand)]
    Locks(LocksCommand),
    /// Tell where the circuit breakers of a running host stand; force them
    Breakers {
        #[command(subcommand)]
        command: Option<BreakersCommand>,
        #[command(flatten)]
        host: HostArgs,
    },
    /// Print completions for a shell: `larder completions bash > /etc/bash_completion.d/larder`
    Completions {
        /// bash, elvish, fish, powershell or zsh
        shell: clap_complete::Shell,
    },
    /// Print the manual page, or write a page for each command
    Man {
        /// The folder for the pages
        #[arg(long, value_name = "DIR")]
        out: Option<PathBuf>,
    },
}

/// What `top` shows.
#[derive(Debug, Args)]
pub(crate) struct TopArgs {
    /// Print the figures of one second and end; with --json the counts since the start
    #[arg(long)]
    pub once: bool,
    #[command(flatten)]
    pub host: HostArgs,
}

/// Settings of `serve`; all others come from `larder.toml`, the environment or `--set`.
#[derive(Clone, Debug, Args)]
pub(crate) struct ServeArgs {
    /// The watched folder of NAME.wasm and NAME.toml
    #[arg(long, value_name = "DIR")]
    pub policies: Option<String>,
    /// Where compiled components and the last good policies are kept
    #[arg(long, value_name = "DIR")]
    pub state: Option<String>,
    /// Where Redis clients connect; `off` for nowhere
    #[arg(long, value_name = "ADDR")]
    pub resp: Option<String>,
    /// Where HTTP clients connect; `off` for nowhere
    #[arg(long, value_name = "ADDR")]
    pub http: Option<String>,
    /// Where operators connect over HTTP; what is for them is then served nowhere else
    #[arg(long, value_name = "ADDR")]
    pub admin: Option<String>,
    /// Let everybody do everything on addresses that other machines reach (auth.open)
    #[arg(long)]
    pub insecure: bool,
    /// `memory`, or `redis://[user:password@]host:port[/db]`, `unix://path`, `redis-sentinel://hosts/name`, `redis+cluster://hosts`
    #[arg(long, value_name = "URL")]
    pub store: Option<String>,
    /// Settings file; `larder.toml` of the working folder is read if it is there
    #[arg(long, value_name = "FILE")]
    pub config: Option<PathBuf>,
    /// Any other setting, as often as needed: `--set l1.size=1GiB`
    #[arg(long, value_name = "NAME=VALUE")]
    pub set: Vec<String>,
}

#[derive(Debug, Subcommand)]
pub(crate) enum ConfigCommand {
    /// Say whether a host would start with these settings, and what is wrong with which line if not
    Check(ConfigArgs),
    /// Show every setting with its value and where it comes from; secrets are hidden
    Show(ConfigArgs),
    /// Read a secret from the standard input, and print what may stand in larder.toml in its place
    Hash {
        /// Print one JSON document instead of text
        #[arg(long)]
        json: bool,
    },
}

/// The settings to look at: the same flags as those of `serve`.
#[derive(Debug, Args)]
pub(crate) struct ConfigArgs {
    #[command(flatten)]
    pub settings: ServeArgs,
    /// Print one JSON document instead of text
    #[arg(long)]
    pub json: bool,
}
