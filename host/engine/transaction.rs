//! Transactions: commands that the store carries out at one moment, unless a watched key has changed.
//!
//! Each command is prepared first: policies are asked, values sealed, keys mapped. Then all go to the store as one block, and its replies
//! are read as the commands would have read them. So nothing of any client falls between two of them, and nothing is done halfway. What a
//! command is refused for when it is prepared is its answer in the block; the others are carried out, as Redis does with an
//! error at run time.
//!
//! Whoever watches reads what is in the store: a watched key's copy in L1 is dropped when the watch begins.
//!
//! An enveloped value that depends on the one before it (`INCR`, `APPEND`, `SET … NX`, `EXPIRE`, …) is made in this host from what
//! it has read, so it cannot be part of a block that reads and writes at one moment: [`Engine::may_queue`] refuses it by name.

pub(super) mod prepare;

use bytes::Bytes;

use self::prepare::Prepared;
use super::core::Engine;
use super::judge::Wanted;
use super::step::{DataCommand, Forwarded, Step};
use crate::error::{Error, ErrorKind, Result};
use crate::limits::WATCHED_KEYS_MAX;
use crate::ports::lease::Ending;
use crate::ports::policy::{Encoding, Operation};
use crate::ports::store::{Command, Reply, StoreResult, Watch};
use crate::ports::upstream::Types;

/// Keys that one client watches.
pub struct Watched {
    pub(super) watch: Box<dyn Watch>,
    pub(super) keys: usize,
}

impl Engine {
    /// Watches keys, besides those that are watched.
    ///
    /// # Errors
    /// A bad key, too many, a failure of the store: then nothing is watched any more, what was before included.
    pub async fn watch(&self, before: Option<Watched>, keys: &[Bytes]) -> Result<Watched> {
        let count = before.as_ref().map_or(0, |before| before.keys) + keys.len();
        if count > WATCHED_KEYS_MAX {
            let message = format!("{count} keys are to be watched, {WATCHED_KEYS_MAX} are allowed");
            return Err(Error::new(ErrorKind::InvalidArgument, message));
        }
        let places =
            keys.iter().map(|key| self.locate(key, Operation::Read, Wanted::Any)).collect::<Result<Vec<_>>>()?;
        // What is carried over later would look like a change.
        self.arrive(places.iter()).await?;
        let store_keys: Vec<_> = places.iter().map(|place| place.store_key.clone()).collect();
        let watch = match before {
            Some(Watched { mut watch, .. }) => watch.add(&store_keys).await.map(|()| watch),
            None => self.store.watch(&store_keys).await,
        };
        let watch = watch.map_err(|e| self.store_error(e))?;
        // What is read from now on is no older than the watch.
        places.iter().for_each(|place| self.l1.writing(place.name).done(None));
        Ok(Watched { watch, keys: count })
    }

    /// Whether a command can be part of a transaction.
    ///
    /// # Errors
    /// A bad key, keys of several domains where it takes those of one, a value in an envelope that would have to be opened.
    pub fn may_queue(&self, name: &str, step: &Step) -> Result<()> {
        let (keys, apart) = step_keys(step);
        let mut first = None;
        for key in keys {
            let (_, key) = self.resolve(key)?;
            if step.opens() && key.live.description.encoding == Encoding::Enveloped {
                return Err(unsupported(name, &key.live.domain));
            }
            let first = first.get_or_insert_with(|| key.live.domain.clone());
            if !apart && *first != key.live.domain {
                let message =
                    format!("the keys are of the domains '{first}' and '{}'; they must be of one", key.live.domain);
                return Err(Error::new(ErrorKind::InvalidArgument, message));
            }
        }
        Ok(())
    }

