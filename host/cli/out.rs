//! What commands write: answers on the standard output, remarks on the standard error output.
//!
//! Invariant: a reader that has gone (`| head`) ends the writing, quietly, and nothing else; so nothing here may panic, as `println!`
//! would. Deliberately absent: dying of SIGPIPE as programs in C do: the connection to a host would raise it, too.

use std::fmt;
use std::io::{self, ErrorKind, Write as _};

use anyhow::Result;

use super::exit::{Exit, Failure};

/// Writes to the standard output.
///
/// # Errors
/// As [`write_out`].
pub(crate) fn say(text: &str) -> Result<Exit> {
    write_out(text.as_bytes())?;
    Ok(Exit::Done)
}

/// Writes bytes to the standard output.
///
/// # Errors
/// It cannot be written, but for a reader that has gone.
pub(crate) fn write_out(bytes: &[u8]) -> Result<()> {
    let mut out = io::stdout().lock();
    match out.write_all(bytes).and_then(|()| out.flush()) {
        Err(error) if error.kind() != ErrorKind::BrokenPipe => {
            Err(Failure::new(Exit::Failed, format!("the output cannot be written: {error}")).into())
        }
        _ => Ok(()),
    }
}

/// Writes a line to the standard error output. Where that cannot be written there is nobody left to tell.
pub(crate) fn remark(line: impl fmt::Display) {
    let _ = writeln!(io::stderr(), "{line}");
}
