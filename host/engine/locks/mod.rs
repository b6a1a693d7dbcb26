//! Locks for front ends and policies over the store's atomic steps: lines of waiters, guards, what this host holds.
//!
//! [`LockKeeper`] is the face. Invariants: a lock that was taken for a caller who is gone, or whose answer was lost, is given
//! back in the background; a guard's renewal ends before its release begins; what this host holds and who waits in it is
//! bounded. The host's table of held locks is for the gauge and for the bound only: who holds a lock is the store's to say.

mod guard;
mod keeper;
mod keys;
mod line;
mod mine;
mod span;

pub use self::keeper::{LockKeeper, LockSettings};
