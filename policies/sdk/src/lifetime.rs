//! Words to build the answers of a policy with: a plan, a lifetime, a description.
//!
//! The records are the contract's own, every field is public; these functions only make the common ones read
//! like a sentence. Times are [`Duration`]s here and milliseconds in the records, rounded down.

use std::time::Duration;

use crate::units::in_ms;
use crate::{
    Absence, Admission, Candidate, Compression, Description, Encoding, KeyScope, Lifetime, Miss, Plan, Shapes, Wants,
};

/// As [`in_ms`]; ends at `u32::MAX`, 49 days.
fn short_ms(time: Duration) -> u32 {
    u32::try_from(in_ms(time)).unwrap_or(u32::MAX)
}

impl Plan {
    /// Kept under the key itself; a miss answers "absent" at once.
    pub fn verbatim() -> Self {
        Self { suffix: None, miss: Miss::Answer, collapse_wait_ms: 0 }
    }

    /// Kept under another name than the key; a miss answers "absent" at once.
    pub fn at(suffix: impl Into<String>) -> Self {
        Self { suffix: Some(suffix.into()), ..Self::verbatim() }
    }

    /// On a miss one caller gets the lease to fill the key; others wait for it, so long at most.
    pub fn lease(self, wait: Duration) -> Self {
        Self { miss: Miss::Lease, collapse_wait_ms: short_ms(wait), ..self }
    }

    /// On a miss the host loads the value from the origin, once for all who wait, so long at most. Without an
    /// origin in `NAME.toml` this is [`lease`](Self::lease).
    pub fn load(self, wait: Duration) -> Self {
        Self { miss: Miss::Load, collapse_wait_ms: short_ms(wait), ..self }
    }
}

impl Lifetime {
    /// Served for this long, then gone.
    pub fn fresh(time: Duration) -> Self {
        Self { fresh_ms: Some(in_ms(time)), ..Self::forever() }
    }

    /// Never expires.
    pub fn forever() -> Self {
        Self {
            fresh_ms: None,
            stale_while_revalidate_ms: 0,
            stale_if_error_ms: 0,
            keep_ms: 0,
            max_stale_ms: None,
            early_refresh_beta: 0.0,
            jitter_percent: 0,
            l1_ms: None,
            sliding: false,
            list_max: None,
            compression: Compression::Automatic,
            weight_percent: 100,
            tags: Vec::new(),
        }
    }

    /// Shortens the fresh time to `cap`, if there is one: what the application asked for, usually.
    pub fn at_most(mut self, cap: Option<Duration>) -> Self {
        if let Some(cap) = cap.map(in_ms) {
            self.fresh_ms = Some(self.fresh_ms.map_or(cap, |fresh| fresh.min(cap)));
        }
        self
    }

    /// Then served for this long while one caller refreshes it.
    pub fn stale_while_revalidate(self, time: Duration) -> Self {
        Self { stale_while_revalidate_ms: in_ms(time), ..self }
    }

    /// Served for this long after the fresh time if a load fails.
    pub fn stale_if_error(self, time: Duration) -> Self {
        Self { stale_if_error_ms: in_ms(time), ..self }
    }

    /// Kept for this long after all that, for a conditional load; never served.
    pub fn keep(self, time: Duration) -> Self {
        Self { keep_ms: in_ms(time), ..self }
    }

    /// Never served stale, not even in an outage.
    pub fn never_stale(self) -> Self {
        Self { max_stale_ms: Some(0), ..self }
    }

    /// Refreshed before it is stale, the more probably the nearer that is (XFetch). 1 is the optimum, 0 is off.
    pub fn early_refresh(self, beta: f32) -> Self {
        Self { early_refresh_beta: beta, ..self }
    }

    /// Shortens the fresh time by a random part of up to this many percent.
    pub fn jitter(self, percent: u8) -> Self {
        Self { jitter_percent: percent, ..self }
    }

    /// Held in a node's own memory for this long at most; zero: not at all.
    pub fn in_memory(self, time: Duration) -> Self {
        Self { l1_ms: Some(in_ms(time)), ..self }
    }

