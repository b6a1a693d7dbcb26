//! Asking for another lifetime, and what is left of one.
//!
//! Whatever an application asks for is put before the policy, as for a write: `EXPIRE session:x 10` on a domain whose policy
//! knows only one lifetime changes nothing but when it begins.

use super::api::{Answer, AskedTtl, ExpireCondition};
use super::core::Engine;
use super::entry::Stamps;
use super::found::Found;
use super::judge::{Place, Verdict, Wanted};
use super::modify::Change;
use crate::error::Result;
use crate::ports::metrics::State;
use crate::ports::policy::{Candidate, Operation};
use crate::ports::store::{Command, Expire, Reply, Ttl};

impl Engine {
    /// The fresh time that is left; 0 for an entry that is served stale.
    ///
    /// # Errors
    /// As [`Self::get`].
    pub async fn ttl(&self, key: &[u8]) -> Result<Ttl> {
        let started_ns = self.monotonic_ns();
        let place = self.locate(key, Operation::Touch, Wanted::Any)?;
        let ttl = self.budgeted(self.ttl_of(&place)).await;
        self.tally_result(&place, Operation::Touch, ttl, |_| State::Done, started_ns)
    }

    async fn ttl_of(&self, place: &Place<'_>) -> Result<Ttl> {
        self.arrive(std::iter::once(place)).await?;
        if !place.enveloped() || self.holds_collection(place).await? {
            return self.store.ttl(&place.store_key).await.map_err(|e| self.store_error(e));
        }
        let now_ms = self.now_ms();
        Ok(match self.peek(place).await? {
            None => Ttl::Missing,
            Some(found) => fresh_left(&found.stamps, now_ms).map_or(Ttl::Never, Ttl::Ms),
        })
    }

    /// The wall time at which the fresh time ends, in milliseconds since the Unix epoch, in place of what is left.
    ///
    /// # Errors
    /// As [`Self::get`].
    pub async fn expires_at(&self, key: &[u8]) -> Result<Ttl> {
        let started_ns = self.monotonic_ns();
        let place = self.locate(key, Operation::Touch, Wanted::Any)?;
        let at = self.expires_at_of(&place).await;
        self.tally_result(&place, Operation::Touch, at, |_| State::Done, started_ns)
    }

    async fn expires_at_of(&self, place: &Place<'_>) -> Result<Ttl> {
        if !place.enveloped() {
            self.arrive(std::iter::once(place)).await?;
            // As the store keeps it, to the millisecond. Redis 6 does not know the question.
            match self.store.call(Command::new("PEXPIRETIME").arg(place.store_key.0.clone())).await {
                Ok(Reply::Integer(-2)) => return Ok(Ttl::Missing),
                Ok(Reply::Integer(-1)) => return Ok(Ttl::Never),
                Ok(Reply::Integer(at_ms)) => return Ok(Ttl::Ms(u64::try_from(at_ms).unwrap_or(0))),
                Ok(_) => {}
                Err(error) => return Err(self.store_error(error)),
            }
        }
        Ok(match self.ttl_of(place).await? {
            Ttl::Ms(left_ms) => Ttl::Ms(self.now_ms().saturating_add(left_ms)),
            other => other,
        })
    }

    /// Asks for a lifetime that ends at a wall time; one that is past removes the key. Whether it was changed.
    ///
    /// # Errors
    /// As [`Self::set`].
    pub async fn expire(&self, key: &[u8], at_ms: u64, condition: ExpireCondition) -> Result<bool> {
        let started_ns = self.monotonic_ns();
        let place = self.locate(key, Operation::Touch, Wanted::Any)?;
        let left_ms = at_ms.saturating_sub(self.now_ms());
        Self::check_asked(Some(left_ms))?;
        let changed = self.budgeted(self.expire_place(&place, left_ms, condition)).await;
        self.tally_result(&place, Operation::Touch, changed, |&changed| done_or_unmet(changed), started_ns)
    }

    async fn expire_place(&self, place: &Place<'_>, left_ms: u64, condition: ExpireCondition) -> Result<bool> {
        if place.enveloped() && !self.holds_collection(place).await? {
            return self.expire_enveloped(place, left_ms, condition).await;
        }
        self.make_way(std::iter::once(place)).await?;
        let command = self.expire_command(place, left_ms, condition)?;
        let writing = self.l1.writing(place.name);
        let reply = self.change_one(place, command).await?;
        writing.done(None);
        Ok(reply == Reply::Integer(1))
    }

    async fn expire_enveloped(&self, place: &Place<'_>, left_ms: u64, condition: ExpireCondition) -> Result<bool> {
        let now_ms = self.now_ms();
        self.modify(place, now_ms, |found| {
            let Some(found) = found else { return Ok(Change::None(false)) };
            if !condition_holds(condition, fresh_left(&found.stamps, now_ms), left_ms) {
                return Ok(Change::None(false));
            }
            if left_ms == 0 {
                return Ok(Change::Remove(true));
            }
            self.retouch(place, found, Some(left_ms), now_ms, true)
        })
        .await
    }

    /// The change that gives an entry the lifetime for another asked one, from now.
    fn retouch<T>(
        &self,
        place: &Place<'_>,
        found: &Found,
        asked_ttl_ms: Option<u64>,
        now_ms: u64,
        answer: T,
    ) -> Result<Change<T>> {
        let candidate = Candidate { asked_ttl_ms, ..found.stamps.terms.candidate(&found.value) };
        Ok(match self.admit(place, Operation::Touch, &candidate)? {
            Verdict::Store(terms) => {
                let stamps = Stamps { since_ms: now_ms, ..found.stamps.judged(terms) };
                Change::Put(stamps, found.value.clone(), answer)
            }
            Verdict::Pass(_) => Change::Remove(answer),
        })
    }

