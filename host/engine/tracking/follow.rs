//! One read of a client that tracks: remembered before it begins, looked at again when it has ended.
//!
//! A value may be kept by the client only if whatever changes it later is told. So before the read a copy in L1 goes of which that is not
//! certain: one that may be older than a change that was told of already. After it everything is told at once that cannot be followed: what anything has overtaken
//! here, what was read while the stream of changes did not run, what is stale, what the policy does not let lie in memory, and what is
//! loaded anew for each reader.

use bytes::Bytes;

use super::super::coherence::NO_STREAM;
use super::super::copy::sliding_step_ms;
use super::super::core::Engine;
use super::super::judge::{Place, Wanted};
use super::super::l1::Ticket;
use super::change::label;
use crate::limits::SLIDING_STEP_MS_MAX;
use crate::ports::policy::{KeyScope, Miss, Operation};

/// A read that is under way.
pub struct Following {
    client: u64,
    stream: u32,
    keys: Vec<Followed>,
}

struct Followed {
    name: Bytes,
    how: How,
}

enum How {
    /// Nobody would tell of its changes.
    Not,
    /// In another database, of which nothing is known here.
    Elsewhere,
    /// In the store, under this key.
    Here(Bytes, Ticket),
}

impl Engine {
    /// A client is about to read these keys; `elsewhere`: in another database than that of the policies.
    #[must_use]
    pub fn follow(&self, client: u64, elsewhere: bool, names: Vec<Bytes>) -> Following {
        let stream = self.coherence.running();
        let follow = |name: Bytes| {
            let how = if !self.is_told_of_changes() {
                How::Not
            } else if elsewhere {
                self.follow_elsewhere(client, &name)
            } else {
                self.follow_here(client, &name, stream)
            };
            Followed { name, how }
        };
        Following { client, stream, keys: names.into_iter().map(follow).collect() }
    }

    /// The store names a key whatever database it is in.
    fn follow_elsewhere(&self, client: u64, name: &Bytes) -> How {
        if !self.tracker.is_exact() && !self.coherence.is_whole() {
            return How::Not;
        }
        self.tracker.remember(client, name, name, self.clock.random());
        How::Elsewhere
    }

    fn follow_here(&self, client: u64, name: &Bytes, stream: u32) -> How {
        let Ok(place) = self.locate(name, Operation::Read, Wanted::Any) else { return How::Not };
        let verbatim = place.live().description.key_scope == KeyScope::Verbatim;
        if verbatim && !self.tracker.is_exact() && !self.coherence.is_whole() {
            return How::Not;
        }
        let key = place.store_key.0.clone();
        self.tracker.remember(client, &key, name, self.clock.random());
        self.tracker.note(&key, None, &[label(&place.live().domain, None)]);
        if !self.tracker.is_exact() {
            self.l1.doubt(name, stream);
        }
        How::Here(key, self.l1.ticket(name))
    }

    /// A client has read these keys, and nobody knew before that it would.
    pub fn has_read(&self, client: u64, names: &[Bytes]) {
        names.iter().for_each(|name| self.tracker.tell_one(client, name));
    }

    /// The read has ended, and is about to be answered.
    pub async fn followed(&self, following: Following) {
        let Following { client, stream, keys } = following;
        for Followed { name, how } in keys {
            let stays = match how {
                How::Not => false,
                How::Elsewhere => true,
                How::Here(key, ticket) => self.l1.holds(ticket) && self.note_end(&name, &key).await,
            };
            let told_throughout =
                self.tracker.is_exact() || (stream != NO_STREAM && self.coherence.running() == stream);
            if !stays || !told_throughout {
                self.tracker.tell_one(client, &name);
            }
        }
    }

    /// Takes note of what ends the value, beside its being changed. Whether it may be kept at all.
    async fn note_end(&self, name: &[u8], key: &Bytes) -> bool {
        let Ok(place) = self.locate(name, Operation::Read, Wanted::Any) else { return false };
        if place.store_key.0 != *key {
            return false;
        }
        if !place.enveloped() {
            // Who wants to see each read would see none of those that the client answers itself.
            if place.live().description.wants_raw_reads {
                self.tracker.note(key, Some(self.now_ms().saturating_add(SLIDING_STEP_MS_MAX)), &[]);
            }
            return true;
        }
        match self.budgeted(self.end_of(&place)).await {
            Some((until_ms, labels)) => {
                self.tracker.note(key, until_ms, &labels);
                true
            }
            None => false,
        }
    }

    /// When the fresh time of an enveloped entry ends, and which generations end it; `None`: it is not to be kept.
    async fn end_of(&self, place: &Place<'_>) -> Option<(Option<u64>, Vec<u64>)> {
        if self.holds_collection(place).await.ok()? {
            return Some((None, Vec::new()));
        }
        let now_ms = self.now_ms();
        let held = self.store.get(&place.store_key, false).await.ok()?;
        let Some(held) = held.filter(|_| !self.recovery.covers(place)) else {
            // Nothing is there until somebody writes it, unless a read brings it.
            let is_loaded = place.miss == Miss::Load && place.live().origin.is_some();
            return (!is_loaded && !place.migrates).then_some((None, Vec::new()));
        };
        let found = self.open(place, &held.bytes, now_ms).await.ok()??;
        let terms = &found.stamps.terms;
        if terms.uncacheable || terms.l1_ms == Some(0) || !found.stamps.is_fresh(now_ms) {
            return None;
        }
        let slide_ms = terms.sliding.then(|| now_ms.saturating_add(sliding_step_ms(terms.fresh_ms)));
        let cap_ms = terms.l1_ms.map(|ms| now_ms.saturating_add(ms));
        let until_ms = [found.stamps.fresh_until_ms(), slide_ms, cap_ms].into_iter().flatten().min();
        let domain = &place.live().domain;
        Some((until_ms, terms.tags.iter().map(|tag| label(domain, Some(tag))).collect()))
    }
}
