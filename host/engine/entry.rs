//! An entry: a value with the stamps that say how long it lives and by whose rules.
//!
//! [`Terms`] is what a policy decided and what it was told (so that other rules can judge again); entries that were judged
//! alike share it. [`Stamps`] adds the times of one entry. An entry in L1, ready to be served, is [`super::l1::entry::Entry`].

use std::sync::Arc;

use serde::{Deserialize, Serialize};

use super::freshness::{Freshness, Windows};
use super::generation::Ids;
use crate::ports::policy::{Candidate, Cause, Compression};

/// What was decided about a value, and from what.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Terms {
    /// The rules that decided ([`crate::ports::table::Live::rules_id`]).
    pub rules_id: u64,
    /// Whether the entry says "there is no such value".
    pub absent: bool,
    /// Whether it says that the value is not to be stored, so that nobody waits for another one's load (hit-for-miss). Then it is
    /// absent, too: it has no value.
    pub uncacheable: bool,
    /// Served as it is for this long; `None`: for ever.
    pub fresh_ms: Option<u64>,
    /// See [`Windows`].
    pub stale_while_revalidate_ms: u64,
    /// See [`Windows`].
    pub stale_if_error_ms: u64,
    /// See [`Windows`].
    pub keep_ms: u64,
    /// See [`Windows`].
    pub max_stale_ms: Option<u64>,
    /// β of early refresh.
    pub early_refresh_beta: f32,
    /// Cap on the time in L1.
    pub l1_ms: Option<u64>,
    /// Each read begins the fresh time anew.
    pub sliding: bool,
    /// Cost in L1 relative to the bytes, in percent.
    pub weight_percent: u16,
    /// When the value is compressed.
    pub compression: Compression,
    /// Names under which the entry can be invalidated.
    pub tags: Vec<String>,
    /// Why the value was offered.
    pub cause: StoredCause,
    /// The lifetime that the application asked for.
    pub asked_ttl_ms: Option<u64>,
    /// The origin's status.
    pub origin_status: Option<u16>,
    /// The origin's headers that the policy saw.
    pub origin_headers: Vec<(String, String)>,
    /// How long the load took.
    pub load_ms: u32,
}

/// [`Cause`] as an envelope keeps it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum StoredCause {
    /// See [`Cause::Write`].
    Write,
    /// See [`Cause::Fill`].
    Fill,
    /// See [`Cause::Load`].
    Load,
    /// See [`Cause::Refresh`].
    Refresh,
}

impl From<Cause> for StoredCause {
    fn from(cause: Cause) -> Self {
        match cause {
            Cause::Write => Self::Write,
            Cause::Fill => Self::Fill,
            Cause::Load => Self::Load,
            Cause::Refresh => Self::Refresh,
        }
    }
}

impl From<StoredCause> for Cause {
    fn from(cause: StoredCause) -> Self {
        match cause {
            StoredCause::Write => Self::Write,
            StoredCause::Fill => Self::Fill,
            StoredCause::Load => Self::Load,
            StoredCause::Refresh => Self::Refresh,
        }
    }
}

impl Terms {
    /// The terms of a raw value that the store holds: it says nothing of them but its expiry.
    #[must_use]
    pub const fn raw(rules_id: u64, left_ms: Option<u64>) -> Self {
        Self {
            rules_id,
            absent: false,
            uncacheable: false,
            fresh_ms: left_ms,
            stale_while_revalidate_ms: 0,
            stale_if_error_ms: 0,
            keep_ms: 0,
            max_stale_ms: None,
            early_refresh_beta: 0.0,
            l1_ms: None,
            sliding: false,
            weight_percent: 100,
            compression: Compression::Automatic,
            tags: Vec::new(),
            cause: StoredCause::Write,
            asked_ttl_ms: None,
            origin_status: None,
            origin_headers: Vec::new(),
            load_ms: 0,
        }
    }

    /// The windows of the entry's life.
    #[must_use]
    pub const fn windows(&self) -> Windows {
        Windows {
            fresh_ms: self.fresh_ms,
            stale_while_revalidate_ms: self.stale_while_revalidate_ms,
            stale_if_error_ms: self.stale_if_error_ms,
            keep_ms: self.keep_ms,
            max_stale_ms: self.max_stale_ms,
        }
    }

