//! The store: where entries live beyond this process. Redis, or the embedded memory store.
//!
//! One contract suite runs on every adapter. Typed methods serve the cache's own work; [`Store::call`] carries the commands of
//! raw domains as Redis knows them, so that both adapters give Redis' answers. Deliberately absent: policies, envelopes, domains.

use async_trait::async_trait;
use bytes::Bytes;

use super::coherence::Watcher;
use super::lease::LeaseStore;
use super::upstream::{Types, Upstream};

/// A key as the store holds it. Only the engine makes one, from a checked suffix.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct StoreKey(pub Bytes);

impl StoreKey {
    /// Its bytes.
    #[must_use]
    pub fn as_bytes(&self) -> &[u8] {
        &self.0
    }
}

/// Who else may change what the store holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Sharing {
    /// Nobody: a copy in L1 is as good as the store.
    Exclusive,
    /// Other hosts and other programs.
    Shared,
}

/// The life that is left to a key.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ttl {
    /// There is no such key.
    Missing,
    /// It does not expire.
    Never,
    /// It expires in so many milliseconds.
    Ms(u64),
}

/// A value as the store holds it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Held {
    /// The bytes.
    pub bytes: Bytes,
    /// The life that is left; [`Ttl::Missing`] if it was not asked for.
    pub ttl: Ttl,
}

/// What becomes of a key's expiry.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Expire {
    /// It stays as it is; none for a new key.
    Keep,
    /// The key does not expire.
    Never,
    /// The key expires so many milliseconds from now; at least 1.
    InMs(u64),
}

/// What a conditional replacement expects to find.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Expect {
    /// No such key.
    Absent,
    /// A string that begins with these bytes.
    Prefix(Bytes),
}

/// A command of Redis with its arguments; the keys in it are storage keys.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Command {
    /// Name and arguments.
    pub args: Vec<Bytes>,
}

impl Command {
    /// A command of this name.
    #[must_use]
    pub fn new(name: &'static str) -> Self {
        Self { args: vec![Bytes::from_static(name.as_bytes())] }
    }

    /// With one more argument.
    #[must_use]
    pub fn arg(mut self, arg: impl Into<Bytes>) -> Self {
        self.args.push(arg.into());
        self
    }

    /// The name, as given.
    #[must_use]
    pub fn name(&self) -> &[u8] {
        self.args.first().map_or(b"", |name| name)
    }
}

/// An answer of the store, with RESP3's types.
#[derive(Clone, Debug, PartialEq)]
pub enum Reply {
    /// Nothing.
    Nil,
    /// Nothing where there would be a list, which RESP2 tells from other nothings.
    NilArray,
    /// A status: `OK`.
    Status(Bytes),
    /// A number.
    Integer(i64),
    /// Bytes.
    Bulk(Bytes),
    /// A list.
    Array(Vec<Self>),
    /// Names and values.
    Map(Vec<(Self, Self)>),
    /// Names and values in an order, where a name may come again: a list of pairs, which RESP2 has as one flat list.
    Pairs(Vec<(Self, Self)>),
    /// A set.
    Set(Vec<Self>),
    /// A floating-point number.
    Double(f64),
    /// Yes or no.
    Boolean(bool),
    /// Text with the three letters of its form: `txt`, `mkd`.
    Verbatim(Bytes, Bytes),
    /// A number of any size, as digits.
    BigNumber(Bytes),
    /// What comes without being asked for: a message, or the confirmation of a subscription.
    Push(Vec<Self>),
    /// An error with its code, as Redis words it: `WRONGTYPE Operation against …`.
    Error(String),
}

impl Reply {
    /// `OK`.
    #[must_use]
    pub const fn ok() -> Self {
        Self::Status(Bytes::from_static(b"OK"))
    }
}

/// Why the store did not do it.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum StoreError {
    /// It cannot be reached. Nothing was done.
    #[error("the store cannot be reached: {0}")]
    Unavailable(String),
    /// It is being connected to for the first time. Nothing was done, and it says nothing of the store yet.
    #[error("the store is being connected to: {0}")]
    Connecting(String),
    /// The connection ended before the answer. The work may or may not have been done.
    #[error("the connection to the store broke before the answer: {0}")]
    Broken(String),
    /// No answer in time. The work may or may not have been done.
    #[error("the store did not answer within {0} ms")]
    Timeout(u64),
    /// This host has too many calls under way. Nothing was sent, and it says nothing of the store.
    #[error("too many calls wait for the store's answers: {0}")]
    Busy(String),
    /// It answered with an error of its own, in Redis' words.
    #[error("{0}")]
    Reply(String),
    /// It answered something that the protocol does not allow here.
    #[error("the store gave an answer that makes no sense: {0}")]
    Protocol(String),
}

/// What the store answers.
pub type StoreResult<T> = Result<T, StoreError>;

/// Where entries live. Every method has a deadline of the adapter's; all may be cancelled at any await without harm to the adapter.
#[async_trait]
pub trait Store: Send + Sync {
    /// Who else may change what it holds.
    fn sharing(&self) -> Sharing;

