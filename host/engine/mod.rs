//! What a cache does. All decisions; no I/O, no protocol and no clock of its own.
//!
//! [`Engine`] is the face; its methods stand in one file for each noun: [`key`] and `judge` (where a key is kept, what the policy
//! says), `read`, `demand`, `sight`, `load` and `refresh`, `batch`, `batch_load`, `batch_write` and `plan` (many keys), `write`, `remove`, `expiry`, `update`,
//! `command`, `sequence` (several of one client in a row), `explain`, `invalidate` and `scan`, [`warm`], `migrate` (older key versions). What they share: [`entry`] and [`envelope`] (a
//! value with its stamps, in memory and in the store), `found` (an entry that was read), `copy` (one for L1), [`compress`], [`freshness`] (pure),
//! [`l1`], [`hot`] (keys that are read most), `modify` (read, judge, write, atomically), and what tells an entry that was invalidated:
//! [`generation`] (pure), `known` and `compare` (what this node knows of generations), `standing` (asks the store for them). [`fill`]
//! says who may load a key and who waits for it, [`tracking`] which clients keep copies of their own. [`locks`] stand on their own: they know keys and a store's atomic steps, and nothing of
//! entries.

pub mod api;
mod batch;
mod batch_load;
mod batch_write;
mod coherence;
mod command;
mod compare;
pub mod compress;
mod copy;
mod core;
mod demand;
pub mod entry;
pub mod envelope;
mod event;
mod expiry;
mod explain;
mod fetch;
mod fetched;
pub mod fill;
pub mod forward;
mod found;
pub mod freshness;
pub mod generation;
pub mod hot;
mod invalidate;
mod judge;
mod judged;
pub mod key;
mod known;
pub mod l1;
mod lent;
mod load;
pub mod locks;
mod migrate;
mod modify;
mod outage;
mod plan;
mod pool;
mod read;
pub mod recent;
mod recovery;
mod refresh;
mod remove;
mod replay;
pub mod scan;
mod seen;
pub mod sequence;
mod settings;
mod sight;
mod space;
mod standing;
pub mod status;
pub mod step;
mod tick;
mod told;
pub mod tracking;
mod transaction;
pub mod transition;
mod under;
mod update;
pub mod warm;
mod way;
mod workflow;
mod write;

pub use self::core::{Engine, store_error};
pub use self::settings::{Ports, Settings};
pub use self::tick::{DueTick, TickSchedule};
pub use self::transaction::Watched;
