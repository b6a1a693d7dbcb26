//! A transaction that a client has begun: what it has queued, and the keys that it watches.
//!
//! Invariants: what is queued has a bound; a command that was refused when it was queued lets the whole fail; keys whose watch was lost
//! count as changed.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, OnceLock};

use bytes::Bytes;

use super::args::Args;
use super::claims::Access;
use super::commands::{SessionFn, Spec};
use super::errors;
use crate::engine::Watched;
use crate::engine::step::Forwarded;
use crate::limits::{QUEUED_BYTES_MAX, QUEUED_COMMANDS_MAX};
use crate::ports::store::Reply;

/// Keys that a connection watches.
#[derive(Default)]
pub enum Watching {
    /// None.
    #[default]
    Nothing,
    /// These.
    Keys(Watched),
    /// Some, of which nobody knows any more whether they were changed.
    Lost,
}

/// A command that waits for `EXEC`.
pub enum Queued {
    /// On the connection.
    Session(SessionFn, Args),
    /// On data.
    Data(&'static Spec, Args),
    /// One that is forwarded: filled before anything after it is looked at, unless it is refused.
    Forward(Arc<OnceLock<Forwarded>>),
}

/// What came since `MULTI`.
#[derive(Default)]
pub struct Transaction {
    queued: Vec<Queued>,
    bytes: usize,
    /// Also set by what is looked at while it is queued.
    is_refused: Arc<AtomicBool>,
}

impl Transaction {
    /// Queues a command that takes so many bytes.
    ///
    /// # Errors
    /// The error line: there are too many.
    pub fn queue(&mut self, command: Queued, bytes: usize) -> Result<(), Reply> {
        self.bytes = self.bytes.saturating_add(bytes);
        if self.queued.len() >= QUEUED_COMMANDS_MAX || self.bytes > QUEUED_BYTES_MAX {
            self.queued.clear();
            return Err(errors::reply(format!(
                "ERR the transaction is too large: {QUEUED_COMMANDS_MAX} commands and {QUEUED_BYTES_MAX} bytes are allowed"
            )));
        }
        // What will not be carried out need not be kept.
        if !self.is_refused() {
            self.queued.push(command);
        }
        Ok(())
    }

    /// Notes that a command was refused: none of the others will be carried out.
    pub fn refuse(&mut self) {
        self.is_refused.store(true, Ordering::Relaxed);
        self.queued.clear();
    }

    /// Whether a command was refused.
    #[must_use]
    pub fn is_refused(&self) -> bool {
        self.is_refused.load(Ordering::Relaxed)
    }

    /// How a command that is looked at while it is queued refuses the whole.
    #[must_use]
    pub fn refusal(&self) -> Arc<AtomicBool> {
        Arc::clone(&self.is_refused)
    }

    /// The keys that its commands read.
    pub fn reads(&self) -> Vec<Bytes> {
        let of = |queued: &Queued| match queued {
            Queued::Data(spec, args) if spec.access == Access::Read => {
                spec.keys.of(args.words()).map(Bytes::copy_from_slice).collect()
            }
            Queued::Forward(looked_at) => {
                let reads = looked_at.get().filter(|forwarded| forwarded.reads_only);
                reads.map(|forwarded| forwarded.keys.clone()).unwrap_or_default()
            }
            Queued::Data(..) | Queued::Session(..) => Vec::new(),
        };
        self.queued.iter().flat_map(of).collect()
    }

    /// Whether any of its commands may change something.
    #[must_use]
    pub fn writes(&self) -> bool {
        self.queued.iter().any(|queued| match queued {
            Queued::Data(spec, _) => spec.access == Access::Write,
            Queued::Forward(looked_at) => looked_at.get().is_none_or(|forwarded| !forwarded.reads_only),
            Queued::Session(..) => false,
        })
    }

    /// The commands, in order.
    #[must_use]
    pub fn into_queued(self) -> Vec<Queued> {
        self.queued
    }
}

#[cfg(test)]
mod tests {
    use super::{Queued, Transaction};
    use crate::limits::{QUEUED_BYTES_MAX, QUEUED_COMMANDS_MAX};
    use crate::wire::resp::args::Args;
    use crate::wire::resp::commands::find;

    fn get() -> Queued {
        Queued::Data(find(b"get").unwrap(), Args::parse("get k"))
    }

    #[test]
    fn what_is_queued_is_bounded() {
        let mut many = Transaction::default();
        assert!((0..QUEUED_COMMANDS_MAX).all(|_| many.queue(get(), 10).is_ok()));
        assert!(many.queue(get(), 10).is_err());
        let mut large = Transaction::default();
        assert!(large.queue(get(), QUEUED_BYTES_MAX).is_ok());
        assert!(large.queue(get(), 1).is_err());
    }

    #[test]
    fn nothing_is_kept_once_one_was_refused() {
        let mut transaction = Transaction::default();
        assert!(transaction.queue(get(), 10).is_ok());
        transaction.refuse();
        assert!(transaction.queue(get(), 10).is_ok());
        assert!(transaction.is_refused() && transaction.into_queued().is_empty());
    }
}
