//! What is known of a command: everything that dispatch, errors, ordering and `COMMAND` need, as data.

use std::sync::Arc;

use crate::config::users::Role;
use crate::engine::Engine;
use crate::engine::fill::LeaseBook;
use crate::engine::step::{Changes, Form};
use crate::ports::store::Reply;
use crate::wire::access::{Access, Need, Of};
use crate::wire::resp::args::{Args, Words};
use crate::wire::resp::claims;
use crate::wire::resp::errors;
use crate::wire::resp::number::parse_i64;
use crate::wire::resp::pipeline::Work;
use crate::wire::resp::session::{Output, Session};

/// A command that concerns the connection: carried out at once, alone, in its turn. An `Err` is the error line.
pub type SessionFn = fn(&mut Session, &Args) -> Result<Output, Reply>;
/// A command that concerns data: the arguments are checked at once, the rest is work. An `Err` is the error line.
pub type DataFn = fn(&Arc<Engine>, Args) -> Result<Work, Reply>;
/// The same, of a command that may take leases for its connection or fill under them.
pub type LeasingFn = fn(&Arc<Engine>, &Arc<LeaseBook>, Args) -> Result<Work, Reply>;

/// A command that concerns the connection and the store: carried out alone, in its turn. An `Err` is the error line.
pub type TurnFn = fn(&mut Session, &Args) -> Result<Work, Reply>;

/// How a command is carried out.
#[derive(Clone, Copy)]
pub enum Run {
    /// On the connection.
    Session(SessionFn),
    /// In the engine.
    Data(DataFn),
    /// In the engine, with the leases of the connection.
    Leasing(LeasingFn),
    /// By the store, as it is, with the keys in place.
    Store(Form),
    /// On the connection, with the engine.
    Turn(TurnFn),
    /// By one of its subcommands.
    Container,
}

/// Where the keys are among the words, as Redis describes it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct KeyRange {
    /// The first; 0: there are none.
    pub first: usize,
    /// The last; negative: so many from the end.
    pub last: isize,
    /// From each to the next.
    pub step: usize,
    /// Whether the word before the first says how many there are; the last one is of no meaning then.
    pub counted: bool,
}

/// No keys.
pub(super) const NO_KEYS: KeyRange = KeyRange::new(0, 0, 0);
/// The first argument.
pub(super) const ONE_KEY: KeyRange = KeyRange::new(1, 1, 1);
/// The argument after the subcommand.
pub(super) const SECOND_KEY: KeyRange = KeyRange::new(2, 2, 1);
/// The first two arguments.
pub(super) const TWO_KEYS: KeyRange = KeyRange::new(1, 2, 1);
/// All arguments.
pub(super) const ALL_KEYS: KeyRange = KeyRange::new(1, -1, 1);
/// Every other argument, from the first.
pub(super) const PAIRS: KeyRange = KeyRange::new(1, -1, 2);

/// As many as the first argument says, behind it.
pub(super) const COUNTED: KeyRange = KeyRange { first: 2, last: 0, step: 1, counted: true };

impl KeyRange {
    const fn new(first: usize, last: isize, step: usize) -> Self {
        Self { first, last, step, counted: false }
    }

    /// Where the keys are among the words of a command.
    pub fn places(self, words: Words<'_>) -> impl Iterator<Item = usize> {
        let end = match usize::try_from(self.last) {
            _ if self.counted => self.first.saturating_add(self.count(words)),
            Ok(last) => last + 1,
            Err(_) => (words.len() + 1).saturating_sub(self.last.unsigned_abs()),
        };
        let first = if self.first == 0 { end } else { self.first };
        (first..end.min(words.len())).step_by(self.step.max(1))
    }

    /// The keys among the words of a command.
    pub fn of<'a>(self, words: Words<'a>) -> impl Iterator<Item = &'a [u8]> {
        self.places(words).filter_map(move |index| words.get(index))
    }

    /// # Errors
    /// The error line: the number of keys is none, or there are fewer.
    pub fn check(self, words: Words<'_>) -> Result<(), Reply> {
        if !self.counted {
            return Ok(());
        }
        match self.count(words) {
            0 => Err(errors::reply("ERR numkeys should be greater than 0")),
            count if count > words.len().saturating_sub(self.first) => {
                Err(errors::reply("ERR Number of keys can't be greater than number of args"))
            }
            _ => Ok(()),
        }
    }

    fn count(self, words: Words<'_>) -> usize {
        let number = words.get(self.first - 1).and_then(parse_i64);
        number.and_then(|number| usize::try_from(number).ok()).unwrap_or(0)
    }
}

/// What a command belongs to, as Redis groups them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Group {
    Connection,
    Generic,
    Hash,
    List,
    Server,
    Set,
    String,
    Transactions,
    Larder,
}

