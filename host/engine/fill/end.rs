//! What writes, deletes and invalidations of a key do to its lease: they end it, before they change the entry.

use bytes::Bytes;

use super::Fills;
use crate::engine::api::SetOptions;
use crate::engine::core::Engine;
use crate::engine::judge::Place;
use crate::engine::write::raw_set;
use crate::error::{Error, ErrorKind, Result};
use crate::ports::lease::{Ending, LeaseKeys};
use crate::ports::store::{Command, Expire, Reply, Sharing, StoreKey};

impl Fills {
    /// The command that ends the lease of a place, to be sent before the one that changes the entry; `None`: it has no leases.
    pub(in crate::engine) fn ending(&self, place: &Place<'_>, how: Ending) -> Option<Command> {
        // Where nobody loads, what is brought from an older key version is older than any write: there is no doubt to be told of.
        let how = if place.is_leased() { how } else { Ending::Deleted };
        self.ending_of(&place.fence_keys()?, how)
    }

    /// The same for an entry and its lease.
    pub(in crate::engine) fn ending_of(&self, keys: &LeaseKeys, how: Ending) -> Option<Command> {
        // Where nobody shares the store every lease is of this node.
        let alone = self.desk.store.sharing() == Sharing::Exclusive;
        let may = !self.is_open() && (!alone || self.desk.counts.may_hold(keys.entry.as_bytes()));
        may.then(|| keys.ending(how))
    }

    /// The key was written, removed or invalidated here: who waits for an older load looks again. To be called before the change is
    /// acknowledged, whatever came of it.
    pub(in crate::engine) fn overtake(&self, place: &Place<'_>) {
        if place.is_fenced() {
            self.overtake_entry(&place.store_key);
        }
    }

    /// The same for an entry.
    pub(in crate::engine) fn overtake_entry(&self, entry: &StoreKey) {
        self.desk.flights.overtake(entry.as_bytes());
    }
}

impl Engine {
    /// Ends the leases of keys that are about to be changed, where they may have some.
    ///
    /// # Errors
    /// A failure of the store.
    pub(in crate::engine) async fn end_leases<'a>(
        &self,
        places: impl Iterator<Item = &'a Place<'a>>,
        how: Ending,
    ) -> Result<()> {
        self.send_endings(places.filter_map(|place| self.fills.ending(place, how)).collect()).await
    }

    /// Ends these leases; who waits for their loads looks again.
    ///
    /// # Errors
    /// A failure of the store.
    pub(in crate::engine) async fn end_found_leases(&self, found: &[LeaseKeys], how: Ending) -> Result<()> {
        let ended = self.send_endings(found.iter().filter_map(|keys| self.fills.ending_of(keys, how)).collect()).await;
        found.iter().for_each(|keys| self.fills.overtake_entry(&keys.entry));
        ended
    }

    async fn send_endings(&self, commands: Vec<Command>) -> Result<()> {
        if commands.is_empty() {
            return Ok(());
        }
        let replies = self.store.pipeline(commands).await.map_err(|e| self.store_error(e))?;
        replies.into_iter().try_for_each(done)
    }

    /// Stores a string, whatever was there, and ends its lease before, in one round trip; with a question that goes along, if there is one, and
    /// its answer.
    ///
    /// # Errors
    /// A failure of the store.
    pub(in crate::engine) async fn set_and_end(
        &self,
        place: &Place<'_>,
        value: Bytes,
        expire: Expire,
        along: Option<Command>,
    ) -> Result<Option<Reply>> {
        let ending = self.fills.ending(place, Ending::Written);
        if ending.is_none() && along.is_none() {
            self.store.set(&place.store_key, value, expire).await.map_err(|e| self.store_error(e))?;
            return Ok(None);
        }
        let set = raw_set(place, value, SetOptions::default(), expire);
        let asks = along.is_some();
        let replies = self.store.pipeline(ending.into_iter().chain([set]).chain(along).collect()).await;
        self.fills.overtake(place);
        let mut replies = replies.map_err(|e| self.store_error(e))?;
        let answer = if asks { replies.pop() } else { None };
        replies.into_iter().try_for_each(done)?;
        Ok(answer)
    }

    /// Sends commands that change these places, and ends their leases before. Several commands are one block. Error replies are among the
    /// answers.
    ///
    /// # Errors
    /// A failure of the store.
    pub(in crate::engine) async fn change<'a>(
        &self,
        places: impl Iterator<Item = &'a Place<'a>> + Clone,
        commands: Vec<Command>,
    ) -> Result<Vec<Reply>> {
        let mut sent: Vec<_> = places.clone().filter_map(|place| self.fills.ending(place, Ending::Written)).collect();
        let endings = sent.len();
        let several = commands.len() > 1;
        sent.extend(commands);
        let replies = match sent.len() {
            1 => self.store.call(sent.remove(0)).await.map(|reply| vec![reply]),
            _ if several => self.store.atomic(sent).await,
            _ => self.store.pipeline(sent).await,
        };
        places.for_each(|place| self.fills.overtake(place));
        let mut replies = replies.map_err(|e| self.store_error(e))?.into_iter();
        replies.by_ref().take(endings).try_for_each(done)?;
        Ok(replies.collect())
    }

    /// The same with one command; an error that the store answers is an error here.
    ///
    /// # Errors
    /// A failure of the store, [`ErrorKind::StoreReply`].
    pub(in crate::engine) async fn change_one(&self, place: &Place<'_>, command: Command) -> Result<Reply> {
        let replies = self.change(std::iter::once(place), vec![command]).await?;
        match replies.into_iter().next().unwrap_or(Reply::Nil) {
            Reply::Error(text) => Err(Error::new(ErrorKind::StoreReply, text)),
            reply => Ok(reply),
        }
    }
}

fn done(reply: Reply) -> Result<()> {
    match reply {
        Reply::Error(text) => Err(Error::new(ErrorKind::StoreReply, text)),
        _ => Ok(()),
    }
}