    /// Each read begins the fresh time anew.
    pub fn sliding(self) -> Self {
        Self { sliding: true, ..self }
    }

    /// A list is cut to this many newest elements on each push.
    pub fn newest(self, elements: u32) -> Self {
        Self { list_max: Some(elements), ..self }
    }

    /// A name under which it can be invalidated; of many, one call each. Not with the raw encoding.
    pub fn tag(mut self, name: impl Into<String>) -> Self {
        self.tags.push(name.into());
        self
    }
}

impl From<Lifetime> for Admission {
    fn from(lifetime: Lifetime) -> Self {
        Self::Store(lifetime)
    }
}

impl Absence {
    /// "There is no such value", remembered for this long.
    pub fn remembered(time: Duration) -> Self {
        Self { fresh_ms: in_ms(time), tags: Vec::new() }
    }
}

impl From<Absence> for Admission {
    fn from(absence: Absence) -> Self {
        Self::Absent(absence)
    }
}

impl Candidate {
    /// The lifetime that the application asked for.
    pub fn asked_ttl(&self) -> Option<Duration> {
        self.asked_ttl_ms.map(Duration::from_millis)
    }

    /// Whether the value is a number that the store can count on from: decimal, without spaces, plus or leading zeros. Needs
    /// [`Wants::CANDIDATE_BYTES`].
    pub fn is_whole_number(&self) -> bool {
        let Some(text) = self.bytes.as_deref().and_then(|bytes| std::str::from_utf8(bytes).ok()) else { return false };
        let digits = text.strip_prefix('-').unwrap_or(text);
        let plain = !digits.starts_with(['+', '0']) || text == "0";
        plain && text.parse::<i64>().is_ok()
    }
}

impl Description {
    /// A policy of this version, for people: `env!("CARGO_PKG_VERSION")`. It serves plain values under its domain's
    /// keys, version `v1`, in the raw encoding, and has no tick.
    pub fn new(version: impl Into<String>) -> Self {
        Self {
            version: version.into(),
            key_version: "v1".into(),
            key_scope: KeyScope::Domain,
            encoding: Encoding::Raw,
            shapes: Shapes::VALUE,
            wants: Wants::empty(),
            tick_ms: None,
        }
    }

    /// Another version in the storage keys.
    pub fn key_version(self, version: impl Into<String>) -> Self {
        Self { key_version: version.into(), ..self }
    }

    /// Where its keys lie.
    pub fn key_scope(self, key_scope: KeyScope) -> Self {
        Self { key_scope, ..self }
    }

    /// Values are kept with their stamps: stale answers, tags, compression and fenced fills need it.
    pub fn enveloped(self) -> Self {
        Self { encoding: Encoding::Enveloped, ..self }
    }

    /// What its keys may hold.
    pub fn shapes(self, shapes: Shapes) -> Self {
        Self { shapes, ..self }
    }

    /// What it wants to see in a candidate.
    pub fn wants(self, wants: Wants) -> Self {
        Self { wants, ..self }
    }

    /// Calls `Workflow::on_tick` this often.
    pub fn tick(self, every: Duration) -> Self {
        Self { tick_ms: Some(short_ms(every)), ..self }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Cause;

    #[test]
    fn a_whole_number_is_one_that_redis_counts_on_from() {
        let is_number = |bytes: Option<&[u8]>| {
            let candidate = Candidate {
                cause: Cause::Write,
                size_bytes: 1,
                asked_ttl_ms: None,
                origin_status: None,
                origin_headers: vec![],
                load_ms: 0,
                bytes: bytes.map(Into::into),
            };
            candidate.is_whole_number()
        };
        for number in ["0", "7", "-7", "10", "9223372036854775807", "-9223372036854775808"] {
            assert!(is_number(Some(number.as_bytes())), "{number}");
        }
        for other in ["", "-", "+7", "-0", "007", "-+7", " 7", "7.0", "9223372036854775808", "seven"] {
            assert!(!is_number(Some(other.as_bytes())), "{other}");
        }
        assert!(!is_number(Some(b"\xff")));
        assert!(!is_number(None));
    }
}