    /// Carries out commands at one moment; one answer for each. `None`: a watched key was changed, and nothing was done. What is
    /// forwarded among them is answered in these types, and then all are.
    ///
    /// # Errors
    /// The store failed, or refused them as a whole: nothing was done, unless it did not answer in time.
    pub async fn execute(
        &self,
        steps: &[Step],
        watched: Option<Watched>,
        types: Types,
    ) -> Result<Option<Vec<Result<Reply>>>> {
        let forwards = steps.iter().any(|step| matches!(step, Step::Forward(_)));
        let types = if forwards { types } else { Types::Rich };
        let mut prepared = Vec::with_capacity(steps.len());
        for step in steps {
            prepared.push(self.prepare(step).await);
        }
        let changed = || prepared.iter().flatten().flat_map(|prepared: &Prepared<'_>| prepared.changed());
        let writings: Vec<_> = changed().map(|place| self.l1.writing(place.name)).collect();
        // Loads of these keys that are under way end before the keys are changed.
        let mut block: Vec<_> = changed().filter_map(|place| self.fills.ending(place, Ending::Written)).collect();
        let endings = block.len();
        block.extend(prepared.iter().flatten().flat_map(|prepared| prepared.commands.iter().cloned()));
        let replies = match watched {
            Some(Watched { watch, .. }) => watch.commit(block, types).await,
            None if block.is_empty() => Ok(Some(Vec::new())),
            None => self.send_block(block, types).await.map(Some),
        };
        changed().for_each(|place| self.fills.overtake(place));
        let Some(replies) = replies.map_err(|e| self.store_error(e))? else { return Ok(None) };
        writings.into_iter().for_each(|writing| writing.done(None));
        let mut replies = replies.into_iter().skip(endings);
        let mut answers = Vec::with_capacity(steps.len());
        for prepared in prepared {
            answers.push(match prepared {
                Ok(prepared) => {
                    let own = replies.by_ref().take(prepared.commands.len()).collect();
                    self.finish(prepared, own).await
                }
                Err(error) => Err(error),
            });
        }
        Ok(Some(answers))
    }

    async fn send_block(&self, block: Vec<Command>, types: Types) -> StoreResult<Vec<Reply>> {
        match (types, self.store.upstream()) {
            (Types::Flat, Some(upstream)) => upstream.atomic(block, types).await,
            _ => self.store.atomic(block).await,
        }
    }
}

impl Step {
    /// Whether an envelope would have to be opened for it, and what it finds there decide what is written.
    fn opens(&self) -> bool {
        match self {
            Self::Command(DataCommand { form, .. }) => form.opens,
            Self::Set { options, .. } => !options.is_plain(),
            Self::Expire { .. } | Self::Persist(_) | Self::GetAndExpire { .. } => true,
            Self::Forward(_)
            | Self::Read { .. }
            | Self::SetMany(_)
            | Self::Delete(_)
            | Self::Scan(_)
            | Self::Keys(_)
            | Self::Size => false,
        }
    }
}

fn step_keys(step: &Step) -> (Vec<&[u8]>, bool) {
    match step {
        Step::Command(command) => {
            (command.keys.iter().map(|&at| command.args[at].as_ref()).collect(), command.form.apart)
        }
        Step::Forward(Forwarded { keys, .. }) | Step::Read { keys, .. } | Step::Delete(keys) => {
            (keys.iter().map(AsRef::as_ref).collect(), true)
        }
        Step::Set { key, .. } | Step::Expire { key, .. } | Step::Persist(key) | Step::GetAndExpire { key, .. } => {
            (vec![key], true)
        }
        Step::SetMany(items) => (items.iter().map(|(key, _)| key.as_ref()).collect(), true),
        Step::Scan(_) | Step::Keys(_) | Step::Size => (Vec::new(), true),
    }
}

/// A command that would have to open an envelope to know what to write.
pub(super) fn unsupported(name: &str, domain: &str) -> Error {
    let message = format!(
        "{} cannot do this in the domain '{domain}', whose values are kept with their stamps: what it writes depends on what is there",
        name.to_ascii_uppercase()
    );
    Error::new(ErrorKind::Unsupported, message)
}
