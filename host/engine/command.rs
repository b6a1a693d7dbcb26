//! Commands that the store carries out as they are: hashes, lists, sets, and what concerns keys of any type.
//!
//! One way for all of them: each key's policy is asked for its plan, with the shape; the storage keys take the place of the
//! application's; the store's reply is the answer. What a command adds to lives as its policy says: a key that is new gets its
//! lifetime, one that was there keeps it, unless it slides; a list is cut to its newest elements. Both happen with the command, at
//! one moment. A read renews what slides, where the policy is asked about raw reads. A policy that passes on a value has the key
//! removed behind the command.
//!
//! Collections have no envelope, whatever the domain's encoding: no tags, no stale windows, and no copy in L1. Every key that
//! a command may change is noted there from before the store is asked until after it has answered.

use bytes::Bytes;

use super::core::Engine;
use super::judge::{Place, Verdict};
use super::step::{Changes, DataCommand, Grows, Indices, Newest, Wanted};
use super::transaction::unsupported;
use crate::error::{Error, ErrorKind, Result};
use crate::ports::metrics::State;
use crate::ports::policy::{Candidate, Operation};
use crate::ports::store::{Command, Reply};

/// A command under storage keys, with what follows it.
pub(super) struct Mapped<'a> {
    pub(super) places: Vec<Place<'a>>,
    pub(super) operation: Operation,
    /// Those of the places that it may change.
    pub(super) changed: Indices,
    /// The command itself comes first.
    pub(super) commands: Vec<Command>,
    /// How long the list may be afterwards.
    pub(super) list_max: Option<u32>,
}

impl<'a> Mapped<'a> {
    fn changed_places(&self) -> impl Iterator<Item = &Place<'a>> + Clone {
        self.changed.iter().filter_map(|&at| self.places.get(at))
    }
}

/// What the client is answered, where a list may be so long afterwards.
pub(super) fn first_of(replies: Vec<Reply>, list_max: Option<u32>) -> Reply {
    let reply = replies.into_iter().next().unwrap_or(Reply::Nil);
    match (reply, list_max) {
        (Reply::Integer(length), Some(max)) => Reply::Integer(length.min(max.into())),
        (reply, _) => reply,
    }
}

impl Engine {
    /// Carries out a command as the store knows it.
    ///
    /// # Errors
    /// Keys of several domains; as [`Self::get`]; [`ErrorKind::StoreReply`] in Redis' words.
    pub async fn carry_out(&self, command: &DataCommand) -> Result<Reply> {
        let started_ns = self.monotonic_ns();
        let mapped = self.map_command(command)?;
        let reply = match self.make_way_some(&mapped.places, &mapped.changed).await {
            Ok(()) => self.send(&mapped).await,
            Err(error) => Err(error),
        };
        let state = match &reply {
            Err(error) => Self::state_of(error.kind),
            Ok(_) if mapped.operation != Operation::Read => State::Done,
            Ok(Reply::Nil) => State::Miss,
            Ok(_) => State::StoreHit,
        };
        mapped.places.iter().for_each(|place| self.tally(place, mapped.operation, state, started_ns));
        reply
    }

    async fn send(&self, mapped: &Mapped<'_>) -> Result<Reply> {
        let writings: Vec<_> = mapped.changed_places().map(|place| self.l1.writing(place.name)).collect();
        let replies = self.change(mapped.changed_places(), mapped.commands.clone()).await?;
        writings.into_iter().for_each(|writing| writing.done(None));
        match first_of(replies, mapped.list_max) {
            Reply::Error(text) => Err(Error::new(ErrorKind::StoreReply, text)),
            reply => Ok(reply),
        }
    }

