//! Leases of clients: those that a connection holds without knowing it, and those whose holder has the text.
//!
//! A plain client reads, finds nothing, loads, and writes. In a domain whose plan says so its read takes the lease for its
//! connection, and its next plain write of the key is the fill. A client that knows asks for the lease by name and sends it back,
//! to whichever node.
//!
//! Invariants: a connection holds a bounded number of leases, each for a bounded time, and gives them back when it ends. It
//! remembers those that it lost, as its write may be older than what took them: such a write stores nothing, and where nobody
//! can say which is newer the key is removed. Deliberately absent: leases for batches, whose keys one client would hold all at once.

use std::collections::HashMap;

use bytes::Bytes;
use foldhash::fast::RandomState;
use indexmap::IndexMap;
use parking_lot::Mutex;
use tokio::sync::Notify;

use super::fence::Fence;
use super::{Filled, Lease, Offer, Turn, Waiting};
use crate::engine::api::{Answer, AskedTtl, Condition, SetAnswer, SetOptions};
use crate::engine::core::Engine;
use crate::engine::judge::{Place, Wanted};
use crate::error::{Error, ErrorKind, Result};
use crate::limits::{CLIENT_LEASE_MS_MAX, LEASES_CLAIMED_MAX, LEASES_PER_CONNECTION_MAX, TURNS_MAX};
use crate::ports::lease::{FillOutcome, LeaseKeys, LeaseToken, Lost};
use crate::ports::metrics::State;
use crate::ports::policy::{Cause, Operation};

/// The leases of one connection. Dropping it gives them back.
#[derive(Default)]
pub struct LeaseBook {
    /// In the order in which they came, the lost ones too.
    leases: Mutex<IndexMap<Bytes, Lease, RandomState>>,
    /// A lease came.
    came: Notify,
}

/// Leases whose holder is whoever has the token.
#[derive(Default)]
pub(super) struct Claims(Mutex<HashMap<LeaseToken, Lease, RandomState>>);

/// For whom a read takes a lease.
#[derive(Clone, Copy)]
pub enum Who<'a> {
    /// For the connection that this is the book of.
    Connection(&'a LeaseBook),
    /// For whoever has the text of the lease.
    Bearer,
}

/// The answer of a read that may have taken a lease.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Leased {
    /// The answer.
    pub answer: Answer,
    /// The text of the lease, for [`Who::Bearer`].
    pub lease: Option<String>,
}

impl LeaseBook {
    /// No leases.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Gives all leases back.
    pub fn clear(&self) {
        let leases = std::mem::take(&mut *self.leases.lock());
        drop(leases);
    }

    /// How many leases it knows of, the lost ones included.
    #[must_use]
    pub fn len(&self) -> usize {
        self.leases.lock().len()
    }

    /// Whether it knows of none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    fn holds(&self, key: &Bytes) -> bool {
        self.leases.lock().get(key).is_some_and(|lease| !lease.is_lost())
    }

    /// Ends when it holds the lease of this key.
    async fn came(&self, key: &Bytes) {
        loop {
            let came = self.came.notified();
            tokio::pin!(came);
            came.as_mut().enable();
            if self.holds(key) {
                return;
            }
            came.await;
        }
    }

    /// A lease beyond the bound goes back at once.
    fn keep(&self, key: Bytes, lease: Lease) {
        let mut leases = self.leases.lock();
        let is_full = leases.len() >= LEASES_PER_CONNECTION_MAX && !leases.contains_key(&key);
        let spent = if is_full {
            let now_ns = lease.now_ns();
            let lost = leases.values().position(|lease| lease.is_lost_at(now_ns));
            lost.and_then(|at| leases.shift_remove_index(at)).map(|(_, lease)| lease)
        } else {
            leases.shift_remove(&key)
        };
        let refused = if leases.len() < LEASES_PER_CONNECTION_MAX { leases.insert(key, lease) } else { Some(lease) };
        drop(leases);
        drop((spent, refused));
        self.came.notify_waiters();
    }

    fn take(&self, key: &Bytes) -> Option<Lease> {
        self.leases.lock().shift_remove(key)
    }
}

impl Claims {
    /// Keeps a lease for its bearer; `false`: there are too many.
    fn keep(&self, lease: Lease) -> bool {
        let mut spent = Vec::new();
        let mut claims = self.0.lock();
        if claims.len() >= LEASES_CLAIMED_MAX {
            let now_ns = lease.now_ns();
            spent.extend(claims.extract_if(|_, lease| lease.is_lost_at(now_ns)));
        }
        let has_room = claims.len() < LEASES_CLAIMED_MAX;
        let refused = if has_room { claims.insert(lease.token(), lease) } else { Some(lease) };
        drop(claims);
        drop((spent, refused));
        has_room
    }

