//! Databases of the store besides the one in which policies keep their entries: what is asked of them goes there as it is.
//!
//! Invariants: no policy is asked, L1 has no copies of what is there, and nothing of the host's own is there. A key that a command
//! brings from there into database 0 (`MOVE`, `COPY … DB 0`) is looked at as any other that is written there, so none gets among the
//! entries of a policy; what would exchange whole databases is refused. A user needs its role in `default`.

use std::fmt;
use std::sync::Arc;

use bytes::Bytes;

use super::rules;
use crate::engine::core::Engine;
use crate::engine::step::{Forwarded, Step};
use crate::engine::transaction::Watched;
use crate::error::{Error, ErrorKind, Result};
use crate::limits::WATCHED_KEYS_MAX;
use crate::ports::store::{Command, Reply, Store, StoreKey};
use crate::ports::upstream::{Facts, Types, Upstream};

/// One of them, for as long as somebody has selected it.
pub struct Database {
    number: u32,
    store: Arc<dyn Store>,
}

impl fmt::Debug for Database {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Database").field("number", &self.number).finish_non_exhaustive()
    }
}

impl Database {
    /// Its number; not 0.
    #[must_use]
    pub const fn number(&self) -> u32 {
        self.number
    }

    pub(super) fn upstream(&self) -> Result<&dyn Upstream> {
        self.store.upstream().ok_or_else(|| Error::new(ErrorKind::Internal, "a database that is no Redis"))
    }
}

/// What there is to say of a key of another database.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ElsewhereExplained {
    /// The number of the database.
    pub database: u32,
    /// The kind of its value; `None`: there is none.
    pub kind: Option<String>,
    /// What is left of its life in milliseconds; `None`: it has no end.
    pub ttl_ms: Option<u64>,
}

/// In Redis' words, with the cause.
fn out_of_range(why: &str) -> Error {
    let why = if why.is_empty() { String::new() } else { format!(": {why}") };
    Error::new(ErrorKind::StoreReply, format!("ERR DB index is out of range{why}"))
}

impl Engine {
    /// The database of this number; `None` for the one of the policies, which is 0.
    ///
    /// # Errors
    /// There is none, in Redis' words; it is not allowed; a failure of the store.
    pub async fn database(&self, number: i64) -> Result<Option<Arc<Database>>> {
        let Ok(number) = u32::try_from(number) else { return Err(out_of_range("")) };
        if number == 0 {
            return Ok(None);
        }
        if !self.forwards() {
            return Err(out_of_range("this host keeps its data in memory, which has one database (store.url)"));
        }
        let upstream = self.forward_upstream(&Command::new("SELECT"))?;
        self.forward_rules.check_name(b"select")?;
        let store = self.budgeted(upstream.database(number)).await.map_err(|e| self.store_error(e))?;
        Ok(Some(Arc::new(Database { number, store })))
    }

    /// What the store says of its databases that hold something (`INFO keyspace`); nothing where it cannot say.
    pub async fn keyspace(&self) -> Vec<(u32, String)> {
        let Some(upstream) = self.store.upstream() else { return Vec::new() };
        self.budgeted(upstream.keyspace()).await.unwrap_or_default()
    }

    /// How many clients wait at the store for what others do; `None` where it cannot say.
    pub async fn blocked_at_store(&self) -> Option<u64> {
        self.budgeted(self.store.upstream()?.blocked()).await.ok().flatten()
    }

    /// Removes what Larder serves in database 0, and everything in the others.
    ///
    /// # Errors
    /// As [`Self::flush`].
    pub async fn flush_all(&self) -> Result<()> {
        self.flush().await?;
        let others = match self.store.upstream() {
            Some(upstream) if upstream.has_databases() && self.forward_rules.check_name(b"select").is_ok() => {
                self.budgeted(upstream.keyspace()).await.map_err(|e| self.store_error(e))?
            }
            _ => Vec::new(),
        };
        for (number, _) in others.into_iter().filter(|(number, _)| *number != 0) {
            let Some(database) = self.database(number.into()).await? else { continue };
            self.forward(Some(&database), vec![Bytes::from_static(b"FLUSHDB")], Types::Rich, |_, _| Ok(())).await?;
        }
        Ok(())
    }

    /// Watches keys of a database, besides those that are watched there.
    ///
    /// # Errors
    /// As [`Self::watch`].
    pub async fn watch_in(&self, at: &Database, before: Option<Watched>, keys: &[Bytes]) -> Result<Watched> {
        let count = before.as_ref().map_or(0, |before| before.keys) + keys.len();
        if count > WATCHED_KEYS_MAX {
            let message = format!("{count} keys are to be watched, {WATCHED_KEYS_MAX} are allowed");
            return Err(Error::new(ErrorKind::InvalidArgument, message));
        }
        let keys: Vec<_> = keys.iter().cloned().map(StoreKey).collect();
        let watch = match before {
            Some(Watched { mut watch, .. }) => watch.add(&keys).await.map(|()| watch),
            None => at.store.watch(&keys).await,
        };
        Ok(Watched { watch: watch.map_err(|e| self.store_error(e))?, keys: count })
    }

