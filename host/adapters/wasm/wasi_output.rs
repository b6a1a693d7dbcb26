//! Standard output and error of a policy: lines in its log, with the bounds that `log` has.
//!
//! Output is logged as `info`, errors as `error`; so the last line of an exception's or a panic's text is what the message of
//! the fault quotes. A line that was begun is logged when the call ends.

use super::bindings::host::log::{Host as _, Level};
use super::state::HostState;
use crate::limits;

/// The number of standard output.
pub(super) const STDOUT: u32 = 1;
/// The number of standard error.
pub(super) const STDERR: u32 = 2;

/// What an instance has of WASI.
#[derive(Debug, Default)]
pub(super) struct Wasi {
    /// Handles that it holds.
    pub(super) handles: u32,
    /// The lines that were begun on standard output and on standard error.
    begun: [Vec<u8>; 2],
}

impl HostState {
    /// Takes what was written to a stream. Streams that are neither output nor error swallow it.
    pub(super) fn write(&mut self, stream: u32, bytes: &[u8]) {
        let mut parts = bytes.split(|&byte| byte == b'\n');
        let last = parts.next_back().unwrap_or_default();
        for part in parts {
            self.begin_line(stream, part);
            self.end_line(stream);
        }
        self.begin_line(stream, last);
    }

    /// Logs the lines that were begun; after each call.
    pub(super) fn end_lines(&mut self) {
        for stream in [STDOUT, STDERR] {
            if self.wasi.begun(stream).is_some_and(|line| !line.is_empty()) {
                self.end_line(stream);
            }
        }
    }

    fn begin_line(&mut self, stream: u32, part: &[u8]) {
        let Some(line) = self.wasi.begun(stream) else { return };
        // One byte more than a line may have, so that it is seen to be cut.
        let room = (limits::LOG_LINE_BYTES_MAX + 1).saturating_sub(line.len());
        line.extend_from_slice(part.get(..room).unwrap_or(part));
    }

    fn end_line(&mut self, stream: u32) {
        let Some(line) = self.wasi.begun(stream) else { return };
        let text = String::from_utf8_lossy(line).into_owned();
        line.clear();
        let level = if stream == STDERR { Level::Error } else { Level::Info };
        if !text.trim().is_empty() {
            self.log(level, text);
        }
    }
}

impl Wasi {
    fn begun(&mut self, stream: u32) -> Option<&mut Vec<u8>> {
        let [output, errors] = &mut self.begun;
        match stream {
            STDOUT => Some(output),
            STDERR => Some(errors),
            _ => None,
        }
    }
}
