//! `larder policy build`: crates into components, with progress.

use std::time::Duration;

use anyhow::Result;
use indicatif::{ProgressBar, ProgressStyle};
use larder::toolchain::{self, Progress};

use super::BuildArgs;

/// Builds the crates and prints a line for each component.
pub(crate) fn run(args: &BuildArgs) -> Result<()> {
    let style = ProgressStyle::with_template("{spinner} {elapsed} {wide_msg}")
        .unwrap_or_else(|_| ProgressStyle::default_spinner());
    let bar = ProgressBar::new_spinner().with_style(style);
    bar.enable_steady_tick(Duration::from_millis(100));
    let mut lines = Vec::new();
    let built = toolchain::build(&args.crates, &args.out, &args.target, &mut |progress| match progress {
        Progress::Compiler(rustc) => bar.set_message(format!("compiling with {}", rustc.program.display())),
        Progress::Line(line) => {
            bar.set_message(line.trim().to_owned());
            lines.push(line.to_owned());
        }
        Progress::Built(built) => bar.set_message(built.name.clone()),
    });
    bar.finish_and_clear();
    match built {
        Ok(built) => {
            for built in built {
                let (kib, seconds) = (built.bytes.div_ceil(1024), built.elapsed.as_secs_f32());
                println!("{:<14} {:>6} KiB  {seconds:>5.1} s  {}", built.name, kib, built.path.display());
            }
            Ok(())
        }
        Err(error) => {
            for line in lines {
                eprintln!("{line}");
            }
            Err(error)
        }
    }
}
