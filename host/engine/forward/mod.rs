//! What Larder has no rules for goes to the Redis behind it, in the domain `default` alone: sorted sets, streams, scripts, what
//! blocks, what is published.
//!
//! Invariants: every key of such a command is one that `default` may use verbatim (`key.rs`), so none reaches another domain's
//! entries or the host's own records; scripts name their keys, as in a cluster, and what they do beyond that is not seen. While a
//! command that may write is under way its keys have no copies in L1. Commands in other databases than that of the policies go
//! there as they are (`database.rs`). What would change the server, or concern its other
//! users, is refused unless an operator allows it (`rules.rs`).

mod asked;
mod database;
mod places;
mod rules;
mod together;
mod words;

pub use self::database::{Database, ElsewhereExplained, is_of_database};
pub use self::rules::ForwardRules;
pub(super) use self::rules::with_its_nothing;

use bytes::Bytes;
use tokio::sync::mpsc::UnboundedSender;

use self::asked::Asked;
use super::core::Engine;
use super::judge::{Place, Wanted};
use super::step::Forwarded;
use crate::error::Result;
use crate::ports::metrics::State;
use crate::ports::policy::{Encoding, KeyScope, Operation};
use crate::ports::store::{Command, Reply};
use crate::ports::table::DEFAULT_DOMAIN;
use crate::ports::trace;
use crate::ports::upstream::{Dedicated, Facts, Heard, Types, Upstream};
use crate::ports::way::{self, Way};

impl Engine {
    /// Whether there is a Redis to forward to.
    #[must_use]
    pub fn forwards(&self) -> bool {
        self.store.upstream().is_some()
    }

    /// Whether Redis is to answer a command without keys that this host would answer itself, because an operator says so.
    #[must_use]
    pub fn hands_over(&self, name: &str) -> bool {
        self.forwards() && self.forward_rules.hands_over(name)
    }

    /// Whether a command of this name, as Redis knows it, would go.
    #[must_use]
    pub fn would_forward(&self, name: &[u8]) -> bool {
        let table = self.store.upstream().and_then(Upstream::known);
        table.is_some_and(|table| {
            let facts = table.find(name, None);
            facts.is_some_and(|facts| {
                let goes = |facts: &Facts, words: &[&[u8]]| self.forward_rules.check(facts, words).is_ok();
                goes(facts, &[name])
                    || facts.subcommands.iter().any(|(part, facts)| goes(facts, &[name, part]))
                    || way::of(&[name]) == Way::Listening
            })
        })
    }

    /// What Redis says of its own commands (`COMMAND …`); `None` if there is none, or it cannot say.
    pub async fn commands_of_redis(&self, words: Vec<Bytes>) -> Option<Reply> {
        let forwarded = self.forward(None, words, Types::Rich, |_, _| Ok(())).await;
        forwarded.ok().flatten().filter(|reply| !matches!(reply, Reply::Error(_)))
    }

    /// Whether a command may change its keys, and which of its words are keys, where this is known at once.
    #[must_use]
    pub fn forward_places(&self, words: &[&[u8]]) -> Option<(bool, Vec<usize>)> {
        let table = self.store.upstream()?.known()?;
        let facts = table.find(words.first()?, words.get(1).copied())?;
        let places = places::of(facts, words)?;
        Some((!facts.reads_only, places))
    }

    /// Whether a command only reads, as far as this is known at once; one that Redis does not know changes nothing.
    #[must_use]
    pub fn forward_reads(&self, words: &[&[u8]]) -> Option<bool> {
        let Some(upstream) = self.store.upstream() else { return Some(true) };
        let table = upstream.known()?;
        Some(
            words
                .first()
                .is_none_or(|name| table.find(name, words.get(1).copied()).is_none_or(|facts| facts.reads_only)),
        )
    }

    /// Asks Redis for its commands, if they are not known at once. Whether they are now.
    pub async fn learn_commands(&self) -> bool {
        let Some(upstream) = self.store.upstream() else { return true };
        self.budgeted(upstream.commands()).await.is_ok() && upstream.known().is_some()
    }

    /// Forwards a command, into this database or the one of the policies. `None` if Redis does not know it. `may` says whether its
    /// caller is allowed a command of this kind on these keys, or what to answer instead.
    ///
    /// # Errors
    /// It is refused, for itself or for one of its keys; a failure of the store. An error that Redis answers is a reply.
    pub async fn forward(
        &self,
        at: Option<&Database>,
        words: Vec<Bytes>,
        types: Types,
        may: impl FnOnce(&Facts, &[Bytes]) -> std::result::Result<(), Reply> + Send,
    ) -> Result<Option<Reply>> {
        self.budgeted(self.forward_in_budget(at, words, types, may)).await
    }

