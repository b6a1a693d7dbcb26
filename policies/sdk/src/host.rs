//! The host functions, by interface. [`clock`], [`metrics`] and the functions here need no grant; [`redis`], [`lock`]
//! and [`breaker`] need one each and answer only within `Workflow`.

pub use crate::bindings::policy::larder::policy::{
    breaker, clock, host_errors::HostError, lock, log::Level, metrics, redis,
};

/// Writes a line to the host's log, under the policy's domain. Bounded in length and rate.
pub fn log(level: Level, message: &str) {
    #[cfg(target_arch = "wasm32")]
    crate::bindings::policy::larder::policy::log::log(level, message);
    // The tests of a policy run without a host; their output is captured.
    #[cfg(not(target_arch = "wasm32"))]
    println!("{level:?}: {message}");
}

/// [`log`] at the level `debug`.
pub fn debug(message: &str) {
    log(Level::Debug, message);
}

/// [`log`] at the level `info`.
pub fn info(message: &str) {
    log(Level::Info, message);
}

/// [`log`] at the level `warn`.
pub fn warn(message: &str) {
    log(Level::Warn, message);
}

/// [`log`] at the level `error`.
pub fn error(message: &str) {
    log(Level::Error, message);
}

/// Why the host did not do something, for people. Lighter than the debugger's words, which `to_string` gives.
pub fn words(error: HostError) -> String {
    match error {
        HostError::CircuitOpen => "the circuit breaker is open".into(),
        HostError::TimedOut => "the store did not answer in time; the work may or may not have been done".into(),
        HostError::WrongType => "the key holds another type of value".into(),
        HostError::Invalid(text)
        | HostError::Unavailable(text)
        | HostError::NotAllowed(text)
        | HostError::Other(text) => text,
    }
}

/// Sends the text of a panic to the log before the instance traps; without it the host sees `unreachable` and
/// no reason.
pub(crate) fn log_panics() {
    #[cfg(target_arch = "wasm32")]
    std::panic::set_hook(Box::new(|panic| error(&panic.to_string())));
}
