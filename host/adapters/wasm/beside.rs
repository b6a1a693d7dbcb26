//! Compiling in a process of its own, beside the host: the only way to end a compiler that does not end by itself.
//!
//! The compiler works through what it is given in one call that cannot be interrupted, in time and memory that can be far out of
//! proportion to the component. In a process it is killed after its time, its memory has a bound, and a crash of it costs one
//! component. The process is this host's own program, so that both agree about what comes out. Its start costs milliseconds.

use std::io::{Read as _, Write as _};
use std::os::unix::process::ExitStatusExt as _;
use std::path::PathBuf;
use std::process::{Command, ExitStatus, Stdio};
use std::sync::mpsc::{self, RecvTimeoutError};
use std::thread;
use std::time::Duration;

use super::imports::one_line;
use super::refused::{Reason, Refused};
use crate::limits;

/// The words that make this program a compiler: a component comes in on the standard input, its code goes out on the standard
/// output, why there is none on the standard error.
const WORDS: [&str; 2] = ["policy", "compile"];
/// What a refusal quotes of a compiler that broke, in bytes; the log has all of it.
const LAST_WORDS_BYTES_MAX: usize = 300;
/// What the compiler may say, in bytes.
const MESSAGE_BYTES_MAX: u64 = 64 * 1024;

/// A program that compiles.
#[derive(Clone, Debug)]
pub(super) struct Beside {
    program: PathBuf,
    ms_max: u64,
}

impl Beside {
    /// By this program.
    pub(super) const fn new(program: PathBuf) -> Self {
        Self { program, ms_max: limits::COMPILE_MS_MAX }
    }

    /// The machine code of a component. Blocks until it is there or its time is over.
    ///
    /// # Errors
    /// The component is not valid, or asks too much; the program does not run.
    pub(super) fn compile(&self, wasm: &[u8]) -> Result<Vec<u8>, Refused> {
        let host = |what: &str| Refused::new(Reason::Host, format!("the compiler does not run: {what}"));
        let mut child = Command::new(&self.program)
            .args(WORDS)
            .env_clear()
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .map_err(|error| host(&format!("{}: {error}", self.program.display())))?;
        let pipes = (child.stdin.take(), child.stdout.take(), child.stderr.take());
        let (Some(mut stdin), Some(mut stdout), Some(stderr)) = pipes else { return Err(host("it has no pipes")) };
        let (send_code, code) = mpsc::channel();
        let (send_message, message) = mpsc::channel();
        thread::scope(|scope| {
            // A compiler that ends early is judged by how it ended, not by what it did not read.
            scope.spawn(move || stdin.write_all(wasm));
            scope.spawn(move || {
                let mut bytes = Vec::new();
                let read = stdout.read_to_end(&mut bytes).map(|_| bytes);
                send_code.send(read)
            });
            scope.spawn(move || {
                let mut text = Vec::new();
                let _ = stderr.take(MESSAGE_BYTES_MAX).read_to_end(&mut text);
                send_message.send(String::from_utf8_lossy(&text).trim().to_owned())
            });
            let code = code.recv_timeout(Duration::from_millis(self.ms_max));
            if code.is_err() {
                let _ = child.kill();
            }
            let status = child.wait().map_err(|error| host(&error.to_string()))?;
            match code {
                Ok(Ok(code)) if status.success() => Ok(code),
                Ok(Err(error)) => Err(host(&error.to_string())),
                Ok(Ok(_)) => Err(ended(status, &message.recv().unwrap_or_default())),
                Err(RecvTimeoutError::Timeout | RecvTimeoutError::Disconnected) => Err(Refused::new(
                    Reason::Compile,
                    format!("takes longer than {} ms to compile, the most that is allowed", self.ms_max),
                )),
            }
        })
    }
}

/// Why there is no code.
fn ended(status: ExitStatus, message: &str) -> Refused {
    if status.code() == Some(1) {
        // As every command of this program says what it says no to.
        return Refused::new(Reason::Invalid, message.strip_prefix("error: ").unwrap_or(message));
    }
    if status.signal() == Some(libc::SIGXCPU) {
        let seconds = limits::COMPILE_CPU_S_MAX;
        let words = format!("takes longer than {seconds} s on the processor to compile, the most that is allowed");
        return Refused::new(Reason::Compile, words);
    }
    tracing::warn!(target: "larder::policy", "the compiler ended with {status}: {message}");
    let last_words = one_line(message.to_owned(), LAST_WORDS_BYTES_MAX);
    let memory_mib = limits::COMPILE_MEMORY_BYTES_MAX >> 20;
    Refused::new(
        Reason::Compile,
        format!("cannot be compiled: the compiler, which may use {memory_mib} MiB, ended with {status}: {last_words}"),
    )
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::os::unix::fs::PermissionsExt as _;

    use super::*;

    /// What comes of a compiler that is this script and has so much time.
    fn run(script: &str, ms_max: u64) -> Result<Vec<u8>, Refused> {
        let folder = tempfile::tempdir().expect("a folder");
        let program = folder.path().join("compiler");
        fs::write(&program, format!("#!/bin/sh\n{script}\n")).expect("written");
        fs::set_permissions(&program, fs::Permissions::from_mode(0o755)).expect("allowed");
        Beside { program, ms_max }.compile(b"component")
    }

    #[track_caller]
    fn refuses(script: &str, ms_max: u64, reason: Reason, words: &str) {
        let refused = run(script, ms_max).expect_err("it makes no code");
        assert_eq!(refused.reason, reason, "{refused}");
        assert!(refused.message.contains(words), "{refused}");
    }

    #[test]
    fn what_the_compiler_says_is_taken() {
        assert_eq!(run("/bin/cat; echo ' code'", 10_000), Ok(b"component code\n".to_vec()));
        refuses("/bin/cat; echo 'is not valid' >&2; exit 1", 10_000, Reason::Invalid, "is not valid");
    }

    #[test]
    fn a_compiler_that_does_not_end_is_ended() {
        refuses("exec /bin/sleep 1000", 100, Reason::Compile, "takes longer than 100 ms");
    }

    #[test]
    fn a_compiler_that_breaks_costs_one_component() {
        refuses("kill -9 $$", 10_000, Reason::Compile, "signal: 9");
        refuses("echo a defect >&2; exit 101", 10_000, Reason::Compile, "exit status: 101: a defect");
        refuses("kill -XCPU $$", 10_000, Reason::Compile, "longer than 120 s on the processor");
        let none = Beside::new("/nowhere/compiler".into()).compile(b"");
        assert_eq!(none.expect_err("there is none").reason, Reason::Host);
    }
}