impl Group {
    /// The word in `COMMAND DOCS`.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Connection => "connection",
            Self::Generic => "generic",
            Self::Hash => "hash",
            Self::List => "list",
            Self::Server => "server",
            Self::Set => "set",
            Self::String => "string",
            Self::Transactions => "transactions",
            Self::Larder => "larder",
        }
    }

    /// The category of access rules that Redis has it in.
    #[must_use]
    pub const fn category(self) -> &'static str {
        match self {
            Self::Connection => "@connection",
            Self::Generic => "@keyspace",
            Self::Hash => "@hash",
            Self::List => "@list",
            Self::Server => "@admin",
            Self::Set => "@set",
            Self::String => "@string",
            Self::Transactions => "@transaction",
            Self::Larder => "@larder",
        }
    }
}

/// One command or subcommand.
#[derive(Clone, Copy)]
pub struct Spec {
    /// In small letters; a subcommand with its container: `client|id`.
    pub name: &'static str,
    /// Words with the name; negative: at least so many.
    pub arity: i32,
    /// What it does with its keys; of no meaning without any.
    pub access: claims::Access,
    /// What its caller must be allowed, if that does not follow from the rest.
    pub needs: Option<Need>,
    /// Where the keys are.
    pub keys: KeyRange,
    /// Whether it takes constant time.
    pub fast: bool,
    /// Whether it is for operators.
    pub admin: bool,
    /// Whether it may come before the password.
    pub no_auth: bool,
    /// What it belongs to.
    pub group: Group,
    /// The release of Redis that has it; Larder's own for its own.
    pub since: &'static str,
    /// What it does, for people.
    pub summary: &'static str,
    /// How it is carried out.
    pub run: Run,
    /// What its second word may be, if it has to be one of these.
    pub subcommands: &'static [Self],
}

impl Spec {
    const fn new(name: &'static str, arity: i32, run: Run) -> Self {
        Self {
            name,
            arity,
            access: claims::Access::Read,
            needs: None,
            keys: NO_KEYS,
            fast: false,
            admin: false,
            no_auth: false,
            group: Group::Connection,
            since: "",
            summary: "",
            run,
            subcommands: &[],
        }
    }

    /// A command on data that only reads it.
    #[must_use]
    pub const fn read(name: &'static str, arity: i32, keys: KeyRange, run: DataFn) -> Self {
        Self { keys, ..Self::new(name, arity, Run::Data(run)) }
    }

    /// A command on data that may change it.
    #[must_use]
    pub const fn write(name: &'static str, arity: i32, keys: KeyRange, run: DataFn) -> Self {
        Self { keys, access: claims::Access::Write, ..Self::new(name, arity, Run::Data(run)) }
    }

    /// A command on one key that reads it, and may take its lease for the connection.
    #[must_use]
    pub const fn leases(name: &'static str, arity: i32, run: LeasingFn) -> Self {
        Self { keys: ONE_KEY, ..Self::new(name, arity, Run::Leasing(run)) }
    }

    /// A command on one key that writes it, and may do so under the connection's lease.
    #[must_use]
    pub const fn fills(name: &'static str, arity: i32, run: LeasingFn) -> Self {
        Self { keys: ONE_KEY, access: claims::Access::Write, ..Self::new(name, arity, Run::Leasing(run)) }
    }

    /// A command that the store carries out as it is.
    #[must_use]
    pub const fn store(name: &'static str, arity: i32, keys: KeyRange, form: Form) -> Self {
        let access =
            if matches!(form.changes, Changes::Nothing) { claims::Access::Read } else { claims::Access::Write };
        Self { keys, access, ..Self::new(name, arity, Run::Store(form)) }
    }

    /// A command on the connection and in the engine.
    #[must_use]
    pub const fn turn(name: &'static str, arity: i32, keys: KeyRange, run: TurnFn) -> Self {
        Self { keys, ..Self::new(name, arity, Run::Turn(run)) }
    }

    /// A command on the connection.
    #[must_use]
    pub const fn session(name: &'static str, arity: i32, run: SessionFn) -> Self {
        Self::new(name, arity, Run::Session(run))
    }

    /// A command that has subcommands only.
    #[must_use]
    pub const fn container(name: &'static str, subcommands: &'static [Self]) -> Self {
        Self { subcommands, ..Self::new(name, -2, Run::Container) }
    }

    /// It has subcommands as well.
    #[must_use]
    pub const fn with(self, subcommands: &'static [Self]) -> Self {
        Self { subcommands, ..self }
    }

    /// It takes constant time.
    #[must_use]
    pub const fn fast(self) -> Self {
        Self { fast: true, ..self }
    }

    /// It is for operators.
    #[must_use]
    pub const fn admin(self) -> Self {
        Self { admin: true, ..self }
    }

    /// Its caller must be allowed this.
    #[must_use]
    pub const fn needs(self, role: Role, of: Of) -> Self {
        Self { needs: Some(Need::new(role, of)), ..self }
    }