    /// Carries out commands in a database at one moment, as [`Self::execute`] does; all of them are forwarded ones.
    ///
    /// # Errors
    /// As there.
    pub async fn execute_in(
        &self,
        at: &Database,
        steps: &[Step],
        watched: Option<Watched>,
        types: Types,
    ) -> Result<Option<Vec<Result<Reply>>>> {
        let forwarded: Vec<&Forwarded> = steps.iter().filter_map(Step::forwarded).collect();
        let mut places = Vec::new();
        for one in &forwarded {
            places.extend(self.places_of_forwarded(one)?);
        }
        let writings: Vec<_> = places.iter().map(|place| self.l1.writing(place.name)).collect();
        let block: Vec<Command> = forwarded.iter().map(|one| one.command.clone()).collect();
        let replies = match watched {
            Some(Watched { watch, .. }) => watch.commit(block, types).await,
            None if block.is_empty() => Ok(Some(Vec::new())),
            None => self.budgeted(at.upstream()?.atomic(block, types)).await.map(Some),
        };
        let Some(replies) = replies.map_err(|e| self.store_error(e))? else { return Ok(None) };
        writings.into_iter().for_each(|writing| writing.done(None));
        let named = forwarded.iter().zip(replies);
        Ok(Some(named.map(|(one, reply)| Ok(rules::with_its_nothing(&one.command, reply))).collect()))
    }

    /// What there is to say of a key of a database: no policy has a word there.
    ///
    /// # Errors
    /// A failure of the store.
    pub async fn explain_in(&self, at: &Database, key: &[u8]) -> Result<ElsewhereExplained> {
        let key = Bytes::copy_from_slice(key);
        let commands = ["TYPE", "PTTL"].map(|name| Command::new(name).arg(key.clone()));
        let replies = self.budgeted(at.store.pipeline(commands.into())).await.map_err(|e| self.store_error(e))?;
        let mut replies = replies.into_iter();
        let kind = match replies.next() {
            Some(Reply::Status(kind)) if kind != "none" => Some(String::from_utf8_lossy(&kind).into_owned()),
            _ => None,
        };
        let ttl_ms = match replies.next() {
            Some(Reply::Integer(ms)) => u64::try_from(ms).ok(),
            _ => None,
        };
        Ok(ElsewhereExplained { database: at.number, kind, ttl_ms })
    }

    /// # Errors
    /// A command that would take a key out of the one database that there is.
    pub(super) fn check_databases(&self, command: &Command) -> Result<()> {
        let moves = command.name().eq_ignore_ascii_case(b"move") || copies_away(command);
        let has = || self.store.upstream().is_some_and(Upstream::has_databases);
        if moves && !(has() && self.forward_rules.check_name(b"select").is_ok()) {
            return Err(Error::new(ErrorKind::Unsupported, "this host serves one database of the store: no key moves"));
        }
        Ok(())
    }

    /// # Errors
    /// The command does not go into another database.
    pub(super) fn check_elsewhere(&self, facts: &Facts, words: &[&[u8]]) -> Result<()> {
        if words[0].eq_ignore_ascii_case(b"flushdb") && !self.flush_on {
            return Err(crate::engine::space::flush_is_off());
        }
        self.forward_rules.check_elsewhere(facts, words)
    }
}

/// Whether a command is about all keys of the database that is selected.
#[must_use]
pub fn is_of_database(name: &[u8]) -> bool {
    rules::OF_A_DATABASE.iter().any(|known| name.eq_ignore_ascii_case(known.as_bytes()))
}

/// Whether a command copies a key into another database. In that of the policies nothing else is forwarded that does.
fn copies_away(command: &Command) -> bool {
    let is_db = |word: &Bytes| word.eq_ignore_ascii_case(b"db");
    command.name().eq_ignore_ascii_case(b"copy") && command.args.iter().skip(3).any(is_db)
}

/// The key that a command in another database may write in that of the policies. What is no number may be 0 to somebody.
pub(super) fn key_at_home(command: &Command) -> Option<Bytes> {
    let word = |at: usize| command.args.get(at);
    let is_other = |word: &Bytes| {
        let number = std::str::from_utf8(word).ok().and_then(|text| text.parse::<i64>().ok());
        number.is_some_and(|number| number != 0)
    };
    let name = command.name();
    if name.eq_ignore_ascii_case(b"move") {
        return word(1).filter(|_| word(2).is_none_or(|number| !is_other(number))).cloned();
    }
    if name.eq_ignore_ascii_case(b"copy") {
        let mut pairs = (3..command.args.len().saturating_sub(1)).map(|at| (&command.args[at], &command.args[at + 1]));
        let goes_home = pairs.any(|(option, number)| option.eq_ignore_ascii_case(b"db") && !is_other(number));
        return word(2).filter(|_| goes_home).cloned();
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(line: &str, expect: Option<&'static str>) {
        let command = Command { args: line.split(' ').map(|word| Bytes::copy_from_slice(word.as_bytes())).collect() };
        assert_eq!(key_at_home(&command), expect.map(Bytes::from), "{line}");
    }

    #[test]
    fn what_comes_into_the_database_of_the_policies() {
        check("MOVE k 0", Some("k"));
        check("move k 2", None);
        check("MOVE k -0", Some("k"));
        check("MOVE k x", Some("k"));
        check("COPY a b", None);
        check("COPY a b DB 0 REPLACE", Some("b"));
        check("COPY a b REPLACE db 0", Some("b"));
        check("COPY a b DB 1", None);
        check("COPY a b DB 1 DB 0", Some("b"));
        check("SET k 0", None);
    }
}