    /// The command that gives a raw value what the policy makes of this lifetime.
    ///
    /// # Errors
    /// A refusal or a failure of the policy.
    pub(super) fn expire_command(
        &self,
        place: &Place<'_>,
        left_ms: u64,
        condition: ExpireCondition,
    ) -> Result<Command> {
        let key = place.store_key.0.clone();
        let left_ms = match left_ms {
            0 => Some(0),
            _ => self.touch_verdict(place, Some(left_ms))?,
        };
        let Some(left_ms) = left_ms else { return Ok(Command::new("PERSIST").arg(key)) };
        let mut command = Command::new("PEXPIRE").arg(key).arg(left_ms.to_string());
        command = match condition {
            ExpireCondition::Always => command,
            ExpireCondition::IfNone => command.arg("NX"),
            ExpireCondition::IfSome => command.arg("XX"),
            ExpireCondition::IfLater => command.arg("GT"),
            ExpireCondition::IfEarlier => command.arg("LT"),
            ExpireCondition::IfSomeEarlier => command.arg("XX").arg("LT"),
        };
        Ok(command)
    }

    /// The fresh time that the policy gives a raw value when this one is asked for; `None`: it never expires.
    pub(super) fn touch_verdict(&self, place: &Place<'_>, asked_ttl_ms: Option<u64>) -> Result<Option<u64>> {
        let candidate = Candidate { asked_ttl_ms, ..Candidate::written_of_size(0) };
        Ok(match self.admit(place, Operation::Touch, &candidate)? {
            Verdict::Store(terms) => terms.windows().life_ms(),
            Verdict::Pass(_) => Some(0),
        })
    }

    /// Asks for no lifetime (`PERSIST`): the policy's own counts then. Whether the key had one.
    ///
    /// # Errors
    /// As [`Self::set`].
    pub async fn persist(&self, key: &[u8]) -> Result<bool> {
        let started_ns = self.monotonic_ns();
        let place = self.locate(key, Operation::Touch, Wanted::Any)?;
        let changed = self.budgeted(self.persist_place(&place)).await;
        self.tally_result(&place, Operation::Touch, changed, |&changed| done_or_unmet(changed), started_ns)
    }

    async fn persist_place(&self, place: &Place<'_>) -> Result<bool> {
        self.make_way(std::iter::once(place)).await?;
        if place.enveloped() && !self.holds_collection(place).await? {
            let now_ms = self.now_ms();
            return self
                .modify(place, now_ms, |found| {
                    let Some(found) = found else { return Ok(Change::None(false)) };
                    let had_one = found.stamps.terms.fresh_ms.is_some();
                    self.retouch(place, found, None, now_ms, had_one)
                })
                .await;
        }
        match self.touch_verdict(place, None)? {
            None => self.persist_raw(place).await,
            Some(left_ms) => {
                let had_one = matches!(self.ttl_of(place).await?, Ttl::Ms(_));
                let writing = self.l1.writing(place.name);
                let expire = Expire::InMs(left_ms.max(1));
                self.store.expire(&place.store_key, expire).await.map_err(|e| self.store_error(e))?;
                writing.done(None);
                Ok(had_one)
            }
        }
    }

    async fn persist_raw(&self, place: &Place<'_>) -> Result<bool> {
        let writing = self.l1.writing(place.name);
        let reply = self.change_one(place, Command::new("PERSIST").arg(place.store_key.0.clone())).await?;
        writing.done(None);
        Ok(reply == Reply::Integer(1))
    }

    /// Reads a string and asks for another lifetime (`GETEX`); [`AskedTtl::None`] asks for none, [`AskedTtl::Keep`] leaves it.
    ///
    /// # Errors
    /// As [`Self::get`].
    pub async fn get_and_expire(&self, key: &[u8], ttl: AskedTtl) -> Result<Answer> {
        if ttl == AskedTtl::Keep {
            return self.get(key).await;
        }
        let answer = self.get(key).await?;
        if answer.value.is_some() {
            match ttl {
                AskedTtl::None => drop(self.persist(key).await?),
                AskedTtl::InMs(ms) => {
                    let at_ms = self.now_ms().saturating_add(ms);
                    self.expire(key, at_ms, ExpireCondition::Always).await?;
                }
                AskedTtl::AtMs(at_ms) => drop(self.expire(key, at_ms, ExpireCondition::Always).await?),
                AskedTtl::Keep => {}
            }
        }
        Ok(answer)
    }
}

fn done_or_unmet(changed: bool) -> State {
    if changed { State::Done } else { State::Unmet }
}

fn fresh_left(stamps: &Stamps, now_ms: u64) -> Option<u64> {
    Some(stamps.fresh_until_ms()?.saturating_sub(now_ms))
}

/// Redis' rule for `EXPIRE … NX|XX|GT|LT`: a key without an expiry counts as living for ever.
fn condition_holds(condition: ExpireCondition, left_ms: Option<u64>, asked_ms: u64) -> bool {
    match condition {
        ExpireCondition::Always => true,
        ExpireCondition::IfNone => left_ms.is_none(),
        ExpireCondition::IfSome => left_ms.is_some(),
        ExpireCondition::IfLater => left_ms.is_some_and(|left_ms| asked_ms > left_ms),
        ExpireCondition::IfEarlier => left_ms.is_none_or(|left_ms| asked_ms < left_ms),
        ExpireCondition::IfSomeEarlier => left_ms.is_some_and(|left_ms| asked_ms < left_ms),
    }
}
