//! How a command ends: the exit codes that scripts may rely on, and the error that carries one.
//!
//! One closed set, the same for all commands; `--help` and the README say what stands here.

use std::fmt;

use super::document::Document;

/// How a command ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Exit {
    /// It did what was asked.
    Done,
    /// The answer is no: not found, not stored, held by somebody else, would not serve.
    No,
    /// The command line makes no sense.
    Usage,
    /// The host or a policy refuses what was asked; the same again will not help.
    Refused,
    /// The host does not know who asks, or does not let them.
    Denied,
    /// No host answers, or what it needs is away; the same again may help.
    Unavailable,
    /// It failed here: a file, a build, a setting, an answer that makes no sense.
    Failed,
}

impl Exit {
    /// All of them, in the order of their codes.
    pub(crate) const ALL: [Self; 7] =
        [Self::Done, Self::No, Self::Usage, Self::Refused, Self::Denied, Self::Unavailable, Self::Failed];

    /// The exit code.
    #[must_use]
    pub(crate) const fn code(self) -> u8 {
        self as u8
    }

    /// What it means, in a few words.
    #[must_use]
    pub(crate) const fn meaning(self) -> &'static str {
        match self {
            Self::Done => "done",
            Self::No => "no: not found, not stored, held by somebody else, would not serve",
            Self::Usage => "the command line makes no sense",
            Self::Refused => "the host or a policy refuses it; the same again will not help",
            Self::Denied => "the host does not know who asks, or does not let them",
            Self::Unavailable => "no host answers, or what it needs is away; the same again may help",
            Self::Failed => "failed here: a file, a build, a setting",
        }
    }

    /// All codes with their meanings, a line each: for `--help`.
    #[must_use]
    pub(crate) fn table() -> String {
        Self::ALL.iter().map(|exit| format!("  {}  {}\n", exit.code(), exit.meaning())).collect()
    }
}

/// Why a command did not do what was asked.
#[derive(Debug)]
pub(crate) struct Failure {
    /// How it ends.
    pub(crate) exit: Exit,
    /// What went wrong in the host's word for it; empty if it was not the host.
    pub(crate) kind: String,
    /// For people; for the standard error output.
    pub(crate) message: String,
    /// For scripts that asked for JSON; for the standard output.
    pub(crate) document: Option<Document>,
}

impl Failure {
    /// One with these words.
    pub(crate) fn new(exit: Exit, message: impl Into<String>) -> Self {
        Self { exit, kind: String::new(), message: message.into(), document: None }
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)
    }
}

impl std::error::Error for Failure {}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn codes_are_those_that_the_readme_says() {
        let readme = include_str!("../../README.md");
        for (n, exit) in Exit::ALL.into_iter().enumerate() {
            assert_eq!(usize::from(exit.code()), n);
            let row = format!("| {n} | {} |", exit.meaning());
            assert!(readme.contains(&row), "the README has no {row}");
        }
    }
}
