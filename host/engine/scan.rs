//! Invalidation by looking at the keys of a domain in the store, some at a time (`SCAN`, never `KEYS`).
//!
//! What is compared is the suffix: what follows `{prefix}:{version}:{domain}:`, the key itself unless the policy says otherwise. What
//! comes before it is the host's, with every special character escaped, so no pattern leaves the domain. Keys that are there from the
//! beginning to the end are found; a write that is under way meanwhile may survive it, as it would a `DEL`. A load may not: the leases
//! of what matches are ended first, so what was read from an origin before is not stored after.
//!
//! Each step is bounded, and the future may be dropped between two of them; what was removed by then stays removed. How far
//! it has come is in the log and in the metrics.

use std::sync::Arc;

use bytes::Bytes;
use futures_util::future::join_all;

use super::api::Outcome;
use super::core::Engine;
use super::invalidate::Found;
use super::key::KeyRules;
use super::known::Domain;
use super::lent::literal;
use super::space::{Forgetting, portion};
use crate::error::{Error, ErrorKind, Result};
use crate::limits::SCAN_STEP_KEYS;
use crate::ports::invalidation::Mode;
use crate::ports::lease::Ending;
use crate::ports::policy::{Encoding, KeyScope};
use crate::ports::store::{Command, StoreKey};
use crate::ports::table::Live;

impl Engine {
    /// Removes what is found in a domain, or ends its fresh time.
    ///
    /// # Errors
    /// A failure of the store: what was found before stays invalidated.
    pub(super) async fn scan(
        &self,
        live: &Arc<Live>,
        domain: &Domain,
        found: Found<'_>,
        mode: Mode,
    ) -> Result<Outcome> {
        // Copies in L1 lie under the application's keys, which cannot be told from storage keys: all of the domain go. What
        // is read while the scan runs goes again when it has ended, even if it ends early.
        let _forgetting = Forgetting::new(domain);
        let (mut seen, mut keys) = (0, 0);
        // Older key versions first: what is carried over meanwhile is found under the version of now. What they have goes, in either mode.
        let old = self.old_beginnings(live).into_iter().map(|all| (all, Mode::Hard));
        for (all, mode) in old.chain([(self.keys.in_domain(live, ""), mode)]) {
            let pattern = scan_pattern(live, &all, found)?;
            // Those of now after what is old is gone: nobody who read that before stores it after.
            self.scan_leases(live, &pattern).await?;
            let mut cursor = Bytes::from_static(b"0");
            loop {
                let (next, batch) = self.scan_step(&pattern, cursor, SCAN_STEP_KEYS).await?;
                seen += batch.len() as u64;
                live.metrics.invalidation_scanned.add(batch.len() as u64);
                let own: Vec<StoreKey> = batch.into_iter().filter(|key| self.is_own(live, key)).map(StoreKey).collect();
                keys += self.invalidate_found(live, &own, mode).await?;
                tracing::debug!(domain = %domain.name, seen, keys, "an invalidation looks through the store");
                if next.as_ref() == b"0" {
                    break;
                }
                cursor = next;
            }
        }
        tracing::info!(domain = %domain.name, seen, keys, mode = mode.as_str(), "an invalidation by scan has ended");
        Ok(Outcome { keys: Some(keys) })
    }

    /// Ends the leases of keys that match. A lease lies under its entry's key with something before or behind it: the same glob
    /// with room for that finds them, and sometimes one more, which costs that load its fill and nothing else.
    async fn scan_leases(&self, live: &Live, pattern: &[u8]) -> Result<()> {
        if live.description.encoding == Encoding::Raw && !self.migrates(live) {
            return Ok(());
        }
        let own = self.keys.in_domain(live, "");
        let pattern: Bytes = [b"*", pattern, b"*lease"].concat().into();
        let mut cursor = Bytes::from_static(b"0");
        loop {
            let (next, batch) = self.scan_step(&pattern, cursor, SCAN_STEP_KEYS).await?;
            let leases = batch.iter().filter_map(KeyRules::leased);
            let leases: Vec<_> = leases.filter(|it| it.entry.as_bytes().starts_with(own.as_bytes())).collect();
            self.end_found_leases(&leases, Ending::Deleted).await?;
            if next.as_ref() == b"0" {
                return Ok(());
            }
            cursor = next;
        }
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
