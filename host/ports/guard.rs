//! What is counted of who is let in and who is turned away.

use super::metrics::{Counter, Gauge};

/// Counters of the front ends' guards.
#[derive(Debug, Default)]
pub struct GuardMetrics {
    /// Passwords and tokens that were right.
    pub logins: Counter,
    /// Passwords and tokens that were wrong.
    pub logins_wrong: Counter,
    /// Passwords and tokens that were not looked at, since too many of the address were wrong.
    pub logins_paused: Counter,
    /// Requests of callers who are not allowed what they asked for.
    pub denials: Counter,
    /// Requests beyond a rate.
    pub rate_limited: Counter,
    /// Connections that came to no agreement on TLS.
    pub tls_failures: Counter,
    /// RESP connections that were ended because they said nothing.
    pub idle_ended: Counter,
    /// Times that the settings were read again.
    pub reloads: Counter,
    /// Times that they could not be.
    pub reloads_failed: Counter,
    /// Settings that were changed and wait for the next start.
    pub settings_waiting: Gauge,
}
