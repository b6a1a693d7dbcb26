//! Changing a string where it is, and asking what it is.
//!
//! A raw value is changed by the store itself; an enveloped one is read, judged and replaced. A change keeps the life of what
//! is there, unless the policy lets it slide; a key that is new gets the policy's lifetime.

use std::sync::Arc;

use bytes::{Bytes, BytesMut};
use smallvec::smallvec;

use super::api::Update;
use super::core::Engine;
use super::entry::Stamps;
use super::found::Found;
use super::judge::{Place, Verdict, Wanted};
use super::modify::Change;
use super::step::{DataCommand, Form};
use crate::error::{Error, ErrorKind, Result};
use crate::limits::VALUE_BYTES_MAX;
use crate::ports::metrics::State;
use crate::ports::policy::{Candidate, Encoding, Operation, Shape};
use crate::ports::store::{Command, Reply};

const TOO_LONG: &str = "ERR string exceeds maximum allowed size (proto-max-bulk-len)";

impl Engine {
    /// Changes a string where it is; the new length or number.
    ///
    /// # Errors
    /// As [`Self::set`]; [`ErrorKind::StoreReply`] in Redis' words for a value that is no number or would overflow.
    pub async fn update(&self, key: &[u8], update: Update) -> Result<i64> {
        let started_ns = self.monotonic_ns();
        let wanted = if matches!(update, Update::IncrementBy(_)) { Wanted::Counter } else { Wanted::String };
        let place = self.locate(key, Operation::Update, wanted)?;
        let answer = if place.enveloped() {
            self.budgeted(self.update_enveloped(&place, &update)).await
        } else {
            self.budgeted(self.update_raw(&place, &update)).await
        };
        self.tally_result(&place, Operation::Update, answer, |_| State::Done, started_ns)
    }

    async fn update_raw(&self, place: &Place<'_>, update: &Update) -> Result<i64> {
        self.make_way(std::iter::once(place)).await?;
        let key = place.store_key.0.clone();
        let (command, size) = match update {
            Update::Append(bytes) => (Command::new("APPEND").arg(key.clone()).arg(bytes.clone()), bytes.len()),
            Update::IncrementBy(n) => (Command::new("INCRBY").arg(key.clone()).arg(n.to_string()), size_of::<i64>()),
            Update::SetRange(at, bytes) => {
                let command = Command::new("SETRANGE").arg(key.clone()).arg(at.to_string()).arg(bytes.clone());
                (command, bytes.len())
            }
        };
        let verdict = self.admit(place, Operation::Update, &Candidate::written_of_size(size))?;
        let mut commands = vec![command];
        if let Verdict::Store(terms) = &verdict
            && let Some(life_ms) = terms.windows().life_ms()
        {
            let renew = Command::new("PEXPIRE").arg(key).arg(life_ms.to_string());
            commands.push(if terms.sliding { renew } else { renew.arg("NX") });
        }
        let writing = self.l1.writing(place.name);
        let replies = self.change(std::iter::once(place), commands).await?;
        writing.done(None);
        match replies.into_iter().next() {
            Some(Reply::Integer(n)) => Ok(n),
            Some(Reply::Error(text)) => Err(Error::new(ErrorKind::StoreReply, text)),
            other => Err(Error::new(ErrorKind::StoreData, format!("the store answered {other:?} to a change"))),
        }
    }

    async fn update_enveloped(&self, place: &Place<'_>, update: &Update) -> Result<i64> {
        let now_ms = self.now_ms();
        self.modify(place, now_ms, |found| {
            if let Some(length) = unchanged(found.map(|found| &found.value), update) {
                return Ok(Change::None(length));
            }
            let (value, answer) = changed(found.map(|found| &found.value), update)?;
            self.check_value(&value)?;
            let asked_ttl_ms = found.and_then(|found| found.stamps.terms.asked_ttl_ms);
            let candidate = Candidate { asked_ttl_ms, ..Candidate::written(&value) };
            Ok(match self.admit(place, Operation::Update, &candidate)? {
                Verdict::Store(terms) => {
                    let since_ms = match found {
                        Some(Found { stamps, .. }) if !terms.sliding => stamps.since_ms,
                        _ => now_ms,
                    };
                    let stamps = match found {
                        Some(found) => Stamps { since_ms, ..found.stamps.judged(terms) },
                        None => Stamps { born_ms: now_ms, since_ms, terms: Arc::new(terms), under: None },
                    };
                    Change::Put(stamps, value, answer)
                }
                Verdict::Pass(_) => Change::Remove(answer),
            })
        })
        .await
    }

    /// Length of a string; 0 if absent.
    ///
    /// # Errors
    /// As [`Self::get`].
    pub async fn length(&self, key: &[u8]) -> Result<u64> {
        Ok(self.get(key).await?.value.map_or(0, |value| value.len() as u64))
    }

    /// Redis' name of what a key holds: `string`, `list`, …, `none`.
    ///
    /// # Errors
    /// As [`Self::get`].
    pub async fn kind(&self, key: &[u8]) -> Result<String> {
        let started_ns = self.monotonic_ns();
        let place = self.locate(key, Operation::Touch, Wanted::Any)?;
        let kind = self.budgeted(self.kind_of(&place)).await;
        self.tally_result(&place, Operation::Touch, kind, |_| State::Done, started_ns)
    }