    fn take(&self, token: LeaseToken, keys: &LeaseKeys) -> Option<Lease> {
        let mut claims = self.0.lock();
        claims.get(&token).filter(|lease| lease.is_of(keys))?;
        claims.remove(&token)
    }
}

impl Engine {
    /// Reads a string, and takes the lease to fill it if it is absent, nobody has it and the plan says so. Waits for the load of
    /// others as long as the plan says; then the answer is a miss without a lease.
    ///
    /// # Errors
    /// As [`Engine::get`]; the error of the load that it waited for; too many who wait.
    pub async fn get_or_lease(&self, key: &[u8], who: Who<'_>) -> Result<Leased> {
        let started_ns = self.monotonic_ns();
        let now_ms = self.now_ms();
        if let Some(entry) = self.hit(key, now_ms) {
            let answer = entry.answer(State::L1Hit, now_ms);
            self.count_hits(entry.metrics(), 1, self.monotonic_ns().saturating_sub(started_ns));
            return Ok(Leased { answer, lease: None });
        }
        let place = self.locate(key, Operation::Read, Wanted::String)?;
        let leased = self.read_place(&place, Some(who), now_ms).await;
        self.tally_result(&place, Operation::Read, leased, |leased| leased.answer.state, started_ns)
    }

    /// The same for a place that no copy has answered; without `who`, nobody gets a lease.
    ///
    /// # Errors
    /// As [`Self::get_or_lease`].
    pub(in crate::engine) async fn read_place(
        &self,
        place: &Place<'_>,
        who: Option<Who<'_>>,
        now_ms: u64,
    ) -> Result<Leased> {
        // What is loaded from an origin is no client's to load.
        if let Some((who, keys)) = who.zip(place.lease_keys()).filter(|_| !place.loads()) {
            return self.read_or_lease(place, &keys, who).await;
        }
        let answer = self.budgeted(self.read(place, now_ms)).await;
        let answer = match answer {
            Ok(answer) => answer,
            Err(error) => self.without_store(place, now_ms, error).await?,
        };
        Ok(Leased { answer, lease: None })
    }

    async fn read_or_lease(&self, place: &Place<'_>, keys: &LeaseKeys, who: Who<'_>) -> Result<Leased> {
        self.hot.seen(place.name, &place.domain.name, self.now_ms());
        let mut waiting = Waiting::new(place.collapse_wait_ms);
        let absent = |waiting: &Waiting, outcome| Leased {
            answer: Answer { waited: waiting.told(outcome), ..Answer::absent(State::Miss) },
            lease: None,
        };
        for _ in 0..TURNS_MAX {
            let seq = place.domain.seq();
            let now_ms = self.now_ms();
            let (answer, seen) = match self.budgeted(self.read_seen(place, now_ms)).await {
                Ok(found) => found,
                Err(error) => {
                    return Ok(Leased { answer: self.without_store(place, now_ms, error).await?, lease: None });
                }
            };
            if answer.state == State::MissOutage {
                return Ok(Leased { answer, lease: None });
            }
            if answer.state.is_hit() {
                waiting.share(&answer, seq);
                // A stale value is there at once; whoever can refresh it may.
                let refreshes = answer.state == State::Stale && matches!(who, Who::Bearer);
                let lease = if refreshes {
                    Box::pin(self.try_lead(place, keys, &seen, CLIENT_LEASE_MS_MAX)).await?
                } else {
                    None
                };
                let lease = lease.and_then(|lease| self.claim(lease));
                let waited = waiting.told(FillOutcome::Done);
                return Ok(Leased { answer: Answer { waited, ..answer }, lease });
            }
            if answer.state == State::Passed {
                return Ok(absent(&waiting, FillOutcome::GiveUp));
            }
            let turn = match who {
                Who::Bearer => Box::pin(self.fill_turn(place, keys, &seen, &mut waiting, CLIENT_LEASE_MS_MAX)).await?,
                Who::Connection(book) => {
                    if book.holds(&place.store_key.0) {
                        return Ok(absent(&waiting, FillOutcome::GiveUp));
                    }
                    let turn = Box::pin(self.fill_turn(place, keys, &seen, &mut waiting, CLIENT_LEASE_MS_MAX));
                    tokio::select! {
                        // Another command of the same connection leads: waiting for it would be waiting for oneself.
                        () = book.came(&place.store_key.0) => return Ok(Leased { answer: Answer::absent(State::Miss), lease: None }),
                        turn = turn => turn?,
                    }
                }
            };
            match turn {
                Turn::Changed => {}
                Turn::Followed(outcome, Some(answer)) => {
                    return Ok(Leased { answer: Answer { waited: waiting.told(outcome), ..answer }, lease: None });
                }
                Turn::Followed(outcome, None) => return Ok(absent(&waiting, outcome)),
                Turn::Lead(lease) => {
                    let lease = match who {
                        Who::Bearer => self.claim(lease),
                        Who::Connection(book) => {
                            book.keep(place.store_key.0.clone(), lease);
                            None
                        }
                    };
                    return Ok(Leased { lease, ..absent(&waiting, FillOutcome::Dangling) });
                }
            }
        }
        Ok(absent(&waiting, FillOutcome::GiveUp))
    }

