//! What Larder has no rules for goes to the Redis behind it, in the domain `default` alone: sorted sets, streams, scripts, what
//! blocks, what is published.
//!
//! Invariants: every key of such a command is one that `default` may use verbatim (`key.rs`), so none reaches another domain's
//! entries or the host's own records; scripts name their keys, as in a cluster, and what they do beyond that is not seen. While a
//! command that may write is under way its keys have no copies in L1. What would change the server, or concern its other
//! users, is refused unless an operator allows it (`rules.rs`).

mod places;
mod rules;

pub(super) use self::rules::with_its_nothing;
pub use self::rules::{ForwardRules, Way};

use bytes::Bytes;
use tokio::sync::mpsc::UnboundedSender;

use super::core::Engine;
use super::judge::{Place, Wanted};
use super::step::Forwarded;
use crate::error::{Error, ErrorKind, Result};
use crate::ports::metrics::State;
use crate::ports::policy::{Encoding, KeyScope, Operation};
use crate::ports::store::{Command, Reply};
use crate::ports::table::DEFAULT_DOMAIN;
use crate::ports::upstream::{Dedicated, Facts, Heard, Types, Upstream};

/// A command that is to be forwarded, and what the server says of it.
struct Asked<'a> {
    upstream: &'a dyn Upstream,
    facts: Facts,
    forwarded: Forwarded,
}

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
                    || rules::way(&[name]) == Way::Listening
            })
        })
    }

    /// What Redis says of its own commands (`COMMAND …`); `None` if there is none, or it cannot say.
    pub async fn commands_of_redis(&self, words: Vec<Bytes>) -> Option<Reply> {
        let forwarded = self.forward(words, Types::Rich, |_, _| Ok(())).await;
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

    /// Forwards a command. `None` if Redis does not know it. `may` says whether its caller is allowed a command of this kind on
    /// these keys, or what to answer instead.
    ///
    /// # Errors
    /// It is refused, for itself or for one of its keys; a failure of the store. An error that Redis answers is a reply.
    pub async fn forward(
        &self,
        words: Vec<Bytes>,
        types: Types,
        may: impl FnOnce(&Facts, &[Bytes]) -> std::result::Result<(), Reply> + Send,
    ) -> Result<Option<Reply>> {
        self.budgeted(self.forward_in_budget(words, types, may)).await
    }

    async fn forward_in_budget(
        &self,
        words: Vec<Bytes>,
        types: Types,
        may: impl FnOnce(&Facts, &[Bytes]) -> std::result::Result<(), Reply> + Send,
    ) -> Result<Option<Reply>> {
        let Some(Asked { upstream, facts, forwarded }) = self.asked(words).await? else { return Ok(None) };
        if let Err(instead) = may(&facts, &forwarded.keys) {
            return Ok(Some(instead));
        }
        let started_ns = self.monotonic_ns();
        let operation = operation_of(&forwarded);
        let places = self.places_of_forwarded(&forwarded)?;
        let writings: Vec<_> = match operation {
            Operation::Read => Vec::new(),
            _ => places.iter().map(|place| self.l1.writing(place.name)).collect(),
        };
        let answer = self.send_on(upstream, &forwarded.command, types).await;
        writings.into_iter().for_each(|writing| writing.done(None));
        if let Some(place) = places.first() {
            let state = answer.as_ref().map_or_else(|error| Self::state_of(error.kind), |_| State::Done);
            self.tally(place, operation, state, started_ns);
        }
        answer.map(|answer| Some(rules::with_its_nothing(forwarded.command.name(), answer)))
    }

    /// A command that is to be forwarded as part of a transaction. `None` if Redis does not know it. `may` as in
    /// [`Self::forward`]: what to answer instead is the inner error.
    ///
    /// # Errors
    /// As there.
    pub async fn to_be_forwarded(
        &self,
        words: Vec<Bytes>,
        may: impl FnOnce(&Facts, &[Bytes]) -> std::result::Result<(), Reply> + Send,
    ) -> Result<Option<std::result::Result<Forwarded, Reply>>> {
        let Some(Asked { facts, forwarded, .. }) = self.budgeted(self.asked(words)).await? else { return Ok(None) };
        if let Err(instead) = may(&facts, &forwarded.keys) {
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
        let answer = if rules::way(&command.args) == Way::Own {
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

    async fn asked(&self, words: Vec<Bytes>) -> Result<Option<Asked<'_>>> {
        let command = Command { args: words };
        let upstream = self.forward_upstream(&command)?;
        let table = upstream.commands().await.map_err(|e| self.store_error(e))?;
        let words: Vec<&[u8]> = command.args.iter().map(AsRef::as_ref).collect();
        let Some(facts) = table.find(command.name(), words.get(1).copied()) else {
            return match words.get(1) {
                Some(second) if table.find(command.name(), None).is_some() => {
                    Err(rules::unknown_subcommand(command.name(), second))
                }
                _ => Ok(None),
            };
        };
        self.forward_rules.check(facts, &words)?;
        if !facts.takes(words.len()) {
            return Err(rules::arity(&words, facts));
        }
        self.keys.check_patterns(&words)?;
        self.keys.check_channel(&words)?;
        let keys = match places::of(facts, &words) {
            Some(places) => places.into_iter().map(|place| command.args[place].clone()).collect(),
            None => upstream.keys_of(&command).await.map_err(|e| self.store_error(e))?,
        };
        let facts = Facts { subcommands: std::collections::HashMap::new(), ..facts.clone() };
        let forwarded = Forwarded { command, keys, reads_only: facts.reads_only };
        Ok(Some(Asked { upstream, facts, forwarded }))
    }
}

const fn operation_of(forwarded: &Forwarded) -> Operation {
    if forwarded.reads_only { Operation::Read } else { Operation::Update }
}

impl super::key::KeyRules {
    /// A channel that nobody else uses.
    fn own_channel(&self) -> Bytes {
        format!("{{{}{}forward}}", self.prefix, char::from(self.separator)).into()
    }

    /// # Errors
    /// A message into a channel of the host's own.
    fn check_channel(&self, words: &[&[u8]]) -> Result<()> {
        let publishes = words[0].eq_ignore_ascii_case(b"publish") || words[0].eq_ignore_ascii_case(b"spublish");
        let own = format!("{{{}{}", self.prefix, char::from(self.separator));
        if publishes && words.get(1).is_some_and(|channel| channel.starts_with(own.as_bytes())) {
            return Err(Error::new(
                ErrorKind::InvalidKey,
                format!("channels that begin with '{own}' are the host's own"),
            ));
        }
        Ok(())
    }

    /// `SORT` reads keys that it makes of patterns and of what is in the list: what such a pattern begins with must keep them out
    /// of what policies and the host itself keep.
    fn check_patterns(&self, words: &[&[u8]]) -> Result<()> {
        let sorts = words
            .first()
            .is_some_and(|name| name.eq_ignore_ascii_case(b"sort") || name.eq_ignore_ascii_case(b"sort_ro"));
        if !sorts {
            return Ok(());
        }
        for pair in words.windows(2).skip(1) {
            let names_pattern = pair[0].eq_ignore_ascii_case(b"by") || pair[0].eq_ignore_ascii_case(b"get");
            let Some(star) = memchr::memchr(b'*', pair[1]).filter(|_| names_pattern) else { continue };
            let head = &pair[1][..star];
            let bare = head.strip_prefix(b"{").unwrap_or(head);
            let reserved: Vec<u8> = [self.prefix.as_bytes(), &[self.separator]].concat();
            let common = bare.len().min(reserved.len());
            if bare[..common] == reserved[..common] {
                let message = format!(
                    "the pattern '{}' may lead to keys of other domains; let it begin with something of its own",
                    super::key::escaped(pair[1])
                );
                return Err(Error::new(ErrorKind::InvalidKey, message));
            }
        }
        Ok(())
    }
}
