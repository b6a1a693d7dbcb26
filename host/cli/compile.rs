//! `larder policy compile`: the compiler that a host runs beside itself. A component comes in, its machine code goes out.
//!
//! Hidden: what comes out is only good for this very program. It names the adapter whose compiler it is, and no other.

use std::io::{Read as _, Write as _};

use anyhow::Result;
use larder::adapters::wasm::{bound_compiler, compile};
use larder::limits::COMPONENT_BYTES_MAX;

use super::exit::{Exit, Failure};

/// Reads the standard input to its end, compiles, and writes the standard output.
///
/// # Errors
/// The component is not valid; in words for its author, and with the exit code that the host knows this by.
pub(crate) fn run() -> Result<()> {
    bound_compiler()?;
    let mut wasm = Vec::new();
    std::io::stdin().lock().take(COMPONENT_BYTES_MAX).read_to_end(&mut wasm)?;
    let code = compile(&wasm).map_err(|message| Failure::new(Exit::No, message))?;
    let mut stdout = std::io::stdout().lock();
    stdout.write_all(&code)?;
    Ok(stdout.flush()?)
}
