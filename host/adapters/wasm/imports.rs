//! The host functions of the pure hooks: log, settings, clock, metrics. They are synchronous and cheap, and every one has a
//! bound. `redis`, `lock` and `breaker` are linked too and answer `not-allowed` (see [`super::stubs`]).

use wasmtime::Engine;
use wasmtime::component::{HasSelf, Linker};

use super::bindings::host::{breaker, clock, host_errors, lock, log, metrics, redis, settings, types};
use super::state::HostState;
use crate::limits;

/// A linker with everything that a pure hook may import.
///
/// # Errors
/// A name is defined twice: a defect of the host.
pub(super) fn linker(engine: &Engine) -> wasmtime::Result<Linker<HostState>> {
    type State = HasSelf<HostState>;
    let mut linker = Linker::new(engine);
    types::add_to_linker::<_, State>(&mut linker, |state| state)?;
    host_errors::add_to_linker::<_, State>(&mut linker, |state| state)?;
    log::add_to_linker::<_, State>(&mut linker, |state| state)?;
    settings::add_to_linker::<_, State>(&mut linker, |state| state)?;
    clock::add_to_linker::<_, State>(&mut linker, |state| state)?;
    metrics::add_to_linker::<_, State>(&mut linker, |state| state)?;
    redis::add_to_linker::<_, State>(&mut linker, |state| state)?;
    lock::add_to_linker::<_, State>(&mut linker, |state| state)?;
    breaker::add_to_linker::<_, State>(&mut linker, |state| state)?;
    Ok(linker)
}

impl types::Host for HostState {}

impl host_errors::Host for HostState {}

impl log::Host for HostState {
    fn log(&mut self, level: log::Level, message: String) {
        let may_log = self.may_log();
        // What comes after the bounds is not even looked at, but for the last words before a trap.
        if !may_log && level != log::Level::Error {
            return;
        }
        let line = one_line(message, limits::LOG_LINE_BYTES_MAX);
        if level == log::Level::Error {
            self.keep_last_words(&line);
        }
        if !may_log {
            return;
        }
        let domain = &*self.context.domain;
        match level {
            log::Level::Debug => tracing::debug!(target: "larder::policy", domain, "{line}"),
            log::Level::Info => tracing::info!(target: "larder::policy", domain, "{line}"),
            log::Level::Warn => tracing::warn!(target: "larder::policy", domain, "{line}"),
            log::Level::Error => tracing::error!(target: "larder::policy", domain, "{line}"),
        }
    }
}

impl settings::Host for HostState {
    fn get(&mut self, name: String) -> Option<String> {
        self.context.setting(&name).map(str::to_owned)
    }
}

impl clock::Host for HostState {
    fn now_ms(&mut self) -> u64 {
        self.consult().clock.wall_ms()
    }

    fn random_u64(&mut self) -> u64 {
        self.draw().random()
    }
}

impl metrics::Host for HostState {
    fn count(&mut self, name: String, labels: Vec<(String, String)>, delta: u64) {
        self.consult().metrics.own.count(name, labels, delta);
    }

    fn gauge(&mut self, name: String, labels: Vec<(String, String)>, value: f64) {
        self.consult().metrics.own.gauge(name, labels, value);
    }

    fn observe(&mut self, name: String, labels: Vec<(String, String)>, value: f64) {
        self.consult().metrics.own.observe(name, labels, value);
    }
}

/// What a policy says, fit for a log and an answer: bounded, and on one line, so that it cannot forge others.
pub(super) fn one_line(mut text: String, bytes_max: usize) -> String {
    if text.len() > bytes_max {
        text.truncate(text.floor_char_boundary(bytes_max));
        text.push('…');
    }
    if text.contains(char::is_control) {
        text = text.replace(char::is_control, " ");
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_policy_says_is_one_bounded_line() {
        assert_eq!(one_line("plain".into(), 10), "plain");
        assert_eq!(one_line("a\r\nb\u{1b}[31m".into(), 20), "a  b [31m");
        assert_eq!(one_line("ééé".into(), 3), "é…");
    }
}
