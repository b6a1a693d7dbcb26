//! Invalidation by looking at the keys of a domain in the store, some at a time (`SCAN`, never `KEYS`).
//!
//! What is compared is the suffix: what follows `{prefix}:{version}:{domain}:`, the key itself unless the policy says otherwise. What
//! comes before it is the host's, with every special character escaped, so no pattern leaves the domain. Keys that are there from the
//! beginning to the end are found; a write that is under way meanwhile may survive it, as it would a `DEL`. A load may not: the leases
//! of what matches are ended first, so what was read from an origin before is not stored after.
//!
//! It is done in steps, as a warming is: each answers a cursor with which the next one goes on, on any node, and how far it has come
//! (`way`). Whoever wants it done in one has the host take the steps. Each call of the store is bounded, and the future may be dropped between
//! two of them; what was removed by then stays removed. Deliberately absent: a state of scans in the host.

use std::sync::Arc;

use bytes::Bytes;
use futures_util::future::join_all;
use serde::Serialize;

use super::api::Outcome;
use super::core::Engine;
use super::invalidate::Found;
use super::key::KeyRules;
use super::lent::literal;
use super::space::{Forgetting, odd, portion};
use super::way::{At, Look, Pass, Way};
use crate::error::{Error, ErrorKind, Result};
use crate::limits::{INVALIDATE_TOLD_MS, SCAN_STEP_KEYS};
use crate::ports::invalidation::Mode;
use crate::ports::lease::Ending;
use crate::ports::policy::{Encoding, KeyScope};
use crate::ports::store::{Command, Reply, StoreKey};
use crate::ports::table::Live;

/// One step of an invalidation that looks through the store.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct InvalidateStep {
    /// What the step before answered; `None`: from the beginning.
    pub cursor: Option<String>,
    /// About how many keys of the store it looks at.
    pub count: usize,
}

/// How far an invalidation has come, over all its steps.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Invalidated {
    /// How many keys were removed or made stale; `None`: as in [`Outcome`].
    pub keys: Option<u64>,
    /// About how many keys of the store were looked at. Those that are looked at twice count twice.
    pub seen: u64,
    /// About how many there were to look at when it began, where that is known.
    pub total: Option<u64>,
    /// What the next step begins with; `None`: this was the last one.
    pub cursor: Option<String>,
}

/// A scan that is under way in this call. Dropped in the middle it says so.
struct Scan<'a> {
    domain: &'a str,
    mode: Mode,
    at: At,
    is_told: bool,
}

impl Drop for Scan<'_> {
    fn drop(&mut self) {
        if !self.is_told {
            let (domain, seen, keys) = (self.domain, self.at.seen(), self.at.keys);
            tracing::info!(domain, seen, keys, "an invalidation by scan was broken off; what it has done stays");
        }
    }
}

impl Engine {
    /// Removes what is found in a domain, or ends its fresh time.
    ///
    /// # Errors
    /// A failure of the store: what was found before stays invalidated.
    pub(super) async fn scan(&self, live: &Arc<Live>, found: Found<'_>, mode: Mode) -> Result<Outcome> {
        let whole = InvalidateStep { cursor: None, count: usize::MAX };
        let Invalidated { keys, .. } = self.scan_on(live, found, mode, &whole).await?;
        Ok(Outcome { keys })
    }

    /// Takes one step of the same.
    ///
    /// # Errors
    /// As [`Self::scan`]; a cursor that no step has answered.
    pub(super) async fn scan_on(
        &self,
        live: &Arc<Live>,
        found: Found<'_>,
        mode: Mode,
        step: &InvalidateStep,
    ) -> Result<Invalidated> {
        let way = self.way(live, found, mode)?;
        let at = step.cursor.as_deref().map_or(Ok(None), |cursor| way.at(cursor))?;
        // Copies in L1 lie under the application's keys, which cannot be told from storage keys: all of the domain go. What
        // is read while the scan runs goes again when it has ended, even if it ends early.
        let known = self.domains.of(live);
        let _forgetting = Forgetting::new(&known);
        let domain = &*live.domain;
        let at = match at {
            Some(at) => at,
            None => {
                let Reply::Integer(all) = self.call(Command::new("DBSIZE")).await? else { return Err(odd("DBSIZE")) };
                let at = At::begin(u64::try_from(all).unwrap_or(0));
                tracing::info!(
                    domain,
                    mode = mode.as_str(),
                    total = way.total(&at),
                    "an invalidation looks through the store"
                );
                at
            }
        };
        let mut scan = Scan { domain, mode, at, is_told: false };
        let over = self.go_on(live, &way, &mut scan, step.count).await.inspect_err(|_| scan.is_told = true)?;
        scan.is_told = true;
        let At { keys, .. } = scan.at;
        let seen = scan.at.seen();
        if over {
            tracing::info!(domain, seen, keys, mode = mode.as_str(), "an invalidation by scan has ended");
        }
        let cursor = (!over).then(|| way.cursor(&scan.at));
        Ok(Invalidated { keys: Some(keys), seen, total: Some(way.total(&scan.at)), cursor })
    }