    /// What its caller must be allowed. Where nothing else is said, the strictest that fits: a command on data without keys works on
    /// everything.
    #[must_use]
    pub fn need(&self) -> Option<Need> {
        let of = if self.has_keys() { Of::Keys } else { Of::Everything };
        match (self.needs, self.run) {
            (Some(need), _) => Some(need),
            (None, _) if self.admin => Some(Need::new(Role::Admin, Of::Host)),
            // What is queued for a transaction was judged when it was queued.
            (None, Run::Turn(_)) if !self.has_keys() => None,
            (None, Run::Session(_) | Run::Container) => None,
            (None, Run::Data(_) | Run::Leasing(_) | Run::Store(_) | Run::Turn(_)) => {
                let writes = self.access == claims::Access::Write;
                Some(Need::new(if writes { Role::Write } else { Role::Read }, of))
            }
        }
    }

    /// Whether a caller may have these words carried out.
    ///
    /// # Errors
    /// The error line, in the words of Redis.
    pub fn allows(&self, caller: &Access, engine: &Engine, words: Words<'_>) -> Result<(), Reply> {
        let Some(Need { role, of }) = self.need() else { return Ok(()) };
        let word = |at: usize| words.get(at).unwrap_or_default();
        let found = match of {
            Of::Keys => {
                // Words that name no key are wrong, which the command itself says; but nobody learns more by that.
                let least = self.keys.of(words).map(|key| caller.on_key(engine, key)).min();
                let least = least.unwrap_or_else(|| caller.on_everything());
                return if least >= role { Ok(()) } else { Err(errors::reply(errors::NO_PERMISSION_KEY)) };
            }
            Of::DomainOrAll(at) if word(at) == b"*" => caller.on_everything(),
            Of::Domain(at) | Of::DomainOrAll(at) => caller.in_domain(word(at)),
            Of::Lock(at) => caller.on_lock(word(at)),
            Of::Everything | Of::Body => caller.on_everything(),
            Of::Host => caller.on_host(),
        };
        if found >= role { Ok(()) } else { Err(errors::no_permission(self.name)) }
    }

    /// It may come before the password.
    #[must_use]
    pub const fn no_auth(self) -> Self {
        Self { no_auth: true, ..self }
    }

    /// What people read about it.
    #[must_use]
    pub const fn doc(self, group: Group, since: &'static str, summary: &'static str) -> Self {
        Self { group, since, summary, ..self }
    }

    /// Whether so many words, the name included, are right.
    #[must_use]
    pub fn takes(&self, words: usize) -> bool {
        let least = self.arity.unsigned_abs() as usize;
        if self.arity < 0 { words >= least } else { words == least }
    }

    /// The name without the container's.
    #[must_use]
    pub fn short_name(&self) -> &'static str {
        self.name.split_once('|').map_or(self.name, |(_, short)| short)
    }

    /// Whether it works on keys, and so may overlap with commands on others.
    #[must_use]
    pub const fn has_keys(&self) -> bool {
        self.keys.first > 0
    }
}

#[cfg(test)]
mod tests {
    use super::{ALL_KEYS, COUNTED, KeyRange, NO_KEYS, ONE_KEY, PAIRS};
    use crate::ports::store::Reply;
    use crate::wire::resp::args::{Args, Words};

    #[test]
    fn keys_of_a_command() {
        let check = |range: KeyRange, count: usize, expected: &str| {
            let spans: Vec<_> = (0_u32..).map(|at| (at, at + 1)).take(count).collect();
            let keys: Vec<u8> = range.of(Words::new(b"cabdef", &spans)).map(|key| key[0]).collect();
            assert_eq!(String::from_utf8_lossy(&keys), expected, "{range:?} of {count}");
        };
        check(NO_KEYS, 3, "");
        check(ONE_KEY, 1, "");
        check(ONE_KEY, 3, "a");
        check(ALL_KEYS, 4, "abd");
        check(ALL_KEYS, 1, "");
        check(PAIRS, 5, "ad");
        check(PAIRS, 4, "ad");
    }

    #[test]
    fn counted_keys() {
        let check = |line: &str, expected: Result<&str, &str>| {
            let args = Args::parse(line);
            let keys: Vec<_> = COUNTED.of(args.words()).map(|key| String::from_utf8_lossy(key)).collect();
            let checked = COUNTED.check(args.words()).map(|()| keys.join(" "));
            assert_eq!(checked, expected.map(str::to_owned).map_err(|line| Reply::Error(line.into())), "{line}");
        };
        check("sintercard 2 a b LIMIT 1", Ok("a b"));
        check("sintercard 1 a", Ok("a"));
        for count in ["0", "-1", "x"] {
            check(&format!("sintercard {count} a"), Err("ERR numkeys should be greater than 0"));
        }
        check("sintercard 9223372036854775807 a", Err("ERR Number of keys can't be greater than number of args"));
    }
}
