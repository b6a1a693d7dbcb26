//! Commands as data: what is known of one that the store carries out as it is, and what a transaction is made of.

use bytes::Bytes;
use smallvec::SmallVec;

use super::api::{AskedTtl, ExpireCondition, SetAnswer, SetOptions};
use crate::ports::policy::Shape;
use crate::ports::store::{Command, Reply};

/// What kind of value a command is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Wanted {
    /// A string: a value or a counter.
    String,
    /// A number in a string.
    Counter,
    /// A hash, a list or a set.
    Shape(Shape),
    /// Whatever is there.
    Any,
}

/// Which of its keys a command may change.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Changes {
    /// None.
    Nothing,
    /// The first one.
    First,
    /// The second one.
    Second,
    /// All.
    All,
}

/// Which of its keys may hold more after a command, or be new: the policy says how long what is there lives.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Grows {
    /// None.
    Nothing,
    /// This one.
    Key(usize),
    /// All.
    All,
}

/// At which end of a list a command puts what is new: the other end is cut if there are too many.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Newest {
    /// On the left.
    Left,
    /// On the right.
    Right,
    /// Where this word of the command says: `LEFT` or `RIGHT`.
    Said(usize),
}

/// What is known of a command that the store carries out as it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Form {
    /// What its keys hold.
    pub wanted: Wanted,
    /// Which of them it may change.
    pub changes: Changes,
    /// Which of them may hold more afterwards.
    pub grows: Grows,
    /// Where in a list that is.
    pub newest: Option<Newest>,
    /// Whether its keys have nothing to do with one another, and so may be of several domains.
    pub apart: bool,
    /// Whether it looks at a string's bytes or life, which in an envelope are others.
    pub opens: bool,
}

impl Form {
    /// A command that reads.
    #[must_use]
    pub const fn reads(wanted: Wanted) -> Self {
        let opens = matches!(wanted, Wanted::String | Wanted::Counter);
        Self { wanted, changes: Changes::Nothing, grows: Grows::Nothing, newest: None, apart: false, opens }
    }

    /// A command that takes something away from its first key.
    #[must_use]
    pub const fn shrinks(wanted: Wanted) -> Self {
        Self { changes: Changes::First, ..Self::reads(wanted) }
    }

    /// A command that adds to its first key.
    #[must_use]
    pub const fn grows(wanted: Wanted) -> Self {
        Self { grows: Grows::Key(0), ..Self::shrinks(wanted) }
    }

    /// A command that may change all of its keys, and adds to these.
    #[must_use]
    pub const fn moves(wanted: Wanted, grows: Grows) -> Self {
        Self { changes: Changes::All, grows, ..Self::reads(wanted) }
    }

    /// It changes its second key instead of the first.
    #[must_use]
    pub const fn copies(wanted: Wanted) -> Self {
        Self { changes: Changes::Second, ..Self::reads(wanted) }
    }

    /// It puts what is new at this end of a list.
    #[must_use]
    pub const fn at(self, newest: Newest) -> Self {
        Self { newest: Some(newest), ..self }
    }

    /// Its keys have nothing to do with one another.
    #[must_use]
    pub const fn apart(self) -> Self {
        Self { apart: true, ..self }
    }

    /// It looks at what is in an envelope.
    #[must_use]
    pub const fn opens(self) -> Self {
        Self { opens: true, ..self }
    }
}

/// Places in a list: nearly always one.
pub type Indices = SmallVec<[usize; 2]>;

/// A command that the store carries out as it is.
#[derive(Clone, Debug)]
pub struct DataCommand {
    /// Its words, the name first, with the application's keys.
    pub args: Vec<Bytes>,
    /// Where the keys are.
    pub keys: Indices,
    /// What is known of it.
    pub form: Form,
}

/// A step of a scan over all keys.
#[derive(Clone, Debug)]
pub struct ScanRequest {
    /// Where it goes on.
    pub cursor: Bytes,
    /// What the keys of applications are to match.
    pub pattern: Option<Bytes>,
    /// The other words, as the client gave them.
    pub options: Vec<Bytes>,
}

/// What a command of a transaction reads of strings.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Read {
    /// The value of one.
    Value,
    /// Those of several.
    Values,
    /// Its length.
    Length,
    /// How many there are.
    Count,
}

/// A command without rules of its own, whose keys are known and may be used.
#[derive(Clone, Debug)]
pub struct Forwarded {
    /// Its words.
    pub command: Command,
    /// Its keys.
    pub keys: Vec<Bytes>,
    /// Whether it changes none of them.
    pub reads_only: bool,
}

impl Step {
    /// The forwarded command, if it is one.
    #[must_use]
    pub const fn forwarded(&self) -> Option<&Forwarded> {
        match self {
            Self::Forward(forwarded) => Some(forwarded),
            _ => None,
        }
    }
}

/// One command of a transaction.
#[derive(Clone, Debug)]
pub enum Step {
    /// One that Redis carries out as it is.
    Forward(Forwarded),
    /// One that the store carries out as it is.
    Command(DataCommand),
    /// Reads strings.
    Read {
        /// Which.
        keys: Vec<Bytes>,
        /// What of them.
        read: Read,
    },
    /// Writes a string.
    Set {
        /// Where.
        key: Bytes,
        /// What.
        value: Bytes,
        /// How.
        options: SetOptions,
        /// What the client is told.
        answer: fn(SetOptions, SetAnswer) -> Reply,
    },
    /// Writes strings.
    SetMany(Vec<(Bytes, Bytes)>),
    /// Removes keys.
    Delete(Vec<Bytes>),
    /// Asks for a lifetime that ends at a wall time.
    Expire {
        /// Whose.
        key: Bytes,
        /// When, in milliseconds since the Unix epoch.
        at_ms: u64,
        /// On what condition.
        condition: ExpireCondition,
    },
    /// Asks for no lifetime.
    Persist(Bytes),
    /// Reads a string and asks for a lifetime.
    GetAndExpire {
        /// Which.
        key: Bytes,
        /// The lifetime.
        ttl: AskedTtl,
    },
    /// A step of a scan.
    Scan(ScanRequest),
    /// All keys that match.
    Keys(Bytes),
    /// How many keys there are.
    Size,
}
