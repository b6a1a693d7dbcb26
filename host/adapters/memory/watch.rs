//! Keys that somebody watches before a transaction: each shard tells who watches a key of what is done to it.
//!
//! Invariants: what a watcher is told it is told under the lock of the key's shard, and a transaction holds the locks of all that it
//! watches, so nothing falls between its look and its first command; what is watched is no more when the watch is dropped.
//! A command that changes a key counts, even if the key holds afterwards what it held.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use async_trait::async_trait;
use bytes::Bytes;

use super::commands;
use super::keyspace::Keyspace;
use crate::ports::store::{Command, Reply, StoreKey, StoreResult, Watch};
use crate::ports::upstream::Types;

/// Keys that are watched.
pub(super) struct Watching {
    space: Arc<Keyspace>,
    is_changed: Arc<AtomicBool>,
    /// Each once, and whether it was there when its watch began: one that expires is not told of.
    keys: Vec<(StoreKey, bool)>,
}

impl Watching {
    pub(super) fn new(space: Arc<Keyspace>) -> Self {
        Self { space, is_changed: Arc::default(), keys: Vec::new() }
    }

    /// Watches these keys too.
    pub(super) fn look(&mut self, keys: &[StoreKey]) {
        for key in keys {
            if self.keys.iter().any(|(watched, _)| watched == key) {
                continue;
            }
            let mut view = self.space.lock(std::iter::once(key.as_bytes()));
            let is_there = view.get(key.as_bytes()).is_some();
            view.watch(key.as_bytes(), &self.is_changed);
            self.keys.push((key.clone(), is_there));
        }
    }
}

#[async_trait]
impl Watch for Watching {
    async fn add(&mut self, keys: &[StoreKey]) -> StoreResult<()> {
        self.look(keys);
        Ok(())
    }

    async fn commit(self: Box<Self>, commands: Vec<Command>, _types: Types) -> StoreResult<Option<Vec<Reply>>> {
        let block: Vec<&[Bytes]> = commands.iter().map(|command| &command.args[..]).collect();
        let watched: Vec<&[u8]> = self.keys.iter().map(|(key, _)| key.as_bytes()).collect();
        Ok(commands::call_all(&self.space, &block, &watched, |view| {
            let expired = |(key, was_there): &(StoreKey, bool)| *was_there && !view.has(key.as_bytes());
            !self.is_changed.load(Ordering::Relaxed) && !self.keys.iter().any(expired)
        }))
    }
}

impl Drop for Watching {
    fn drop(&mut self) {
        for (key, _) in &self.keys {
            self.space.lock(std::iter::once(key.as_bytes())).unwatch(key.as_bytes(), &self.is_changed);
        }
    }
}