    async fn forward_in_budget(
        &self,
        at: Option<&Database>,
        words: Vec<Bytes>,
        types: Types,
        may: impl FnOnce(&Facts, &[Bytes]) -> std::result::Result<(), Reply> + Send,
    ) -> Result<Option<Reply>> {
        let Some(Asked { upstream, facts, named, forwarded }) = self.asked(at, words).await? else { return Ok(None) };
        if let Err(instead) = may(&facts, &named) {
            return Ok(Some(instead));
        }
        let started_ns = self.monotonic_ns();
        let places = self.places_of_forwarded(&forwarded)?;
        let writings: Vec<_> = match operation_of(&forwarded) {
            Operation::Read => Vec::new(),
            _ => places.iter().map(|place| self.l1.writing(place.name)).collect(),
        };
        let answer = self.send_on(upstream, &forwarded.command, types).await;
        writings.into_iter().for_each(|writing| writing.done(None));
        let state = answer.as_ref().map_or_else(|error| Self::state_of(error.kind), |_| State::Done);
        self.tally_together(at, std::slice::from_ref(&forwarded), state, started_ns);
        answer.map(|answer| Some(rules::with_its_nothing(&forwarded.command, answer)))
    }

    /// Counts what became of forwarded commands that went together: those with keys, for `default`, to which also belongs what is in
    /// other databases.
    fn tally_together(&self, at: Option<&Database>, sent: &[Forwarded], state: State, started_ns: u64) {
        let table = self.policies.table();
        let Some(live) = table.get(DEFAULT_DOMAIN) else { return };
        let elapsed_ns = self.monotonic_ns().saturating_sub(started_ns);
        for forwarded in sent.iter().filter(|forwarded| at.is_some() || !forwarded.keys.is_empty()) {
            let operation = operation_of(forwarded);
            live.metrics.answered(operation, state);
            live.metrics.latency[operation as usize].observe_ns(elapsed_ns);
            trace::note_answer(&live.domain, operation.as_str(), state.as_str());
        }
    }

    /// A command that is to be forwarded as part of a transaction. `None` if Redis does not know it. `may` as in
    /// [`Self::forward`]: what to answer instead is the inner error.
    ///
    /// # Errors
    /// As there.
    pub async fn to_be_forwarded(
        &self,
        at: Option<&Database>,
        words: Vec<Bytes>,
        may: impl FnOnce(&Facts, &[Bytes]) -> std::result::Result<(), Reply> + Send,
    ) -> Result<Option<std::result::Result<Forwarded, Reply>>> {
        let asked = self.budgeted(self.asked(at, words)).await?;
        let Some(Asked { facts, named, forwarded, .. }) = asked else { return Ok(None) };
        if let Err(instead) = may(&facts, &named) {
            return Ok(Some(Err(instead)));
        }
        self.places_of_forwarded(&forwarded)?;
        Ok(Some(Ok(forwarded)))
    }

    /// Where its keys lie.
    ///
    /// # Errors
    /// A bad key, or one that is not its own storage key in `default`.
    pub(super) fn places_of_forwarded<'a>(&self, forwarded: &'a Forwarded) -> Result<Vec<Place<'a>>> {
        let operation = operation_of(forwarded);
        let places = forwarded.keys.iter().map(|key| self.locate(key, operation, Wanted::Any));
        let places = places.collect::<Result<Vec<_>>>()?;
        for place in &places {
            if place.live().domain.as_ref() != DEFAULT_DOMAIN || place.store_key.as_bytes() != place.name {
                return Err(rules::of_a_domain(&forwarded.command, place.name, &place.live().domain));
            }
        }
        Ok(places)
    }

    async fn send_on(&self, upstream: &dyn Upstream, command: &Command, types: Types) -> Result<Reply> {
        let name = command.name();
        let answer = if way::of(&command.args) == Way::Own {
            let mut own = upstream.open(command, types).await.map_err(|e| self.store_error(e))?;
            if rules::waits_for_replicas(name) {
                // The server waits for what this connection wrote; a message makes that all that was written before it.
                let channel = self.keys.own_channel();
                let mark = Command::new("PUBLISH").arg(channel).arg(Bytes::new());
                own.call(mark).await.map_err(|e| self.store_error(e))?;
            }
            own.call(command.clone()).await
        } else {
            upstream.forward(command.clone(), types).await
        };
        answer.map_err(|e| self.store_error(e))
    }

    /// A connection that listens; for the commands that subscribe and unsubscribe alone.
    ///
    /// # Errors
    /// It is refused; a failure of the store.
    pub async fn listen(&self, words: &[Bytes], heard: UnboundedSender<Heard>) -> Result<Box<dyn Dedicated>> {
        let command = Command { args: words.to_vec() };
        let upstream = self.forward_upstream(&command)?;
        self.forward_rules.check_name(&words[0])?;
        upstream.listen(&command, heard).await.map_err(|e| self.store_error(e))
    }

    fn forward_upstream(&self, command: &Command) -> Result<&dyn Upstream> {
        let Some(upstream) = self.store.upstream() else { return Err(rules::needs_redis(command)) };
        let table = self.policies.table();
        let serves = table.get(DEFAULT_DOMAIN).map(|live| &live.description).is_some_and(|description| {
            description.key_scope == KeyScope::Verbatim && description.encoding == Encoding::Raw
        });
        if serves { Ok(upstream) } else { Err(rules::needs_verbatim(command)) }
    }
}

pub(super) const fn operation_of(forwarded: &Forwarded) -> Operation {
    if forwarded.reads_only { Operation::Read } else { Operation::Update }
}
