//! Writing a string: admit, store, keep a copy.
//!
//! The lifetime that the policy decides counts, whatever the application asked for; what it asked for is what the policy is told.

use std::sync::Arc;

use bytes::Bytes;
use futures_util::future::join;

use super::api::{AskedTtl, Condition, SetAnswer, SetOptions};
use super::compress::{Form, Packed};
use super::core::Engine;
use super::entry::{Stamps, Terms};
use super::envelope;
use super::found::expire_for;
use super::judge::{Place, Verdict, Wanted};
use super::modify::Change;
use super::under::Under;
use crate::error::{Error, ErrorKind, Result};
use crate::limits::L1_COPY_BYTES_MAX;
use crate::ports::lease::Ending;
use crate::ports::metrics::State;
use crate::ports::policy::{Candidate, Operation};
use crate::ports::store::{Command, Expire, Reply};

impl Engine {
    /// Writes a string.
    ///
    /// # Errors
    /// A bad key or value, a refusal or failure of the policy, a failure of the store.
    pub async fn set(&self, key: &[u8], value: Bytes, options: SetOptions) -> Result<SetAnswer> {
        let started_ns = self.monotonic_ns();
        let place = self.locate(key, Operation::Write, Wanted::String)?;
        let answer = self.budgeted(self.write(&place, value, options)).await;
        if answer.is_ok() {
            self.supersede(&place);
        }
        self.tally_result(&place, Operation::Write, answer, |answer| answer.state, started_ns)
    }

    /// What few writes need is boxed by itself: the rest of this is moved into a box of its own for every write.
    async fn write(&self, place: &Place<'_>, value: Bytes, options: SetOptions) -> Result<SetAnswer> {
        self.check_value(&value)?;
        let now_ms = self.now_ms();
        let asked_ttl_ms = options.ttl.asked_ms(now_ms);
        Self::check_asked(asked_ttl_ms)?;
        let plain = options.condition == Condition::Always && !options.want_previous;
        let kept = options.ttl == AskedTtl::Keep;
        if plain && !kept {
            self.forget_old(std::iter::once(place)).await?;
        } else {
            Box::pin(self.make_way(std::iter::once(place))).await?;
        }
        if asked_ttl_ms == Some(0) || place.enveloped() && (!plain || kept) {
            return Box::pin(self.write_modifying(place, value, options, asked_ttl_ms, now_ms)).await;
        }
        let verdict = self.admit_write(place, &value, asked_ttl_ms)?;
        let Verdict::Store(terms) = verdict else { return Box::pin(self.pass(place)).await };
        let writing = self.l1.writing(place.name);
        let under = self.under(place, &terms).await?;
        let stamps = stamps_now(terms, now_ms, &under);
        let expire = if kept { Expire::Keep } else { expire_for(&stamps, now_ms) };
        if !plain {
            let reply = Box::pin(self.change_one(place, raw_set(place, value, options, expire))).await?;
            writing.done(None);
            return Ok(raw_answer(&reply, options));
        }
        let (bytes, value) = self.packed(place, &stamps, value).await?;
        let newer = match self.asks_along(place, &stamps.terms, &under) {
            Some(asks) => {
                let answer = self.set_and_end(place, bytes.clone(), expire, Some(asks.command())).await?;
                self.hear_along(place, asks, answer).await;
                self.newer(place, &stamps.terms, &under)
            }
            None => {
                let store = self.set_and_end(place, bytes.clone(), expire, None);
                let (stored, newer) = join(store, self.confirm(place, &stamps.terms, &under)).await;
                stored?;
                newer
            }
        };
        let stamps = self.mark_anew(place, &bytes, stamps, newer).await?.filter(|_| !kept);
        writing.done(stamps.and_then(|stamps| self.l1_entry(place, value, stamps, now_ms)));
        Ok(SetAnswer { state: State::Done, previous: None })
    }

    /// A write that depends on what is there, on an enveloped entry; or one whose time is already past, which removes.
    async fn write_modifying(
        &self,
        place: &Place<'_>,
        value: Bytes,
        options: SetOptions,
        asked_ttl_ms: Option<u64>,
        now_ms: u64,
    ) -> Result<SetAnswer> {
        if !place.enveloped() {
            let writing = self.l1.writing(place.name);
            let reply = self.change_one(place, raw_set_past(place, value, options)).await?;
            writing.done(None);
            return Ok(raw_answer(&reply, options));
        }
        self.modify(place, now_ms, |found| {
            let previous = found.filter(|_| options.want_previous).map(|found| found.value.clone());
            let met = match options.condition {
                Condition::Always => true,
                Condition::IfAbsent => found.is_none(),
                Condition::IfPresent => found.is_some(),
            };
            if !met {
                return Ok(Change::None(SetAnswer { state: State::Unmet, previous }));
            }
            if asked_ttl_ms == Some(0) {
                return Ok(Change::Remove(SetAnswer { state: State::Done, previous }));
            }
            let kept = found.filter(|_| options.ttl == AskedTtl::Keep);
            let asked_ttl_ms = kept.map_or(asked_ttl_ms, |found| found.stamps.terms.asked_ttl_ms);
            match self.admit_write(place, &value, asked_ttl_ms)? {
                Verdict::Store(terms) => {
                    let since_ms = kept.map_or(now_ms, |found| found.stamps.since_ms);
                    let stamps = Stamps { born_ms: now_ms, since_ms, terms: Arc::new(terms), under: None };
                    Ok(Change::Put(stamps, value.clone(), SetAnswer { state: State::Done, previous }))
                }
                Verdict::Pass(_) => Ok(Change::Remove(SetAnswer { state: State::Passed, previous })),
            }
        })
        .await
    }

