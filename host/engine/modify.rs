//! Read, judge, write one enveloped entry, atomically: the store replaces it only if it still is what was read.
//!
//! Bounded: an entry that others keep changing is given up as contended after a number of attempts.

use bytes::Bytes;
use futures_util::future::join;

use super::core::Engine;
use super::entry::Stamps;
use super::envelope::PREFIX_LEN;
use super::found::{Found, expire_for};
use super::judge::Place;
use super::under::Under;
use crate::error::{Error, ErrorKind, Result};
use crate::limits::REPLACE_ATTEMPTS_MAX;
use crate::ports::lease::Ending;
use crate::ports::store::Expect;

/// What is to become of an entry, and the answer when that is done.
pub(super) enum Change<T> {
    /// Nothing.
    None(T),
    /// It is stored so; without generations it is a new value and gets those of now.
    Put(Stamps, Bytes, T),
    /// It is removed.
    Remove(T),
}

impl Engine {
    /// Changes an entry. `decide` sees the entry as a reader would (absent if not served), and may be asked again if somebody
    /// else was faster; it must have no effects.
    ///
    /// # Errors
    /// What `decide` says, a failure of the store, contention.
    pub(super) async fn modify<T>(
        &self,
        place: &Place<'_>,
        now_ms: u64,
        decide: impl Fn(Option<&Found>) -> Result<Change<T>>,
    ) -> Result<T> {
        self.make_way(std::iter::once(place)).await?;
        for _ in 0..REPLACE_ATTEMPTS_MAX {
            let held = self.store.get(&place.store_key, false).await.map_err(|e| self.store_error(e))?;
            let (expect, found) = match &held {
                None => (Expect::Absent, None),
                Some(held) => {
                    let known = held.bytes.slice(..held.bytes.len().min(PREFIX_LEN));
                    (Expect::Prefix(known), self.open(place, &held.bytes, now_ms).await?)
                }
            };
            let changed = found.as_ref().is_some_and(|found| found.changed);
            let served = found.filter(|found| found.is_served(now_ms));
            let done = match decide(served.as_ref())? {
                Change::None(answer) => return Ok(answer),
                Change::Put(stamps, value, answer) => {
                    self.put(place, expect, &stamps, &value, now_ms).await?.then_some(answer)
                }
                Change::Remove(answer) => self.remove(place, expect).await?.then_some(answer),
            };
            match done {
                Some(answer) => return Ok(answer),
                // Opening may itself have rewritten the entry: that attempt cost nothing of the caller's.
                None if changed => {}
                None => tokio::task::yield_now().await,
            }
        }
        let message = "the key is changed by many callers at once; retry";
        Err(Error::new(ErrorKind::Overloaded, message))
    }

    async fn put(
        &self,
        place: &Place<'_>,
        expect: Expect,
        stamps: &Stamps,
        value: &Bytes,
        now_ms: u64,
    ) -> Result<bool> {
        self.check_value(value)?;
        let writing = self.l1.writing(place.name);
        self.end_leases(std::iter::once(place), Ending::Written).await?;
        let under = match &stamps.under {
            Some(ids) => Under::kept(ids),
            None => self.under(place, &stamps.terms).await?,
        };
        let stamps = Stamps { under: under.ids.clone(), ..stamps.clone() };
        let (bytes, value) = self.packed(place, &stamps, value.clone()).await?;
        let store = self.store.replace(&place.store_key, expect, bytes.clone(), expire_for(&stamps, now_ms));
        let (replaced, newer) = join(store, self.confirm(place, &stamps.terms, &under)).await;
        self.fills.overtake(place);
        if !replaced.map_err(|e| self.store_error(e))? {
            return Ok(false);
        }
        let stamps = self.mark_anew(place, &bytes, stamps, newer).await?;
        writing.done(stamps.and_then(|stamps| self.l1_entry(place, value, stamps, now_ms)));
        Ok(true)
    }

    async fn remove(&self, place: &Place<'_>, expect: Expect) -> Result<bool> {
        let Expect::Prefix(prefix) = expect else { return Ok(true) };
        let writing = self.l1.writing(place.name);
        self.end_leases(std::iter::once(place), Ending::Deleted).await?;
        let removed = self.store.remove(&place.store_key, prefix).await;
        self.fills.overtake(place);
        let removed = removed.map_err(|e| self.store_error(e))?;
        writing.done(None);
        Ok(removed)
    }
}