    /// The candidate that was judged, for other rules to judge again.
    #[must_use]
    pub fn candidate<'a>(&'a self, value: &'a [u8]) -> Candidate<'a> {
        Candidate {
            cause: self.cause.into(),
            size_bytes: u32::try_from(value.len()).unwrap_or(u32::MAX),
            asked_ttl_ms: self.asked_ttl_ms,
            origin_status: self.origin_status,
            origin_headers: &self.origin_headers,
            load_ms: self.load_ms,
            bytes: value,
        }
    }
}

/// The times of one entry, with its terms.
#[derive(Clone, Debug, PartialEq)]
pub struct Stamps {
    /// Start of the load, or the time of the write; wall time in milliseconds.
    pub born_ms: u64,
    /// When its fresh time last began: `born_ms`, or the last renewal.
    pub since_ms: u64,
    /// What was decided.
    pub terms: Arc<Terms>,
    /// The generations that it was loaded under; `None`: a raw value, or one that is about to be stored under those of now.
    pub under: Option<Arc<Ids>>,
}

impl Stamps {
    /// The freshness at `now_ms`.
    #[must_use]
    pub fn at(&self, now_ms: u64) -> Freshness {
        self.terms.windows().at(self.since_ms, now_ms)
    }

    /// Whether it is fresh at `now_ms`, by time alone.
    #[must_use]
    pub fn is_fresh(&self, now_ms: u64) -> bool {
        self.at(now_ms) == Freshness::Fresh
    }

    /// The same entry under other terms. Tags that it did not have before have no generation, so it is invalid under them: whether
    /// they were invalidated since it was loaded, nobody knows.
    #[must_use]
    pub fn judged(&self, terms: Terms) -> Self {
        let under = self.under.as_ref().map(|ids| {
            let same = terms.tags == self.terms.tags;
            if same { Arc::clone(ids) } else { Arc::new(ids.retagged(&self.terms.tags, &terms.tags)) }
        });
        Self { terms: Arc::new(terms), under, ..*self }
    }

    /// The same entry with its fresh time over at `now_ms`: its stale windows begin.
    #[must_use]
    pub fn ended(&self, now_ms: u64) -> Self {
        if !self.is_fresh(now_ms) {
            return self.clone();
        }
        // No clock, however slow, sees an age within a fresh time of nothing.
        let terms = Terms { fresh_ms: Some(0), ..(*self.terms).clone() };
        Self { terms: Arc::new(terms), since_ms: now_ms, ..self.clone() }
    }

    /// The same entry, fresh for `ms` more, as far as its windows and `max-stale` allow.
    #[must_use]
    pub fn extended(&self, now_ms: u64, ms: u64) -> Self {
        let windows = self.terms.windows().extended(now_ms.saturating_sub(self.since_ms), ms);
        let terms = Terms {
            fresh_ms: windows.fresh_ms,
            stale_while_revalidate_ms: windows.stale_while_revalidate_ms,
            stale_if_error_ms: windows.stale_if_error_ms,
            keep_ms: windows.keep_ms,
            max_stale_ms: windows.max_stale_ms,
            ..(*self.terms).clone()
        };
        Self { terms: Arc::new(terms), ..self.clone() }
    }

    /// Age at `now_ms`.
    #[must_use]
    pub const fn age_ms(&self, now_ms: u64) -> u64 {
        now_ms.saturating_sub(self.born_ms)
    }

    /// The fresh time left at `now_ms`, negative when stale; `None`: fresh for ever.
    #[must_use]
    pub fn fresh_left_ms(&self, now_ms: u64) -> Option<i64> {
        let until_ms = self.fresh_until_ms()?;
        Some(i64::try_from(i128::from(until_ms) - i128::from(now_ms)).unwrap_or(i64::MAX))
    }

    /// When it ceases to be fresh; `None`: never.
    #[must_use]
    pub fn fresh_until_ms(&self) -> Option<u64> {
        Some(self.since_ms.saturating_add(self.terms.fresh_ms?))
    }

    /// The life left at `now_ms`, at least 1; `None`: it has no end.
    #[must_use]
    pub fn life_left_ms(&self, now_ms: u64) -> Option<u64> {
        let end_ms = self.since_ms.saturating_add(self.terms.windows().life_ms()?);
        Some(end_ms.saturating_sub(now_ms).max(1))
    }
}