    /// What the policy says of a value that an application writes.
    pub(super) fn admit_write(&self, place: &Place<'_>, value: &Bytes, asked_ttl_ms: Option<u64>) -> Result<Verdict> {
        let candidate = Candidate { asked_ttl_ms, ..Candidate::written(value) };
        self.admit(place, Operation::Write, &candidate)
    }

    /// The policy will not have the value stored: what was there before is out of date.
    async fn pass(&self, place: &Place<'_>) -> Result<SetAnswer> {
        self.remove_raw(place).await?;
        Ok(SetAnswer { state: State::Passed, previous: None })
    }

    pub(super) async fn remove_raw(&self, place: &Place<'_>) -> Result<bool> {
        let writing = self.l1.writing(place.name);
        self.forget_old(std::iter::once(place)).await?;
        self.end_leases(std::iter::once(place), Ending::Deleted).await?;
        let removed = self.store.delete(std::slice::from_ref(&place.store_key)).await;
        self.fills.overtake(place);
        let removed = removed.map_err(|e| self.store_error(e))?;
        writing.done(None);
        Ok(removed.first().copied().unwrap_or_default())
    }

    /// One command to the store; an error that it answers is an error here.
    pub(super) async fn call(&self, command: Command) -> Result<Reply> {
        match self.store.call(command).await {
            Ok(Reply::Error(text)) => Err(Error::new(ErrorKind::StoreReply, text)),
            Ok(reply) => Ok(reply),
            Err(error) => Err(self.store_error(error)),
        }
    }

    /// What the store is to hold, and the value for L1: if it is not compressed one piece of memory for both. Never a part of what the value came in,
    /// as a connection's whole buffer would live for as long as the copy.
    pub(super) async fn packed(&self, place: &Place<'_>, stamps: &Stamps, value: Bytes) -> Result<(Bytes, Bytes)> {
        // Small values are copied into L1 anyway.
        let copies = self.l1_bytes_max() > 0 && value.len() > L1_COPY_BYTES_MAX;
        let own = |value: &Bytes| if copies { Bytes::copy_from_slice(value) } else { value.clone() };
        if !place.enveloped() {
            let copy = if self.raw_in_l1(place) { own(&value) } else { value.clone() };
            return Ok((value, copy));
        }
        let packed = self.pack(place, &stamps.terms, &value).await;
        let bytes = self.seal(place, stamps, &packed)?;
        let value = if packed.form == Form::Plain { bytes.slice(bytes.len() - value.len()..) } else { own(&value) };
        Ok((bytes, value))
    }

    /// An entry's envelope, with a stamp of its own.
    pub(super) fn seal(&self, place: &Place<'_>, stamps: &Stamps, packed: &Packed) -> Result<Bytes> {
        envelope::seal(stamps, self.clock.random(), packed).map_err(|_| {
            let message = format!("domain '{}': the tags and headers of the entry exceed 64 KiB", place.live().domain);
            Error::new(ErrorKind::PolicyFailed, message)
        })
    }
}

/// The stamps of a value that is written now.
pub(super) fn stamps_now(terms: Terms, now_ms: u64, under: &Under) -> Stamps {
    Stamps { born_ms: now_ms, since_ms: now_ms, terms: Arc::new(terms), under: under.ids.clone() }
}

/// The store's command for a write; the bytes as they are to lie there.
pub(super) fn raw_set(place: &Place<'_>, bytes: Bytes, options: SetOptions, expire: Expire) -> Command {
    let mut command = Command::new("SET").arg(place.store_key.0.clone()).arg(bytes);
    command = match expire {
        Expire::Keep => command.arg("KEEPTTL"),
        Expire::Never => command,
        Expire::InMs(ms) => command.arg("PX").arg(ms.to_string()),
    };
    command = match options.condition {
        Condition::Always => command,
        Condition::IfAbsent => command.arg("NX"),
        Condition::IfPresent => command.arg("XX"),
    };
    if options.want_previous { command.arg("GET") } else { command }
}

/// The same for a life whose end is past: what was there goes, on the conditions of the write.
pub(super) fn raw_set_past(place: &Place<'_>, bytes: Bytes, options: SetOptions) -> Command {
    raw_set(place, bytes, options, Expire::Never).arg("PXAT").arg("1")
}

/// What the store's reply to [`raw_set`] says of a raw write.
pub(super) fn raw_answer(reply: &Reply, options: SetOptions) -> SetAnswer {
    let previous = match reply {
        Reply::Bulk(bytes) if options.want_previous => Some(bytes.clone()),
        _ => None,
    };
    let written = match options.condition {
        Condition::Always => true,
        Condition::IfAbsent if options.want_previous => previous.is_none(),
        Condition::IfPresent if options.want_previous => previous.is_some(),
        Condition::IfAbsent | Condition::IfPresent => *reply != Reply::Nil,
    };
    SetAnswer { state: if written { State::Done } else { State::Unmet }, previous }
}
