//! What a read from a client holds: a whole frame, or why it can never be one.

use std::fmt;

use crate::limits::{RESP_ARGS_MAX, RESP_COMMAND_BYTES_MAX};

/// A whole command at the front of the buffer. One without words (an empty line, `*0`) is to be skipped.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Frame {
    /// Bytes of the buffer that it takes.
    pub len: usize,
    /// Whether it was a plain line; its words lie in the parser, not in the buffer.
    pub inline: bool,
}

/// Why bytes are no frame. The connection cannot go on: where the next one begins is unknown.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ProtocolError {
    /// No end to the line with the number of words.
    EndlessCount,
    /// The number of words is no number, or more than [`RESP_ARGS_MAX`].
    InvalidCount,
    /// No end to the line with the length of a word.
    EndlessLength,
    /// A word that does not begin with `$`.
    NoDollar(u8),
    /// The length of a word is no number, negative or more than a value may have.
    InvalidLength,
    /// More than [`RESP_COMMAND_BYTES_MAX`] in all.
    TooLarge,
    /// No end to an inline command.
    EndlessInline,
    /// An inline command with a quote that is not closed, or has something right after it.
    UnbalancedQuotes,
    /// More words than somebody needs who has yet to say the password.
    UnauthenticatedCount,
    /// A longer word than somebody needs who has yet to say the password.
    UnauthenticatedLength,
}

impl fmt::Display for ProtocolError {
    /// The words of Redis, as far as it has any.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::EndlessCount => f.write_str("too big mbulk count string"),
            Self::InvalidCount => f.write_str("invalid multibulk length"),
            Self::EndlessLength => f.write_str("too big bulk count string"),
            Self::NoDollar(found) => write!(f, "expected '$', got '{}'", char::from(*found)),
            Self::InvalidLength => f.write_str("invalid bulk length"),
            Self::TooLarge => write!(f, "command of more than {RESP_COMMAND_BYTES_MAX} bytes"),
            Self::EndlessInline => f.write_str("too big inline request"),
            Self::UnbalancedQuotes => f.write_str("unbalanced quotes in request"),
            Self::UnauthenticatedCount => f.write_str("unauthenticated multibulk length"),
            Self::UnauthenticatedLength => f.write_str("unauthenticated bulk length"),
        }
    }
}

impl std::error::Error for ProtocolError {}

// A span is two `u32`, and the buffer of one command has to fit.
const _: () = assert!(RESP_COMMAND_BYTES_MAX < u32::MAX as usize);
const _: () = assert!(RESP_ARGS_MAX <= i32::MAX as usize);
