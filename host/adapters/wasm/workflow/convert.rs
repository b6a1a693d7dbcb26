//! The workflow's types as generated, to and from those of the port. Nothing is judged here but sizes.

use bytes::Bytes;

use super::bindings::guest;
use super::bindings::host::host_errors::HostError as WitError;
use crate::adapters::wasm::imports::one_line;
use crate::limits;
use crate::ports::workflow::{CommandError, CommandReply, HostError};

impl From<HostError> for WitError {
    fn from(error: HostError) -> Self {
        match error {
            HostError::NotAllowed(text) => Self::NotAllowed(text),
            HostError::Invalid(text) => Self::Invalid(text),
            HostError::WrongType => Self::WrongType,
            HostError::TimedOut => Self::TimedOut,
            HostError::CircuitOpen => Self::CircuitOpen,
            HostError::Unavailable(text) => Self::Unavailable(text),
            HostError::Other(text) => Self::Other(text),
        }
    }
}

impl From<guest::Reply> for CommandReply {
    fn from(reply: guest::Reply) -> Self {
        match reply {
            guest::Reply::Nothing => Self::Nothing,
            guest::Reply::Integer(n) => Self::Integer(n),
            guest::Reply::Text(text) => Self::Text(text),
            guest::Reply::Bytes(bytes) => Self::Bytes(bytes.into()),
            guest::Reply::Items(items) => Self::Items(items.into_iter().map(Bytes::from).collect()),
            guest::Reply::Fields(fields) => Self::Fields(fields),
        }
    }
}

impl From<guest::CommandError> for CommandError {
    fn from(error: guest::CommandError) -> Self {
        let line = |text| one_line(text, limits::REFUSAL_BYTES_MAX);
        match error {
            guest::CommandError::Unknown => Self::Unknown,
            guest::CommandError::InvalidArguments(text) => Self::InvalidArguments(line(text)),
            guest::CommandError::Unavailable(text) => Self::Unavailable(line(text)),
            guest::CommandError::Other(text) => Self::Other(line(text)),
        }
    }
}
