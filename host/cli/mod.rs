//! The command line: what can be said, and which function does it.

pub(crate) mod ask;
pub(crate) mod build;
pub(crate) mod check;
pub(crate) mod compile;
pub(crate) mod config;
pub(crate) mod decision;
pub(crate) mod inspect;
pub(crate) mod man;
pub(crate) mod new;
pub(crate) mod reload;
pub(crate) mod serve;
pub(crate) mod settings;
pub(crate) mod state;
mod telling;
pub(crate) mod top;

use std::path::PathBuf;

use clap::{Args, Parser, Subcommand};

/// The file that this process was started from, also when another one has its name by now: what runs beside a host is of its version.
pub(crate) const OWN_PROGRAM: &str = "/proc/self/exe";

/// A policy-driven cache host: in front of Redis, with rules that are WebAssembly components, swapped while it runs.
#[derive(Debug, Parser)]
#[command(version, about, long_about = None, after_help = EXAMPLES)]
pub(crate) struct Cli {
    #[command(subcommand)]
    pub command: Command,
}

const EXAMPLES: &str = "Examples:
  larder serve --policies policies                       serve on the memory store
  larder serve --store redis://127.0.0.1:6379            serve in front of Redis
  redis-cli -p 6380 SET profile:user:42 '{\"name\":\"Ada\"}'
  redis-cli -p 6380 LARDER.EXPLAIN profile:user:42       why a key is answered as it is
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
    /// Tell why a running host answers a key as it does
    Explain {
        /// The key, as an application says it
        key: String,
        #[command(flatten)]
        host: HostArgs,
    },
    /// Watch a running host: traffic, hit rates and times of each domain, once a second
    Top(TopArgs),
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
    /// Print the figures of one second and end
    #[arg(long)]
    pub once: bool,
    /// Print the counts since the start as JSON and end
    #[arg(long)]
    pub json: bool,
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
    Hash,
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

#[derive(Debug, Subcommand)]
pub(crate) enum PolicyCommand {
    /// Begin a policy: a Rust crate with everything that it needs
    New {
        /// The domain that it is to serve; the folder and the crate are named after it
        name: String,
        /// The folder in which its folder is made
        #[arg(long, value_name = "DIR", default_value = ".")]
        dir: PathBuf,
    },
    /// Compile Rust crates into components
    Build(BuildArgs),
    /// Take policy files up as a host does, without one; say what they are and whether they would serve
    Check {
        /// NAME.wasm, with NAME.toml and NAME.cases.toml beside it
        #[arg(required = true, value_name = "FILE")]
        files: Vec<PathBuf>,
        /// Print one JSON document instead of text
        #[arg(long)]
        json: bool,
    },
    /// Ask policies their cases, one line for each
    Test {
        /// NAME.wasm, with NAME.toml and NAME.cases.toml beside it
        #[arg(required = true, value_name = "FILE")]
        files: Vec<PathBuf>,
    },
    /// Print the interfaces of a component as WIT
    Inspect {
        /// A component
        #[arg(value_name = "FILE")]
        file: PathBuf,
    },
    /// Compile a component from the standard input for this very program; what a host runs beside itself
    #[command(hide = true)]
    Compile,
    /// Measure what a decision of the sample policy `profile` costs beside the same rule in Rust
    #[command(hide = true)]
    Measure {
        /// The folder of profile.wasm
        #[arg(long, value_name = "DIR", default_value = "policies")]
        policies: PathBuf,
    },
    /// List the policies of a running host
    List {
        #[command(flatten)]
        host: HostArgs,
    },
    /// Show one policy of a running host, with its history
    Show {
        /// The domain
        domain: String,
        #[command(flatten)]
        host: HostArgs,
    },
    /// Put the component before back into service, until the file changes again
    Rollback {
        /// The domain
        domain: String,
        #[command(flatten)]
        host: HostArgs,
    },
    /// Take a policy whose file was deleted out of service
    Remove {
        /// The domain
        domain: String,
        #[command(flatten)]
        host: HostArgs,
    },
    /// Try a policy again that failed too often and is in quarantine
    Unquarantine {
        /// The domain
        domain: String,
        #[command(flatten)]
        host: HostArgs,
    },
}

#[derive(Debug, Subcommand)]
pub(crate) enum LocksCommand {
    /// List the held locks
    List {
        /// Only those whose names begin so
        prefix: Option<String>,
        #[command(flatten)]
        host: HostArgs,
    },
    /// Show who holds a lock
    Info {
        /// The lock's name; a policy's is @DOMAIN/NAME
        name: String,
        #[command(flatten)]
        host: HostArgs,
    },
    /// Free a lock, whoever holds it
    Release {
        /// The lock's name; a policy's is @DOMAIN/NAME
        name: String,
        #[command(flatten)]
        host: HostArgs,
    },
}

#[derive(Debug, Subcommand)]
pub(crate) enum BreakersCommand {
    /// Show the last steps of a breaker
    History {
        /// `store`, or DOMAIN/NAME
        name: String,
        #[command(flatten)]
        host: HostArgs,
    },
    /// Force a breaker, until it is left to itself again with `auto`
    Force {
        /// `store`, or DOMAIN/NAME
        name: String,
        /// open, closed, metrics-only or auto
        mode: String,
        #[command(flatten)]
        host: HostArgs,
    },
}

#[derive(Debug, Subcommand)]
pub(crate) enum InvalidateCommand {
    /// One key
    Key {
        /// The key, as an application says it
        key: String,
        #[command(flatten)]
        how: HowArgs,
    },
    /// All entries that carry a tag
    Tag {
        /// The domain
        domain: String,
        /// The tag
        tag: String,
        #[command(flatten)]
        how: HowArgs,
    },
    /// All keys of a domain that begin so
    Prefix {
        /// The domain
        domain: String,
        /// What follows the domain in the keys
        prefix: String,
        #[command(flatten)]
        how: HowArgs,
    },
    /// All keys of a domain that match a glob; looks through the store
    Pattern {
        /// The domain
        domain: String,
        /// The glob
        pattern: String,
        #[command(flatten)]
        how: HowArgs,
    },
    /// A whole domain
    Domain {
        /// The domain
        domain: String,
        #[command(flatten)]
        how: HowArgs,
    },
}

/// How hard, and where.
#[derive(Debug, Args)]
pub(crate) struct HowArgs {
    /// Keep the values and make them stale: served as their stale windows allow, and loaded anew
    #[arg(long)]
    pub soft: bool,
    #[command(flatten)]
    pub host: HostArgs,
}

/// What `policy build` builds, and where to.
#[derive(Debug, Args)]
pub(crate) struct BuildArgs {
    /// Folders of the crates
    #[arg(required = true, value_name = "CRATE")]
    pub crates: Vec<PathBuf>,
    /// Where NAME.wasm is put; a host that watches this folder swaps it in
    #[arg(long, value_name = "DIR", default_value = "policies")]
    pub out: PathBuf,
    /// Where the compiler keeps its work
    #[arg(long, value_name = "DIR", default_value = "target/guests")]
    pub target: PathBuf,
}

/// Which running host is asked.
#[derive(Debug, Args)]
pub(crate) struct HostArgs {
    /// RESP address of the host; `redis://:PASSWORD@HOST:PORT` if it has a password
    #[arg(long, value_name = "ADDR", env = "LARDER_RESP", default_value = "127.0.0.1:6380")]
    pub resp: String,
}
