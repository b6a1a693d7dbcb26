//! `larder completions` and `larder man`: what shells and `man` want to know, from the same definition as `--help`.

use std::path::Path;

use anyhow::{Context as _, Result};
use clap::CommandFactory as _;
use clap_complete::Shell;

use super::Cli;
use super::out::write_out;

/// Prints a shell's completions.
///
/// # Errors
/// The output cannot be written.
pub(crate) fn completions(shell: Shell) -> Result<()> {
    let mut script = Vec::new();
    clap_complete::generate(shell, &mut Cli::command(), "larder", &mut script);
    write_out(&script)
}

/// Prints the manual's first page, or writes a page for each command into a folder.
///
/// # Errors
/// The output cannot be written.
pub(crate) fn man(folder: Option<&Path>) -> Result<()> {
    let command = Cli::command();
    match folder {
        Some(folder) => {
            std::fs::create_dir_all(folder).with_context(|| format!("making {}", folder.display()))?;
            clap_mangen::generate_to(command, folder).with_context(|| format!("writing into {}", folder.display()))
        }
        None => {
            let mut page = Vec::new();
            clap_mangen::Man::new(command).render(&mut page).context("the page cannot be made")?;
            write_out(&page)
        }
    }
}