    async fn kind_of(&self, place: &Place<'_>) -> Result<String> {
        self.arrive(std::iter::once(place)).await?;
        if place.enveloped() && !self.holds_collection(place).await? {
            return Ok(if self.peek(place).await?.is_some() { "string" } else { "none" }.to_owned());
        }
        self.type_of(place).await
    }

    /// What the store calls what lies under a place's key.
    ///
    /// # Errors
    /// A failure of the store.
    pub(super) async fn type_of(&self, place: &Place<'_>) -> Result<String> {
        match self.call(Command::new("TYPE").arg(place.store_key.0.clone())).await? {
            Reply::Status(kind) | Reply::Bulk(kind) => Ok(String::from_utf8_lossy(&kind).into_owned()),
            other => Err(Error::new(ErrorKind::StoreData, format!("the store answered {other:?} to TYPE"))),
        }
    }
}

impl Engine {
    /// Whether an enveloped domain has something other than a string under a key, which then is raw: no envelope, no stamps. The
    /// store is asked only where the policy serves such a shape.
    ///
    /// # Errors
    /// A failure of the store.
    pub(super) async fn holds_collection(&self, place: &Place<'_>) -> Result<bool> {
        let shapes = place.live().description.shapes;
        if ![Shape::Hash, Shape::List, Shape::Set].into_iter().any(|shape| shapes.contains(shape)) {
            return Ok(false);
        }
        let kind = self.call(Command::new("TYPE").arg(place.store_key.0.clone())).await?;
        Ok(!matches!(kind, Reply::Status(kind) if kind == "string" || kind == "none"))
    }

    /// Part of a string; positions from its end are negative, both ends are included.
    ///
    /// # Errors
    /// As [`Self::get`].
    pub async fn range(&self, key: &[u8], start: i64, end: i64) -> Result<Bytes> {
        let (_, resolved) = self.resolve(key)?;
        if resolved.live.description.encoding == Encoding::Raw {
            let words = [Bytes::from_static(b"GETRANGE"), Bytes::copy_from_slice(key), start.to_string().into()];
            let args = words.into_iter().chain([end.to_string().into()]).collect();
            let command = DataCommand { args, keys: smallvec![1], form: Form::reads(Wanted::String) };
            return match self.carry_out(&command).await? {
                Reply::Bulk(part) => Ok(part),
                other => Err(Error::new(ErrorKind::StoreData, format!("the store answered {other:?} to GETRANGE"))),
            };
        }
        let value = self.get(key).await?.value.unwrap_or_default();
        Ok(value.slice(part_of(value.len(), start, end)))
    }
}

/// Redis' rule for `GETRANGE`.
fn part_of(length: usize, start: i64, end: i64) -> std::ops::Range<usize> {
    let from_end = |at: i64| usize::try_from(at.unsigned_abs()).map_or(0, |back| length.saturating_sub(back));
    let place = |at: i64| if at < 0 { from_end(at) } else { usize::try_from(at).unwrap_or(usize::MAX) };
    if length == 0 || (start < 0 && end < 0 && start > end) {
        return 0..0;
    }
    let (start, end) = (place(start), place(end).min(length - 1));
    if start > end { 0..0 } else { start..end + 1 }
}

/// The length to answer where there is nothing to write: `SETRANGE` of nothing makes no key and no longer value.
fn unchanged(value: Option<&Bytes>, update: &Update) -> Option<i64> {
    match update {
        Update::SetRange(_, bytes) if bytes.is_empty() => {
            Some(value.map_or(0, |value| i64::try_from(value.len()).unwrap_or(i64::MAX)))
        }
        _ => None,
    }
}

/// The value after a change, and the number to answer.
fn changed(value: Option<&Bytes>, update: &Update) -> Result<(Bytes, i64)> {
    let old = value.map_or(&b""[..], |value| value);
    match update {
        Update::Append(tail) => {
            let mut value = BytesMut::with_capacity(old.len() + tail.len());
            value.extend_from_slice(old);
            value.extend_from_slice(tail);
            let len = i64::try_from(value.len()).unwrap_or(i64::MAX);
            Ok((value.freeze(), len))
        }
        Update::SetRange(at, bytes) => {
            let too_long = || Error::new(ErrorKind::StoreReply, TOO_LONG);
            let end = at.checked_add(bytes.len()).filter(|&end| end <= VALUE_BYTES_MAX).ok_or_else(too_long)?;
            let mut value = BytesMut::with_capacity(old.len().max(end));
            value.extend_from_slice(old);
            value.resize(old.len().max(end), 0);
            value[*at..end].copy_from_slice(bytes);
            let len = i64::try_from(value.len()).unwrap_or(i64::MAX);
            Ok((value.freeze(), len))
        }
        Update::IncrementBy(n) => {
            let refuse = |text: &str| Err(Error::new(ErrorKind::StoreReply, text));
            let old = if value.is_none() { Some(0) } else { integer(old) };
            let Some(old) = old else { return refuse("ERR value is not an integer or out of range") };
            let Some(new) = old.checked_add(*n) else { return refuse("ERR increment or decrement would overflow") };
            Ok((Bytes::from(new.to_string()), new))
        }
    }
}

/// A number as Redis reads one: decimal, no spaces, no leading zeros or plus.
fn integer(bytes: &[u8]) -> Option<i64> {
    let text = std::str::from_utf8(bytes).ok()?;
    let number: i64 = text.parse().ok()?;
    (number.to_string() == text).then_some(number)
}
