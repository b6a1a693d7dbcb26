//! What a store that is a Redis can do beyond [`super::store::Store`]: carry out any command that it knows, on the shared connection
//! or on one that a caller has for itself, and send what is published.
//!
//! Here are no rules: which command may go, and on which keys, is the engine's to say.

use std::collections::HashMap;
use std::sync::Arc;

use async_trait::async_trait;
use bytes::Bytes;
use tokio::sync::mpsc;

use super::store::{Command, Reply, Store, StoreResult};

/// Which protocol's types the answers have. They are not the same data in two forms: `ZRANGE … WITHSCORES` is a flat list in one
/// and a list of pairs in the other.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Types {
    /// RESP2.
    Flat,
    /// RESP3.
    Rich,
}

/// What the server says of one of its commands.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Facts {
    /// Words with the name; negative: at least so many.
    pub arity: i64,
    /// Whether it is a part of another one: `XGROUP CREATE`.
    pub is_part: bool,
    /// Whether it only reads.
    pub reads_only: bool,
    /// Whether it is for operators, or may do harm: `admin` or `dangerous`.
    pub is_dangerous: bool,
    /// Where the first key is among the words; 0: there is none, or nobody can tell from positions alone.
    pub first: usize,
    /// The last one; negative: so many from the end.
    pub last: isize,
    /// From each to the next.
    pub step: usize,
    /// Whether positions do not tell all keys.
    pub movable: bool,
    /// Its subcommands by their names in small letters, without the container's.
    pub subcommands: HashMap<Box<[u8]>, Self>,
}

impl Facts {
    /// Whether it may have so many words.
    #[must_use]
    pub fn takes(&self, words: usize) -> bool {
        let words = i64::try_from(words).unwrap_or(i64::MAX);
        if self.arity < 0 { words >= -self.arity } else { self.arity == 0 || words == self.arity }
    }

    /// The same without its subcommands.
    #[must_use]
    pub fn alone(&self) -> Self {
        let &Self { arity, is_part, reads_only, is_dangerous, first, last, step, movable, .. } = self;
        Self { arity, is_part, reads_only, is_dangerous, first, last, step, movable, subcommands: HashMap::new() }
    }

    /// The places of the keys among so many words, as positions tell them.
    pub fn places(&self, words: usize) -> impl Iterator<Item = usize> + use<> {
        let end = match usize::try_from(self.last) {
            Ok(last) => last + 1,
            Err(_) => (words + 1).saturating_sub(self.last.unsigned_abs()),
        };
        let end = end.min(words);
        let first = if self.first == 0 { end } else { self.first.min(end) };
        (first..end).step_by(self.step.max(1))
    }
}

/// All commands of a server, by their names in small letters.
#[derive(Clone, Debug, Default)]
pub struct CommandTable {
    commands: HashMap<Box<[u8]>, Facts>,
}

impl CommandTable {
    /// A table of these commands.
    #[must_use]
    pub const fn new(commands: HashMap<Box<[u8]>, Facts>) -> Self {
        Self { commands }
    }

    /// The command, or the subcommand, that these words call; `None` if the server knows none.
    #[must_use]
    pub fn find(&self, name: &[u8], second: Option<&[u8]>) -> Option<&Facts> {
        let facts = self.commands.get(name.to_ascii_lowercase().as_slice())?;
        match second {
            Some(second) if !facts.subcommands.is_empty() => {
                facts.subcommands.get(second.to_ascii_lowercase().as_slice())
            }
            _ => Some(facts),
        }
    }
}

/// A connection of the store's that one caller has for itself. Dropping it ends what it is doing.
#[async_trait]
pub trait Dedicated: Send {
    /// Carries out one command, however long it takes.
    async fn call(&mut self, command: Command) -> StoreResult<Reply>;
}

/// What comes by itself over a connection that listens.
#[derive(Clone, Debug, PartialEq)]
pub enum Heard {
    /// A confirmation or a message: [`Reply::Push`].
    Push(Reply),
    /// The connection is gone, and with it all subscriptions.
    Lost,
}

/// The store as a Redis.
#[async_trait]
pub trait Upstream: Send + Sync {
    /// Its commands, if they were asked for already on the present connection.
    fn known(&self) -> Option<Arc<CommandTable>>;

    /// Its commands.
    async fn commands(&self) -> StoreResult<Arc<CommandTable>>;

    /// The keys in a command, as the server itself finds them. An error of the server is an `Err` in its words.
    async fn keys_of(&self, command: &Command) -> StoreResult<Vec<Bytes>>;

    /// Carries out one command on the shared connection, within the store's deadline.
    async fn forward(&self, command: Command, types: Types) -> StoreResult<Reply>;

    /// Carries out commands on the shared connection in this order, each for itself, within one deadline of the store's. One answer
    /// for each.
    async fn forward_all(&self, commands: Vec<Command>, types: Types) -> StoreResult<Vec<Reply>>;

    /// Carries out commands at one moment, as [`super::store::Store::atomic`] does, with answers of these types. What would wait
    /// elsewhere does not wait within a block.
    ///
    /// # Errors
    /// As there.
    async fn atomic(&self, commands: Vec<Command>, types: Types) -> StoreResult<Vec<Reply>>;

    /// A connection for a command that may hold it up. In a cluster it leads to the node of the command's first key.
    async fn open(&self, command: &Command, types: Types) -> StoreResult<Box<dyn Dedicated>>;

    /// A connection that listens, for this command and those after it; what it hears goes into `heard` in order, and an answer to
    /// a command comes after all that was heard before it.
    async fn listen(&self, command: &Command, heard: mpsc::UnboundedSender<Heard>) -> StoreResult<Box<dyn Dedicated>>;

    /// Whether it has databases besides the one that this store is.
    fn has_databases(&self) -> bool;

    /// Another of its databases, by its number, which is not 0: a store of its own that shares this one's bounds.
    ///
    /// # Errors
    /// An error of the server, in its words: there is no such database. [`super::store::StoreError::Busy`]: too many are in use.
    async fn database(&self, number: u32) -> StoreResult<Arc<dyn Store>>;

    /// What the server says of its databases that hold something, by their numbers: this store's own is 0.
    async fn keyspace(&self) -> StoreResult<Vec<(u32, String)>>;

    /// How many clients of the server wait for what others do, whosever they are; `None`: it cannot say.
    async fn blocked(&self) -> StoreResult<Option<u64>>;
}
