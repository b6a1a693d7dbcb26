//! `cargo xtask bench`: Larder beside what it is measured against, on this machine, in one run.
//!
//! The servers take turns (A B, B A, …) so that a busy machine troubles both alike; what counts is the median of the rounds'
//! ratios. Every number comes from a real process over a loopback socket with a policy in force. Deliberately absent: numbers
//! from another run, machine or program version.

#![expect(clippy::disallowed_types, reason = "a measurement reads the clock")]

mod churn;
mod client;
mod collections;
mod fill;
mod http;
mod machine;
mod memory;
mod purge;
mod report;
mod resp;
mod server;
mod store;
mod swaps;

use std::fs;
use std::path::PathBuf;
use std::process::Command;

use anyhow::{Context, Result, bail, ensure};

use crate::policies::{self, Profile};
use crate::process::{cargo, root, run, target_dir};
use crate::setup;

const USAGE: &str = "cargo xtask bench [--quick] [--only resp,store,collections,http,decision,fill,purge,swaps,memory,churn] [--larder FILE]

Prints Markdown tables. --quick: fewer rounds, rough numbers. --larder: measures this binary and builds none. Needs redis-server and
redis-benchmark; nginx and wrk for `http`; measures twemproxy (`nutcracker`) in `store` and `collections` if it is there.";

/// What one section of the report is called and how it is made.
type Section = (&'static str, fn(&Bench) -> Result<String>);

const SECTIONS: &[Section] = &[
    ("resp", resp::run),
    ("store", store::run),
    ("collections", collections::run),
    ("http", http::run),
    ("decision", decision),
    ("fill", fill::run),
    ("purge", purge::run),
    ("swaps", swaps::run),
    ("memory", memory::run),
    ("churn", churn::run),
];

/// What every section needs to know.
struct Bench {
    /// The release binary.
    larder: PathBuf,
    /// A folder of this run's own below the target folder, emptied at the start.
    scratch: PathBuf,
    /// Fewer rounds.
    quick: bool,
}

impl Bench {
    /// `full`, or `quick` where few rounds are asked for.
    const fn pick(&self, full: usize, quick: usize) -> usize {
        if self.quick { quick } else { full }
    }

    /// An empty folder with a copy of the built policy of this domain, and its settings.
    fn policies(&self, name: &str, domain: &str) -> Result<PathBuf> {
        self.policies_of(name, &[domain])
    }

    /// The same with several.
    fn policies_of(&self, name: &str, domains: &[&str]) -> Result<PathBuf> {
        let folder = self.folder(name)?;
        for domain in domains {
            for ending in ["wasm", "toml"] {
                let from = root().join("policies").join(domain).with_extension(ending);
                fs::copy(&from, folder.join(domain).with_extension(ending))
                    .with_context(|| format!("copy {}", from.display()))?;
            }
        }
        Ok(folder)
    }

    /// An empty folder of this name.
    fn folder(&self, name: &str) -> Result<PathBuf> {
        let folder = self.scratch.join(name);
        if folder.exists() {
            fs::remove_dir_all(&folder)?;
        }
        fs::create_dir_all(&folder).with_context(|| format!("make {}", folder.display()))?;
        Ok(folder)
    }
}

/// Builds what is measured, runs the sections that the arguments name and prints the report.
///
/// # Errors
/// Something does not build, a server does not start, or an answer is wrong.
pub(crate) fn bench(args: &[String]) -> Result<()> {
    let mut quick = false;
    let (mut only, mut built) = (Vec::new(), None);
    let mut args = args.iter();
    while let Some(arg) = args.next() {
        match arg.as_str() {
            "--quick" => quick = true,
            "--only" => only.extend(args.next().context(USAGE)?.split(',').map(str::to_owned)),
            "--larder" => built = Some(PathBuf::from(args.next().context(USAGE)?)),
            _ => bail!("unknown argument '{arg}'\n\n{USAGE}"),
        }
    }
    if let Some(name) = only.iter().find(|name| SECTIONS.iter().all(|(section, _)| section != name)) {
        bail!("there is no section '{name}'\n\n{USAGE}");
    }
    let bench = prepare(quick, built)?;
    println!("{}", machine::describe(&bench.larder));
    let mut failed = Vec::new();
    for (name, section) in SECTIONS {
        if only.is_empty() || only.iter().any(|wanted| wanted == name) {
            eprintln!("bench: {name} …");
            let table = section(&bench).unwrap_or_else(|error| {
                failed.push(*name);
                format!("{name}: failed: {error:#}")
            });
            println!("\n{table}");
        }
    }
    ensure!(failed.is_empty(), "these sections failed: {}", failed.join(", "));
    Ok(())
}

/// Builds the release binary and the policies, or takes what is `built`.
fn prepare(quick: bool, built: Option<PathBuf>) -> Result<Bench> {
    setup::redis();
    setup::web_benchmark();
    let larder = if let Some(built) = built {
        ensure!(built.is_file(), "there is no file {}", built.display());
        built
    } else {
        policies::all(Profile::Release)?;
        run(cargo().args(["build", "--quiet", "--release", "--bin", "larder"]))?;
        target_dir().join("release/larder")
    };
    let scratch = target_dir().join("bench");
    let bench = Bench { larder, scratch, quick };
    bench.folder("")?;
    Ok(bench)
}

/// What one policy decision costs: measured inside a process, as no client could see it.
fn decision(bench: &Bench) -> Result<String> {
    let output = Command::new(&bench.larder).args(["policy", "measure"]).current_dir(root()).output()?;
    ensure!(output.status.success(), "`larder policy measure` failed: {}", String::from_utf8_lossy(&output.stderr));
    Ok(format!("### One decision of the profile policy\n\n{}", String::from_utf8_lossy(&output.stdout).trim_end()))
}
