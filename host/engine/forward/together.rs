//! Consecutive forwarded commands of one client: they go to the store in one go and in order, and are answered each for itself.
//!
//! Invariant: what is refused costs its own answer; the others go. One deadline holds for all, so whoever calls keeps them few while they
//! are slow.

use bytes::Bytes;

use super::asked::forwarded;
use super::database::Database;
use super::{operation_of, places, rules};
use crate::engine::core::Engine;
use crate::engine::step::Forwarded;
use crate::error::{Error, ErrorKind, Result};
use crate::ports::metrics::State;
use crate::ports::policy::Operation;
use crate::ports::store::{Command, Reply};
use crate::ports::upstream::{CommandTable, Facts, Types};

/// What a command is answered; `None`: the server does not know it.
type Answered = Result<Option<Reply>>;

impl Engine {
    /// Forwards commands whose keys [`Self::forward_places`] could tell, into this database or that of the policies. One answer for
    /// each, as [`Self::forward`] gives it.
    pub async fn forward_all(
        &self,
        at: Option<&Database>,
        commands: Vec<Vec<Bytes>>,
        types: Types,
        may: impl Fn(&Facts, &[u8], &[Bytes]) -> std::result::Result<(), Reply> + Send + Sync,
    ) -> Vec<Answered> {
        let count = commands.len();
        let answers = self.budgeted(self.forward_all_in_budget(at, commands, types, may)).await;
        answers.unwrap_or_else(|error| vec![Err(error); count])
    }

    async fn forward_all_in_budget(
        &self,
        at: Option<&Database>,
        commands: Vec<Vec<Bytes>>,
        types: Types,
        may: impl Fn(&Facts, &[u8], &[Bytes]) -> std::result::Result<(), Reply> + Send + Sync,
    ) -> Result<Vec<Answered>> {
        let main = self.forward_upstream(&Command { args: commands.first().cloned().unwrap_or_default() })?;
        let table = main.commands().await.map_err(|e| self.store_error(e))?;
        let upstream = at.map_or(Ok(main), Database::upstream)?;
        let (mut answers, mut sent): (Vec<Option<Answered>>, Vec<Forwarded>) = Default::default();
        for words in commands {
            match self.to_go(at, &table, words, &may) {
                Ok(Ok(forwarded)) => {
                    answers.push(None);
                    sent.push(forwarded);
                }
                Ok(Err(instead)) => answers.push(Some(Ok(instead))),
                Err(error) => answers.push(Some(Err(error))),
            }
        }
        let mut replies = self.send_all(at, upstream, sent, types).await?.into_iter();
        let mut reply =
            || replies.next().map(Some).ok_or_else(|| Error::new(ErrorKind::StoreData, "an answer is missing"));
        Ok(answers.into_iter().map(|answer| answer.unwrap_or_else(&mut reply)).collect())
    }

    /// A command that may go, or what it is answered instead.
    fn to_go(
        &self,
        at: Option<&Database>,
        table: &CommandTable,
        words: Vec<Bytes>,
        may: &impl Fn(&Facts, &[u8], &[Bytes]) -> std::result::Result<(), Reply>,
    ) -> Result<std::result::Result<Forwarded, Option<Reply>>> {
        let command = Command { args: words };
        let Some(facts) = self.looked_up(at, table, &command)? else { return Ok(Err(None)) };
        let words: Vec<&[u8]> = command.args.iter().map(AsRef::as_ref).collect();
        let places = places::of(facts, &words).unwrap_or_default();
        let named: Vec<Bytes> = places.into_iter().map(|place| command.args[place].clone()).collect();
        if let Err(instead) = may(facts, command.name(), &named) {
            return Ok(Err(Some(instead)));
        }
        let forwarded = forwarded(at, command, named, facts);
        self.places_of_forwarded(&forwarded)?;
        Ok(Ok(forwarded))
    }

    async fn send_all(
        &self,
        at: Option<&Database>,
        upstream: &dyn crate::ports::upstream::Upstream,
        sent: Vec<Forwarded>,
        types: Types,
    ) -> Result<Vec<Reply>> {
        if sent.is_empty() {
            return Ok(Vec::new());
        }
        let started_ns = self.monotonic_ns();
        let mut written: Vec<&Bytes> = Vec::new();
        for forwarded in sent.iter().filter(|forwarded| operation_of(forwarded) != Operation::Read) {
            written.extend(&forwarded.keys);
        }
        written.sort_unstable();
        written.dedup();
        let writings: Vec<_> = written.into_iter().map(|key| self.l1.writing(key)).collect();
        let commands = sent.iter().map(|forwarded| forwarded.command.clone()).collect();
        let replies = upstream.forward_all(commands, types).await.map_err(|e| self.store_error(e));
        writings.into_iter().for_each(|writing| writing.done(None));
        let state = replies.as_ref().map_or_else(|error| Self::state_of(error.kind), |_| State::Done);
        self.tally_together(at, &sent, state, started_ns);
        let replies = sent.iter().zip(replies?);
        Ok(replies.map(|(forwarded, reply)| rules::with_its_nothing(&forwarded.command, reply)).collect())
    }
}
