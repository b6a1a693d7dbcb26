//! Some keys, locked: what one command sees, at one moment.
//!
//! Invariant: a type that holds elements is never left without one; its key goes with the last. What commands replace or remove
//! is freed when the locks are given back, for a long list takes its time.

use std::sync::Arc;
use std::sync::atomic::AtomicBool;

use fastrand::Rng;
use parking_lot::MutexGuard;

use super::keyspace::{Keyspace, shard_of};
use super::refusal::Refusal;
use super::shard::{Entries, Entry, Form, NEVER, Shard};
use super::value::{Kind, Value};

/// Some keys, locked.
pub(super) struct View<'a> {
    pub(super) space: &'a Keyspace,
    mask: u64,
    guards: Vec<MutexGuard<'a, Shard>>,
    /// What is to be freed; behind the guards, so that it goes after them.
    spent: Vec<Value>,
    cleared: Vec<Entries>,
    /// Wall time of the command, in milliseconds since the Unix epoch.
    pub(super) now_ms: u64,
}

impl<'a> View<'a> {
    /// With the locks of the shards in `mask`, in order.
    pub(super) fn new(space: &'a Keyspace, mask: u64, guards: Vec<MutexGuard<'a, Shard>>) -> Self {
        Self { space, mask, guards, spent: Vec::new(), cleared: Vec::new(), now_ms: space.now_ms() }
    }

    /// The entry of a key, if there is one.
    pub(super) fn get(&mut self, key: &[u8]) -> Option<&Entry> {
        let (shard, hash) = self.place(key);
        let now_ms = self.now_ms;
        self.guards[shard].get(hash, key, now_ms)
    }

    /// As [`Self::get`], without taking note of it.
    pub(super) fn peek(&self, key: &[u8]) -> Option<&Entry> {
        let (shard, hash) = self.place(key);
        self.guards[shard].peek(hash, key, self.now_ms)
    }

    /// Whether there is such a key.
    pub(super) fn has(&self, key: &[u8]) -> bool {
        self.peek(key).is_some()
    }

    /// What a key holds, if there is one, by its type.
    pub(super) fn read<K: Kind>(&mut self, key: &[u8]) -> Result<Option<&K>, Refusal> {
        self.get(key).map(|entry| K::of(&entry.value)).transpose()
    }

    /// As [`Self::read`], for several keys at the same time.
    pub(super) fn peek_at<K: Kind>(&self, key: &[u8]) -> Result<Option<&K>, Refusal> {
        self.peek(key).map(|entry| K::of(&entry.value)).transpose()
    }

    /// Changes the entry of a key, if there is one.
    pub(super) fn change<R>(&mut self, key: &[u8], change: impl FnOnce(&mut Entry) -> R) -> Option<R> {
        let (shard, hash) = self.place(key);
        let now_ms = self.now_ms;
        self.guards[shard].change(hash, key, now_ms, change)
    }

    /// Changes what a key holds, if there is one, by its type.
    pub(super) fn edit<K: Kind, R>(
        &mut self,
        key: &[u8],
        edit: impl FnOnce(&mut K) -> R,
    ) -> Result<Option<R>, Refusal> {
        let mut is_empty = false;
        let edited = self.change(key, |entry| {
            let kind = K::of_mut(&mut entry.value)?;
            let result = edit(kind);
            is_empty = kind.len() == 0;
            Ok(result)
        });
        if is_empty {
            self.discard(key);
        }
        edited.transpose()
    }

    /// As [`Self::edit`]; a key that is absent begins with nothing in it.
    pub(super) fn make<K: Kind, R>(&mut self, key: &[u8], edit: impl FnOnce(&mut K) -> R) -> Result<R, Refusal> {
        if !self.has(key) {
            self.put(key, K::default().wrap(), NEVER);
        }
        self.edit(key, edit)?.ok_or(Refusal::NO_SUCH_KEY)
    }

    /// Stores a value, whatever was there.
    pub(super) fn put(&mut self, key: &[u8], value: Value, expires_ms: u64) {
        let (shard, hash) = self.place(key);
        let now_ms = self.now_ms;
        let before = self.guards[shard].put(hash, key, value, expires_ms, now_ms);
        self.spend(before);
    }

    /// Stores elements, whatever was there; none of them is no key.
    pub(super) fn put_kind<K: Kind>(&mut self, key: &[u8], kind: K) {
        if kind.len() == 0 {
            self.discard(key);
        } else {
            self.put(key, kind.wrap(), NEVER);
        }
    }

    /// Takes note of how the string under a key came about that was stored a moment ago.
    pub(super) fn set_form(&mut self, key: &[u8], form: Form) {
        if form != Form::Whole {
            self.change(key, |entry| entry.form = form);
        }
    }

    /// Removes a key; its entry if there was one.
    pub(super) fn remove(&mut self, key: &[u8]) -> Option<Entry> {
        let (shard, hash) = self.place(key);
        let now_ms = self.now_ms;
        self.guards[shard].remove(hash, key, now_ms)
    }

    /// Removes a key that nobody wants to see; whether there was one.
    pub(super) fn discard(&mut self, key: &[u8]) -> bool {
        let entry = self.remove(key);
        let was_there = entry.is_some();
        self.spend(entry.map(|entry| entry.value));
        was_there
    }

    /// Removes every key of the locked shards.
    pub(super) fn clear(&mut self) {
        self.cleared.extend(self.guards.iter_mut().map(|shard| shard.clear()));
        self.space.tell_all();
    }

    /// Every entry of the locked shards, those past their expiry included, shard by shard.
    pub(super) fn shards(&self) -> impl Iterator<Item = &[Entry]> {
        self.guards.iter().map(|shard| shard.entries().as_slice())
    }

    /// As [`Keyspace::scan`]; what this view has locked is not locked again.
    pub(super) fn scan(&self, cursor: u64, limit: usize, look: impl FnMut(&Entry)) -> u64 {
        let locked = |shard: usize| {
            let below = self.mask & ((1 << shard) - 1);
            (self.mask >> shard & 1 == 1).then(|| &*self.guards[below.count_ones() as usize])
        };
        self.space.scan(cursor, limit, locked, look)
    }

    /// Lets `watch` know of what is done to a key from now on.
    pub(super) fn watch(&mut self, key: &[u8], watch: &Arc<AtomicBool>) {
        let (shard, _) = self.place(key);
        self.guards[shard].watch(key, watch);
    }

    /// The same no more.
    pub(super) fn unwatch(&mut self, key: &[u8], watch: &Arc<AtomicBool>) {
        let (shard, _) = self.place(key);
        self.guards[shard].unwatch(key, watch);
    }

    /// As [`Keyspace::room`].
    pub(super) fn room(&self, bytes: usize) -> Result<(), Refusal> {
        self.space.room(bytes)
    }

    /// Chance for one command.
    pub(super) fn chance(&self) -> Rng {
        Rng::with_seed(self.space.random())
    }

    fn spend(&mut self, value: Option<Value>) {
        self.spent.extend(value.filter(|value| matches!(value, Value::Boxed(_))));
    }

    /// Which of the guards has a key's shard (as many as there are locked shards below it), and the key's hash.
    fn place(&self, key: &[u8]) -> (usize, u64) {
        let hash = self.space.hash(key);
        let shard = shard_of(hash);
        assert!(self.mask >> shard & 1 == 1, "a command touched a key that it did not lock");
        ((self.mask & ((1 << shard) - 1)).count_ones() as usize, hash)
    }
}