    /// Puts storage keys in the place of the application's, and asks the policy for the lifetime of what is added.
    ///
    /// # Errors
    /// Keys of several domains, a refusal or failure of a policy.
    pub(super) fn map_command<'a>(&self, command: &'a DataCommand) -> Result<Mapped<'a>> {
        let DataCommand { args, keys, form } = command;
        self.check_args(args)?;
        let operation = if form.changes == Changes::Nothing { Operation::Read } else { Operation::Update };
        let is_changed = |at: usize| match form.changes {
            Changes::Nothing => false,
            Changes::First => at == 0,
            Changes::Second => at == 1,
            Changes::All => true,
        };
        let mut sent = args.clone();
        let mut places = Vec::with_capacity(keys.len());
        for (at, &index) in keys.iter().enumerate() {
            let operation = if is_changed(at) { Operation::Update } else { Operation::Read };
            let place = self.locate(&args[index], operation, form.wanted)?;
            if form.opens && place.enveloped() {
                let name = String::from_utf8_lossy(args.first().map_or(&b""[..], |name| name));
                return Err(unsupported(&name, &place.live().domain));
            }
            sent[index] = place.store_key.0.clone();
            places.push(place);
        }
        if !form.apart {
            check_one_domain(&places)?;
        }
        let changed = (0..places.len()).filter(|&at| is_changed(at)).collect();
        let mut mapped = Mapped { places, operation, changed, commands: vec![Command { args: sent }], list_max: None };
        match form.grows {
            Grows::Key(at) => self.follow_growth(&mut mapped, at, command)?,
            Grows::All => (0..keys.len()).try_for_each(|at| self.follow_growth(&mut mapped, at, command))?,
            // Who asks about a key does not use it; `TOUCH` does.
            Grows::Nothing if operation == Operation::Read && (form.wanted != Wanted::Any || form.apart) => {
                self.follow_read(&mut mapped)?;
            }
            Grows::Nothing => {}
        }
        Ok(mapped)
    }

    /// What the policy has follow a command that adds something.
    fn follow_growth(&self, mapped: &mut Mapped<'_>, at: usize, command: &DataCommand) -> Result<()> {
        let Some(place) = mapped.places.get(at) else { return Ok(()) };
        let (operation, candidate) = match (command.form.grows, command.keys.get(at)) {
            // A value behind each key is a value that is written.
            (Grows::All, Some(&index)) => {
                let value = command.args.get(index + 1).map_or(&b""[..], |value| value);
                (Operation::Write, Candidate::written(value))
            }
            _ => (Operation::Update, Candidate::written_of_size(added_bytes(command))),
        };
        let (verdict, list_max) = self.admit_list(place, operation, &candidate)?;
        let key = place.store_key.0.clone();
        let Verdict::Store(terms) = verdict else {
            mapped.commands.push(Command::new("UNLINK").arg(key));
            return Ok(());
        };
        if let (Some(max), Some(newest)) = (list_max, command.form.newest) {
            mapped.commands.push(cut(key.clone(), max, newest, &command.args));
            mapped.list_max = Some(max);
        }
        if let Some(life_ms) = terms.windows().life_ms() {
            let renew = Command::new("PEXPIRE").arg(key).arg(life_ms.to_string());
            mapped.commands.push(if terms.sliding { renew } else { renew.arg("NX") });
        }
        Ok(())
    }

    /// What the policy has follow a read: a new life, where it slides.
    fn follow_read(&self, mapped: &mut Mapped<'_>) -> Result<()> {
        for place in &mapped.places {
            if !place.live().description.wants_raw_reads {
                continue;
            }
            if let Verdict::Store(terms) = self.admit(place, Operation::Read, &Candidate::written_of_size(0))?
                && let (true, Some(life_ms)) = (terms.sliding, terms.fresh_ms)
            {
                let key = place.store_key.0.clone();
                mapped.commands.push(Command::new("PEXPIRE").arg(key).arg(life_ms.to_string()));
            }
        }
        Ok(())
    }

    fn check_args(&self, args: &[Bytes]) -> Result<()> {
        args.iter().try_for_each(|arg| self.check_value(arg))
    }
}

/// # Errors
/// The places are of several domains.
pub(super) fn check_one_domain(places: &[Place<'_>]) -> Result<()> {
    let Some((first, rest)) = places.split_first() else { return Ok(()) };
    let domain = &first.live().domain;
    match rest.iter().find(|place| place.live().domain != *domain) {
        None => Ok(()),
        Some(other) => {
            let message = format!(
                "the keys of this command are of the domains '{domain}' and '{}', whose rules differ; they must be of one",
                other.live().domain
            );
            Err(Error::new(ErrorKind::InvalidArgument, message))
        }
    }
}

/// About how much a command adds.
fn added_bytes(command: &DataCommand) -> usize {
    match command.form.wanted {
        Wanted::Counter => size_of::<i64>(),
        Wanted::String => command.args.last().map_or(0, Bytes::len),
        Wanted::Shape(_) | Wanted::Any => command.args.iter().skip(1).map(Bytes::len).sum(),
    }
}

/// Leaves the newest elements of a list.
fn cut(key: Bytes, max: u32, newest: Newest, args: &[Bytes]) -> Command {
    let is_left = match newest {
        Newest::Left => true,
        Newest::Right => false,
        Newest::Said(at) => args.get(at).is_some_and(|word| word.eq_ignore_ascii_case(b"left")),
    };
    let (first, last) = match (max, is_left) {
        // "The last 0" would be all of them.
        (0, _) => (1, 0),
        (max, true) => (0, i64::from(max) - 1),
        (max, false) => (-i64::from(max), -1),
    };
    Command::new("LTRIM").arg(key).arg(first.to_string()).arg(last.to_string())
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;

    use super::{Newest, cut};

    #[test]
    fn a_list_is_cut_where_it_is_old() {
        let check = |max, newest, words: &str, expected: &str| {
            let args: Vec<Bytes> = words.split(' ').map(|word| Bytes::copy_from_slice(word.as_bytes())).collect();
            let command = cut(Bytes::from_static(b"k"), max, newest, &args);
            let words: Vec<_> = command.args.iter().map(|word| String::from_utf8_lossy(word)).collect();
            assert_eq!(words.join(" "), expected);
        };
        check(3, Newest::Left, "LPUSH k v", "LTRIM k 0 2");
        check(3, Newest::Right, "RPUSH k v", "LTRIM k -3 -1");
        check(3, Newest::Said(4), "LMOVE a k RIGHT left", "LTRIM k 0 2");
        check(3, Newest::Said(4), "LMOVE a k LEFT RIGHT", "LTRIM k -3 -1");
        check(0, Newest::Right, "RPUSH k v", "LTRIM k 1 0");
    }
}
