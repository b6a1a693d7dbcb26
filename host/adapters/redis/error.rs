//! What went wrong with Redis, as the port has it. The only file that reads the client library's errors.
//!
//! The line between the kinds: *unavailable* is a Redis that cannot serve anybody now and has done nothing; *broken* and *timeout*
//! leave open whether the work was done; everything else that the server says is a *reply*, for whoever asked.

use std::fmt::Display;

use redis::{ErrorKind, RedisError, ServerError};

use crate::ports::store::StoreError;

/// Codes with which a server says that it serves nobody now, or not this host. It has done nothing.
const UNAVAILABLE: [&str; 8] =
    ["BUSY", "CLUSTERDOWN", "LOADING", "MASTERDOWN", "NOAUTH", "TRYAGAIN", "UNKILLABLE", "WRONGPASS"];

/// A server's error in its own words, code and text.
pub(super) fn line(error: &ServerError) -> String {
    error.details().map_or_else(|| error.code().to_owned(), |text| format!("{} {text}", error.code()))
}

/// Whether a server says that it serves nobody.
pub(super) fn is_unavailable(error: &ServerError) -> bool {
    UNAVAILABLE.contains(&error.code())
}

/// Whether a server says that it is a replica, and changes nothing.
pub(super) fn is_replica(error: &ServerError) -> bool {
    error.code() == "READONLY"
}

/// Whether a server does not know a script by its digest.
pub(super) fn is_unknown_script(error: &ServerError) -> bool {
    error.code() == "NOSCRIPT"
}

/// A server's error in answer to a command.
pub(super) fn refused(address: &impl Display, error: &ServerError) -> StoreError {
    let line = line(error);
    if is_unavailable(error) { unavailable(address, &line) } else { StoreError::Reply(line) }
}

/// It cannot be reached for this reason.
pub(super) fn unavailable(address: &impl Display, cause: &str) -> StoreError {
    StoreError::Unavailable(format!("{address}: {cause}"))
}

/// A command that was sent got no answer for this reason.
pub(super) fn in_flight(address: &impl Display, error: &RedisError) -> StoreError {
    match error.kind() {
        // The connection ended within an answer.
        ErrorKind::Parse if error.detail().is_some_and(|text| text.contains("Unexpected end of input")) => {
            StoreError::Broken(format!("{address}: the answer is cut off"))
        }
        ErrorKind::Parse => StoreError::Protocol(format!("{address}: {}", detail(error))),
        _ => StoreError::Broken(format!("{address}: {error}")),
    }
}

/// Why a greeting failed, in words.
pub(super) fn greeting(error: &RedisError) -> String {
    match error.kind() {
        ErrorKind::Parse => format!("what answers there is no Redis: {}", detail(error)),
        ErrorKind::RESP3NotSupported => "it does not speak RESP3: Redis 6 or later is needed".to_owned(),
        ErrorKind::Server(_) | ErrorKind::Extension => {
            let code = error.code().unwrap_or("ERR");
            format!("it refused the greeting: {code} {}", error.detail().unwrap_or_default())
        }
        // It says why before it ends the connection, which is lost where the end overtakes it.
        _ if error.is_connection_dropped() => format!(
            "the greeting failed: {error}; so does a Redis that is in protected mode (it wants a password, or `protected-mode no`), or that \
             has as many clients as its `maxclients`"
        ),
        _ => format!("the greeting failed: {error}"),
    }
}

fn detail(error: &RedisError) -> String {
    error.detail().unwrap_or("no detail").replace(['\r', '\n'], " ")
}
