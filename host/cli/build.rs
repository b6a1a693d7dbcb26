//! `larder policy build`: crates into components, with progress, and what a host would have against them.

use anyhow::Result;
use larder::toolchain::{self, Built, Progress};
use serde_json::json;

use super::exit::Exit;
use super::out::{remark, say};
use super::{BuildArgs, check, progress};

/// Builds the crates and prints a line for each component. One that no host would serve was built all the same: its author is told why,
/// for a host that watches the folder goes on with the one before.
///
/// # Errors
/// One does not build; what the compiler said is on the standard error output.
pub(crate) fn run(args: &BuildArgs) -> Result<Exit> {
    let shown = progress::begin("looking for a compiler".to_owned());
    let mut lines = Vec::new();
    let count = args.crates.len();
    let mut done = 0;
    let built = toolchain::build(&args.crates, &args.out, &args.target, &mut |progress| match progress {
        Progress::Compiler(rustc) => shown.say(format!("compiling with {}", rustc.program.display())),
        Progress::Line(line) => {
            shown.say(format!("{done} of {count}: {}", line.trim()));
            lines.push(line.to_owned());
        }
        Progress::Built(built) => {
            done += 1;
            shown.say(format!("{done} of {count}: {}", built.name));
        }
    });
    drop(shown);
    let built = built.inspect_err(|_| {
        for line in &lines {
            remark(line);
        }
    })?;
    tell(args, &built)?;
    for doubt in check::doubts(&built.into_iter().map(|it| it.path).collect::<Vec<_>>())? {
        remark(format_args!("a host would not serve this, and keep what it has: {doubt}"));
    }
    Ok(Exit::Done)
}

fn tell(args: &BuildArgs, built: &[Built]) -> Result<Exit> {
    if args.json {
        let built = built.iter().map(|it| {
            json!({
                "domain": it.name,
                "path": it.path,
                "size_bytes": it.bytes,
                "took_ms": u64::try_from(it.elapsed.as_millis()).unwrap_or(u64::MAX),
            })
        });
        return say(&format!("{:#}\n", json!({ "built": built.collect::<Vec<_>>() })));
    }
    let line = |built: &Built| {
        let (kib, seconds) = (built.bytes.div_ceil(1024), built.elapsed.as_secs_f32());
        format!("{:<14} {kib:>6} KiB  {seconds:>5.1} s  {}\n", built.name, built.path.display())
    };
    say(&built.iter().map(line).collect::<String>())
}
