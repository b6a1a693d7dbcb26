//! `cargo xtask bench`: everything built for speed, then measured.

use anyhow::Result;

use crate::policies::{self, Profile};
use crate::process::{cargo, run};

/// Builds the host and the policies and runs the benchmark.
///
/// # Errors
/// Something does not build, or the benchmark fails.
pub(crate) fn bench(args: &[String]) -> Result<()> {
    policies::all(Profile::Release)?;
    run(cargo().args(["run", "--quiet", "--release", "--example", "bench", "--"]).args(args))
}