    /// Whether one server holds all keys, so that a question that goes along with a command fails only where the command does.
    fn is_one_server(&self) -> bool {
        false
    }

    /// What it does with leases: beside the entries that it holds.
    fn leases(&self) -> &dyn LeaseStore;

    /// Tells of every change from now on, if it can: whether it will. Only a store that nobody shares can.
    fn tell(&self, _watcher: Watcher) -> bool {
        false
    }

    /// The string under a key, with the life left to it if `with_ttl`.
    ///
    /// # Errors
    /// [`StoreError::Reply`] with `WRONGTYPE` if it holds no string.
    async fn get(&self, key: &StoreKey, with_ttl: bool) -> StoreResult<Option<Held>>;

    /// The strings under many keys, in order, in one round trip; a key with another type is `None`, as `MGET` has it.
    async fn get_many(&self, keys: &[StoreKey], with_ttl: bool) -> StoreResult<Vec<Option<Held>>>;

    /// Stores a string, whatever was there.
    async fn set(&self, key: &StoreKey, value: Bytes, expire: Expire) -> StoreResult<()>;

    /// Stores many strings in one round trip; not atomic as a whole.
    async fn set_many(&self, items: Vec<(StoreKey, Bytes, Expire)>) -> StoreResult<()>;

    /// Stores a string if the key holds what is expected; atomic. Whether it did.
    async fn replace(&self, key: &StoreKey, expect: Expect, value: Bytes, expire: Expire) -> StoreResult<bool>;

    /// Removes a string if it begins with these bytes; atomic. Whether it did.
    async fn remove(&self, key: &StoreKey, prefix: Bytes) -> StoreResult<bool>;

    /// Adds to the number under a key, which lives for `ttl_ms` if it is new and for ever if there is none; atomic. The number
    /// after it.
    ///
    /// # Errors
    /// [`StoreError::Reply`] if it holds no number, or the sum does not fit.
    async fn increment(&self, key: &StoreKey, delta: i64, ttl_ms: Option<u64>) -> StoreResult<i64>;

    /// Removes keys of any type in one round trip: for each, whether it was there.
    async fn delete(&self, keys: &[StoreKey]) -> StoreResult<Vec<bool>>;

    /// The life left to a key of any type.
    async fn ttl(&self, key: &StoreKey) -> StoreResult<Ttl>;

    /// Changes a key's expiry. Whether there is such a key. [`Expire::Keep`] only asks.
    async fn expire(&self, key: &StoreKey, expire: Expire) -> StoreResult<bool>;

    /// Carries out one command. An error that Redis itself would answer is a [`Reply::Error`].
    async fn call(&self, command: Command) -> StoreResult<Reply>;

    /// Carries out commands in order in one round trip; not atomic as a whole. One answer for each.
    async fn pipeline(&self, commands: Vec<Command>) -> StoreResult<Vec<Reply>>;

    /// Carries out commands at one moment: nobody sees or changes anything between two of them. One answer for each, an error
    /// of one command included, which undoes none of the others.
    ///
    /// # Errors
    /// [`StoreError::Reply`] if the store refused them as a whole (out of memory, keys in several slots of a cluster): nothing
    /// was done.
    async fn atomic(&self, commands: Vec<Command>) -> StoreResult<Vec<Reply>>;

    /// Carries out blocks of commands in order, in as few round trips as it can: each block at one moment, as [`Self::atomic`] does
    /// it, and others may come between two of them. What became of each block.
    ///
    /// # Errors
    /// What keeps all of them from being answered; what concerns one block is its own.
    async fn sequence(&self, blocks: Vec<Vec<Command>>) -> StoreResult<Vec<StoreResult<Vec<Reply>>>> {
        let mut all = Vec::with_capacity(blocks.len());
        for block in blocks {
            all.push(match <[Command; 1]>::try_from(block) {
                Ok([one]) => self.call(one).await.map(|reply| vec![reply]),
                Err(block) => self.atomic(block).await,
            });
        }
        Ok(all)
    }

    /// Begins to watch keys.
    ///
    /// # Errors
    /// [`StoreError::Busy`] if too many callers watch already.
    async fn watch(&self, keys: &[StoreKey]) -> StoreResult<Box<dyn Watch>>;

    /// Whether it answers.
    async fn ping(&self) -> StoreResult<()>;

    /// The store as a Redis that any command can be forwarded to, if it is one.
    fn upstream(&self) -> Option<&dyn Upstream> {
        None
    }
}

/// Keys that are watched for changes by anybody, the watcher and other programs included. Dropping it ends the watch.
#[async_trait]
pub trait Watch: Send {
    /// Watches more keys.
    async fn add(&mut self, keys: &[StoreKey]) -> StoreResult<()>;

    /// Carries out commands as [`Store::atomic`] does, unless a watched key was changed, has expired or came to be since it is
    /// watched: `None`, and nothing was done. A key that was written with what it held may count as changed. A store that is no
    /// Redis has but [`Types::Rich`].
    async fn commit(self: Box<Self>, commands: Vec<Command>, types: Types) -> StoreResult<Option<Vec<Reply>>>;
}
