//! Standard output and error of a policy: lines in its log, with the bounds that `log` has.
//!
//! Output is logged as `info`, errors as `error`. What is said on standard error before a trap becomes the last words, which the
//! message of the fault quotes: the last line of it, or a panic's text (see [`Report`]). A line that was begun is logged when
//! the call ends.

use super::bindings::host::log::{Host as _, Level};
use super::imports::one_line;
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
    /// What standard error says in the call that runs.
    report: Report,
}

/// How far standard error has got in saying why a trap comes.
///
/// The runtimes of other languages are written in Rust: they say what happened in their language, if they can, and then panic. So
/// the reason is the last line before the panic's report, or the text in that report.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum Report {
    /// Lines; the last one counts.
    #[default]
    Lines,
    /// The text of a panic, of several lines.
    Panic,
    /// What comes now says nothing more.
    Over,
}

impl Report {
    /// The last words after one more line.
    fn words(&mut self, before: Option<String>, line: &str) -> Option<String> {
        match *self {
            Self::Lines if line.starts_with("thread '") && line.contains(" panicked at ") => {
                *self = if before.is_some() { Self::Over } else { Self::Panic };
                before
            }
            Self::Lines => Some(line.to_owned()),
            Self::Panic if line.starts_with("note: ") => {
                *self = Self::Over;
                before
            }
            Self::Panic => Some(before.map_or_else(|| line.to_owned(), |before| format!("{before} {}", line.trim()))),
            Self::Over => before,
        }
    }
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
        self.wasi.report = Report::default();
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
        if text.trim().is_empty() {
            return;
        }
        if stream == STDOUT {
            return self.log(Level::Info, text);
        }
        let before = self.take_last_words();
        let words = self.wasi.report.words(before, &text);
        self.log(Level::Error, text);
        self.take_last_words();
        if let Some(words) = words {
            self.keep_last_words(&one_line(words, limits::LOG_LINE_BYTES_MAX));
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

#[cfg(test)]
mod tests {
    use super::*;

    fn state() -> HostState {
        HostState::of_test()
    }

    /// What is left as the last words when this was written to standard error, however it was cut into pieces.
    #[track_caller]
    fn check(written: &str, words: Option<&str>) {
        for size in [1, 7, 4096] {
            let mut state = state();
            for piece in written.as_bytes().chunks(size) {
                state.write(STDERR, piece);
            }
            state.end_lines();
            assert_eq!(state.take_last_words().as_deref(), words, "in pieces of {size}: {written}");
        }
    }

    #[test]
    fn the_last_words_say_why() {
        check("", None);
        check("\n \n", None);
        check("one\ntwo\n", Some("two"));
        check("a line without an end", Some("a line without an end"));
        let panic = "\nthread '<unnamed>' (1) panicked at src/lib.rs:1:2:\n";
        let note = "note: run with `RUST_BACKTRACE=1` environment variable to display a backtrace\n";
        check(&format!("{panic}an index is wrong\n{note}"), Some("an index is wrong"));
        check(&format!("{panic}failed: (\n  of this\n)\n{note}"), Some("failed: ( of this )"));
        check(
            &format!("Traceback:\n  line 1\nValueError: of this\n{panic}it threw\n{note}"),
            Some("ValueError: of this"),
        );
    }

    #[test]
    fn each_call_has_last_words_of_its_own() {
        let mut state = state();
        state.write(STDERR, b"thread 'a' panicked at b:\nfirst\nnote: that is all\n");
        state.end_lines();
        assert_eq!(state.take_last_words().as_deref(), Some("first"));
        state.write(STDERR, b"second\n");
        state.end_lines();
        assert_eq!(state.take_last_words().as_deref(), Some("second"));
    }

    #[test]
    fn a_line_is_bounded_and_output_is_no_last_word() {
        let mut state = state();
        state.write(STDOUT, b"said on output\n");
        state.write(3, b"said nowhere\n");
        assert_eq!(state.take_last_words(), None);
        for _ in 0..100 {
            state.write(STDERR, &[b'x'; 4096]);
        }
        assert!(state.wasi.begun.iter().all(|line| line.len() <= limits::LOG_LINE_BYTES_MAX + 1));
        state.end_lines();
        let words = state.take_last_words().expect("a long line is one");
        assert_eq!(words.len(), limits::LOG_LINE_BYTES_MAX + '…'.len_utf8());
    }
}
