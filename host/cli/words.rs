//! What can be said of policies, locks, breakers, entries and what is out of date.

use std::ffi::OsString;
use std::path::PathBuf;

use clap::{Args, Subcommand};

use super::remote::HostArgs;

const GET_EXAMPLES: &str = "Examples:
  larder get profile:user:42                   the value on the standard output, how it is on the other one
  larder get -q profile:user:42 > ada.json     the bytes as they are, and nothing else
  larder get --json profile:user:42 | jq .state
  larder get session:1 || echo 'nobody is there'";

const SET_EXAMPLES: &str = "Examples:
  larder set greeting hello                    for as long as the policy says
  larder set session:1 --file session.bin --ttl 10m
  gzip -c page.html | larder set page:1        from the standard input, any bytes
  larder set --if-absent leader $HOSTNAME      exit code 1 if somebody else is there";

const INSPECT_EXAMPLES: &str = "Examples:
  larder inspect profile:user:42               the record: its value, its life, what it carries, whose rules
  larder inspect --json profile:user:42 | jq .life.fresh_left_ms";

/// What `get` reads.
#[derive(Debug, Args)]
#[command(after_help = GET_EXAMPLES)]
pub(crate) struct GetArgs {
    /// The key, as an application says it
    pub key: OsString,
    /// Say nothing on the standard error output about how the value is
    #[arg(short, long)]
    pub quiet: bool,
    #[command(flatten)]
    pub host: HostArgs,
}

/// What `set` writes.
#[derive(Debug, Args)]
#[command(after_help = SET_EXAMPLES)]
pub(crate) struct SetArgs {
    /// The key, as an application says it
    pub key: OsString,
    /// The value; without it and without --file it is read from the standard input
    pub value: Option<OsString>,
    /// A file that holds the value
    #[arg(long, value_name = "FILE", conflicts_with = "value")]
    pub file: Option<PathBuf>,
    /// The lifetime to ask for: 30s, 5m, 24h, or a number of seconds; the policy has the last word
    #[arg(long, value_name = "TIME")]
    pub ttl: Option<String>,
    /// Only if there is none
    #[arg(long, conflicts_with = "if_present")]
    pub if_absent: bool,
    /// Only if there is one
    #[arg(long)]
    pub if_present: bool,
    #[command(flatten)]
    pub host: HostArgs,
}

/// What `del` removes.
#[derive(Debug, Args)]
pub(crate) struct DelArgs {
    /// The keys, as an application says them
    #[arg(required = true, value_name = "KEY")]
    pub keys: Vec<OsString>,
    #[command(flatten)]
    pub host: HostArgs,
}

/// What `inspect` and `explain` look at.
#[derive(Debug, Args)]
#[command(after_help = INSPECT_EXAMPLES)]
pub(crate) struct InspectArgs {
    /// The key, as an application says it
    pub key: OsString,
    #[command(flatten)]
    pub host: HostArgs,
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
        /// Print one JSON document instead of text
        #[arg(long)]
        json: bool,
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
        /// Print one JSON document instead of text
        #[arg(long)]
        json: bool,
    },
    /// Print the interfaces of a component as WIT
    Inspect {
        /// A component
        #[arg(value_name = "FILE")]
        file: PathBuf,
        /// Print one JSON document instead of text
        #[arg(long)]
        json: bool,
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
    /// Measure what a fill under its lease costs beside a plain write, in this Redis
    #[command(hide = true)]
    MeasureFill {
        /// Where it is; keys below `chat:v1:profile:user:` are written over
        #[arg(long, value_name = "URL")]
        store: String,
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
        /// Where one that was broken off goes on
        #[arg(long)]
        cursor: Option<String>,
        #[command(flatten)]
        how: HowArgs,
    },
    /// All keys of a domain that match a glob; looks through the store
    Pattern {
        /// The domain
        domain: String,
        /// The glob
        pattern: String,
        /// Where one that was broken off goes on
        #[arg(long)]
        cursor: Option<String>,
        #[command(flatten)]
        how: HowArgs,
    },
    /// A whole domain
    Domain {
        /// The domain
        domain: String,
        /// Where one that was broken off goes on
        #[arg(long)]
        cursor: Option<String>,
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
    /// Print one JSON document instead of text
    #[arg(long)]
    pub json: bool,
}

/// What is warmed.
#[derive(Debug, Args)]
pub(crate) struct WarmArgs {
    /// The domain
    pub domain: String,
    /// A file with one key per line, without the domain
    #[arg(long, value_name = "FILE", conflicts_with_all = ["version", "cursor"])]
    pub file: Option<PathBuf>,
    /// The keys that this key version has in the store
    #[arg(long)]
    pub version: Option<String>,
    /// Those of them that match this glob
    #[arg(long, value_name = "GLOB", default_value = "*", requires = "version")]
    pub pattern: String,
    /// Where one that was broken off goes on
    #[arg(long)]
    pub cursor: Option<String>,
    #[command(flatten)]
    pub host: HostArgs,
}