    fn claim(&self, lease: Lease) -> Option<String> {
        let text = lease.text();
        self.fills.claims.keep(lease).then_some(text)
    }

    /// Writes a string; if the connection holds the lease of the key, and the write is a plain one, it is the fill. A fill that
    /// lost its lease is acknowledged and stores nothing: its answer is [`State::Unmet`].
    ///
    /// # Errors
    /// As [`Engine::set`].
    pub async fn set_or_fill(
        &self,
        key: &[u8],
        value: Bytes,
        options: SetOptions,
        book: &LeaseBook,
    ) -> Result<SetAnswer> {
        let plain = options.condition == Condition::Always && !options.want_previous && options.ttl != AskedTtl::Keep;
        if !plain || book.is_empty() {
            return self.set(key, value, options).await;
        }
        let started_ns = self.monotonic_ns();
        let place = self.locate(key, Operation::Write, Wanted::String)?;
        let asked_ttl_ms = self.asked_ms(options.ttl);
        let Some(lease) = book.take(&place.store_key.0).filter(|_| asked_ttl_ms != Some(0)) else {
            return self.set(key, value, options).await;
        };
        let filled = Box::pin(self.fill_for_client(&place, lease, value, asked_ttl_ms)).await;
        let filled = self.tally_result(&place, Operation::Fill, filled, |filled| filled.state, started_ns)?;
        Ok(SetAnswer { state: filled.state, previous: None })
    }

    /// Fills a key under a lease by its text, on whichever node it was taken.
    ///
    /// # Errors
    /// As [`Engine::set`]; a text that is no lease's, a domain without leases.
    pub async fn fill_leased(&self, key: &[u8], lease: &[u8], value: Bytes, ttl: AskedTtl) -> Result<Filled> {
        let started_ns = self.monotonic_ns();
        let place = self.locate(key, Operation::Fill, Wanted::String)?;
        let Some((token, fence)) = Fence::parse(lease) else {
            return Err(Error::new(ErrorKind::InvalidArgument, "the lease is none that a host has given"));
        };
        let Some(keys) = place.lease_keys() else {
            let message = format!("the domain '{}' gives no leases for this key, by its policy", place.live().domain);
            return Err(Error::new(ErrorKind::Unsupported, message));
        };
        let lease = self.fills.claims.take(token, &keys);
        let lease = lease.unwrap_or_else(|| self.fills.desk.elsewhere(keys, token, fence, &place.live().metrics));
        let filled = self.fill_for_client(&place, lease, value, self.asked_ms(ttl)).await;
        self.tally_result(&place, Operation::Fill, filled, |filled| filled.state, started_ns)
    }

    async fn fill_for_client(
        &self,
        place: &Place<'_>,
        lease: Lease,
        value: Bytes,
        asked_ttl_ms: Option<u64>,
    ) -> Result<Filled> {
        let offer = Offer { value, cause: Cause::Fill, asked_ttl_ms, origin_status: None, origin_headers: &[] };
        let filled = self.fill(place, lease, offer).await?;
        if filled.lost == Some(Lost::Gone) {
            // It may have been a write rather than a fill, and newer than what is there.
            self.remove_raw(place).await?;
        }
        Ok(filled)
    }

    fn asked_ms(&self, ttl: AskedTtl) -> Option<u64> {
        match ttl {
            AskedTtl::None | AskedTtl::Keep => None,
            AskedTtl::InMs(ms) => Some(ms),
            AskedTtl::AtMs(at_ms) => Some(at_ms.saturating_sub(self.now_ms())),
        }
    }
}
