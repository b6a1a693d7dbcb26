//! What is looked at before a command is forwarded: whether Redis knows it, whether it may go, which keys it names.

use bytes::Bytes;

use super::database::Database;
use super::{places, rules};
use crate::engine::core::Engine;
use crate::engine::step::Forwarded;
use crate::error::Result;
use crate::ports::store::{Command, StoreError};
use crate::ports::upstream::{CommandTable, Facts, Upstream};
use crate::ports::way;

/// A command that is to be forwarded, and what the server says of it.
pub(super) struct Asked<'a> {
    pub(super) upstream: &'a dyn Upstream,
    pub(super) facts: Facts,
    /// The keys that it names, wherever they are.
    pub(super) named: Vec<Bytes>,
    pub(super) forwarded: Forwarded,
}

impl Engine {
    /// A command in this database or that of the policies. `None`: the server does not know it.
    pub(super) async fn asked<'a>(&'a self, at: Option<&'a Database>, words: Vec<Bytes>) -> Result<Option<Asked<'a>>> {
        let command = Command { args: words };
        let upstream = self.forward_upstream(&command)?;
        if way::frees(&command.args) {
            return self.freeing(upstream, command).map(Some);
        }
        let table = upstream.commands().await.map_err(|e| self.store_error(e))?;
        let Some(facts) = self.looked_up(at, &table, &command)? else { return Ok(None) };
        let words: Vec<&[u8]> = command.args.iter().map(AsRef::as_ref).collect();
        let named = match places::of(facts, &words) {
            Some(places) => places.into_iter().map(|place| command.args[place].clone()).collect(),
            None => upstream.keys_of(&command).await.map_err(|e| self.store_error(in_its_own_words(&words, e)))?,
        };
        let facts = facts.alone();
        let upstream = at.map_or(Ok(upstream), Database::upstream)?;
        Ok(Some(Asked { upstream, named: named.clone(), forwarded: forwarded(at, command, named, &facts), facts }))
    }

    /// A command that ends a script. The server is not asked what it knows of it, as it would not answer; it concerns no database.
    ///
    /// # Errors
    /// It may not go.
    fn freeing<'a>(&self, upstream: &'a dyn Upstream, command: Command) -> Result<Asked<'a>> {
        let facts = Facts { arity: 2, is_part: true, is_dangerous: true, ..Facts::default() };
        let words: Vec<&[u8]> = command.args.iter().map(AsRef::as_ref).collect();
        self.forward_rules.check(&facts, &words)?;
        let forwarded = Forwarded { command, keys: Vec::new(), reads_only: false };
        Ok(Asked { upstream, facts, named: Vec::new(), forwarded })
    }

    /// What the server says of a command that may go.
    ///
    /// # Errors
    /// It may not, or its words are wrong.
    pub(super) fn looked_up<'a>(
        &self,
        at: Option<&Database>,
        table: &'a CommandTable,
        command: &Command,
    ) -> Result<Option<&'a Facts>> {
        let words: Vec<&[u8]> = command.args.iter().map(AsRef::as_ref).collect();
        let Some(facts) = table.find(command.name(), words.get(1).copied()) else {
            return match words.get(1) {
                Some(second) if table.find(command.name(), None).is_some() => {
                    Err(rules::unknown_subcommand(command.name(), second))
                }
                _ => Ok(None),
            };
        };
        self.check_databases(command)?;
        match at {
            None => {
                self.forward_rules.check(facts, &words)?;
                self.keys.check_patterns(&words)?;
            }
            Some(_) => self.check_elsewhere(facts, &words)?,
        }
        if !facts.takes(words.len()) {
            return Err(rules::arity(&words, facts));
        }
        self.keys.check_channel(&words)?;
        Ok(Some(facts))
    }
}

/// What the command itself would be answered whose keys the server cannot tell.
fn in_its_own_words(words: &[&[u8]], error: StoreError) -> StoreError {
    match error {
        StoreError::Reply(line) if line.contains("Invalid arguments specified") => {
            StoreError::Reply(places::mistake(words).to_owned())
        }
        error => error,
    }
}

/// The command with those of its keys that are in the database of the policies.
pub(super) fn forwarded(at: Option<&Database>, command: Command, named: Vec<Bytes>, facts: &Facts) -> Forwarded {
    let keys = match at {
        None => named,
        Some(_) => super::database::key_at_home(&command).into_iter().collect(),
    };
    Forwarded { command, keys, reads_only: facts.reads_only }
}