    /// Goes on until about so many keys were looked at. Whether it is over.
    async fn go_on(&self, live: &Arc<Live>, way: &Way, scan: &mut Scan<'_>, count: usize) -> Result<bool> {
        let mut left = count;
        while let Some(pass) = way.passes.get(scan.at.pass) {
            if left == 0 {
                return Ok(false);
            }
            left = left.saturating_sub(SCAN_STEP_KEYS);
            let cursor = Bytes::from(scan.at.cursor.to_string());
            let (next, batch) = self.scan_step(&pass.pattern, cursor, SCAN_STEP_KEYS).await?;
            let next = std::str::from_utf8(&next).ok().and_then(|next| next.parse().ok()).ok_or_else(|| odd("SCAN"))?;
            match pass.look {
                Look::Leases => self.end_leases_among(live, &batch).await?,
                Look::Keys(mode) => {
                    let own = batch.into_iter().filter(|key| self.is_own(live, key)).map(StoreKey);
                    let keys = self.invalidate_found(live, &own.collect::<Vec<_>>(), mode).await?;
                    live.metrics.invalidation_keys.add(keys);
                    scan.at.keys = scan.at.keys.saturating_add(keys);
                }
            }
            let before = scan.at.seen();
            scan.at.advance(SCAN_STEP_KEYS as u64, next);
            live.metrics.invalidation_scanned.add(scan.at.seen() - before);
            if let Some(hushed) = self.scans_told.speaks_every(self.monotonic_ns(), INVALIDATE_TOLD_MS) {
                let (domain, mode, keys, seen) = (scan.domain, scan.mode.as_str(), scan.at.keys, scan.at.seen());
                tracing::info!(
                    domain,
                    mode,
                    keys,
                    seen,
                    total = way.total(&scan.at),
                    hushed,
                    "an invalidation by scan goes on"
                );
            }
        }
        Ok(true)
    }

    /// # Errors
    /// As [`scan_pattern`].
    fn way(&self, live: &Arc<Live>, found: Found<'_>, mode: Mode) -> Result<Way> {
        let has_leases = live.description.encoding == Encoding::Enveloped || self.migrates(live);
        let mut passes = Vec::new();
        // Older key versions first: what is carried over meanwhile is found under the version of now. What they have goes, in either mode.
        let old = self.old_beginnings(live).into_iter().map(|all| (all, Mode::Hard));
        for (all, mode) in old.chain([(self.keys.in_domain(live, ""), mode)]) {
            let pattern = scan_pattern(live, &all, found)?;
            // A lease lies under its entry's key with something before or behind it: the same glob with room for that finds them, and
            // sometimes one more, which costs that load its fill and nothing else. Those of now after what is old is gone: nobody who read
            // that before stores it after.
            if has_leases {
                let leases = [b"*", &pattern[..], b"*lease"].concat();
                passes.push(Pass { pattern: leases.into(), look: Look::Leases });
            }
            passes.push(Pass { pattern, look: Look::Keys(mode) });
        }
        Ok(Way::new(passes))
    }

    async fn end_leases_among(&self, live: &Live, found: &[Bytes]) -> Result<()> {
        let own = self.keys.in_domain(live, "");
        let leases = found.iter().filter_map(KeyRules::leased);
        let leases: Vec<_> = leases.filter(|it| it.entry.as_bytes().starts_with(own.as_bytes())).collect();
        self.end_found_leases(&leases, Ending::Deleted).await
    }

    /// One step of a scan over the store: about `count` keys that match, and where the next one begins; `0`: it is over.
    ///
    /// # Errors
    /// A failure of the store.
    pub(super) async fn scan_step(&self, pattern: &Bytes, cursor: Bytes, count: usize) -> Result<(Bytes, Vec<Bytes>)> {
        let command = Command::new("SCAN")
            .arg(cursor)
            .arg(&b"MATCH"[..])
            .arg(pattern.clone())
            .arg(&b"COUNT"[..])
            .arg(count.to_string());
        portion(self.call(command).await?)
    }

    async fn invalidate_found(&self, live: &Live, keys: &[StoreKey], mode: Mode) -> Result<u64> {
        if keys.is_empty() {
            return Ok(0);
        }
        if mode == Mode::Soft && live.description.encoding == Encoding::Enveloped {
            let ended = join_all(keys.iter().map(|key| self.end_entry(key))).await;
            return ended.into_iter().try_fold(0, |sum, ended| Ok(sum + u64::from(ended?)));
        }
        let removed = self.store.delete(keys).await.map_err(|e| self.store_error(e))?;
        Ok(removed.into_iter().filter(|&there| there).count() as u64)
    }

    /// Whether a key is one of the domain's: the pattern of a verbatim domain finds those of others, too.
    fn is_own(&self, live: &Live, key: &[u8]) -> bool {
        live.description.key_scope == KeyScope::Domain || self.keys.is_verbatim(&self.policies.table(), key)
    }
}

/// The glob over storage keys; those of the domain begin with `all`.
///
/// # Errors
/// A verbatim domain as a whole: that would be everything in the store that no other domain owns.
fn scan_pattern(live: &Live, all: &StoreKey, found: Found<'_>) -> Result<Bytes> {
    let verbatim = live.description.key_scope == KeyScope::Verbatim;
    if verbatim && matches!(found, Found::Prefix("")) {
        let message = format!(
            "the keys of '{}' are whatever is in the store; name a prefix or a pattern, not the domain",
            live.domain
        );
        return Err(Error::new(ErrorKind::Unsupported, message));
    }
    let mut pattern = if verbatim { Vec::new() } else { literal(all.as_bytes()) };
    match found {
        Found::Prefix(prefix) => {
            pattern.extend(literal(prefix.as_bytes()));
            pattern.push(b'*');
        }
        Found::Pattern(glob) => pattern.extend_from_slice(glob.as_bytes()),
    }
    Ok(pattern.into())
}
