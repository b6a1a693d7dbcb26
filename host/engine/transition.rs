//! The life of an entry as one table: its life × an event → what a reader gets, what is begun, what the entry then is.
//!
//! Pure. [`step`] is the only place where this is decided: reads and loads ask it, the table in `ARCHITECTURE.md` is written from it, and
//! the tests drive an engine through every cell of it. When an entry passes from one life to the next as it ages is said by
//! [`super::freshness`], which also says that nothing overrides `max-stale`: an entry past it is kept or gone, and
//! neither is ever served.

use super::freshness::Freshness;
use crate::ports::hooks::Revalidation;

/// Where an entry is in its life, as a reader finds it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Life {
    /// Within its fresh time.
    Fresh,
    /// Within its fresh time, and chance says that it is refreshed before that is over (XFetch).
    Early,
    /// Past its fresh time, within stale-while-revalidate.
    Stale,
    /// Served only if a load fails.
    StaleIfError,
    /// Never served; helps a conditional load.
    Kept,
    /// Not there.
    Gone,
    /// Says that there is no such value.
    Negative,
    /// Says that the value is not to be stored, so that nobody waits for another one's load.
    Uncacheable,
}

/// What happens.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Event {
    /// Somebody reads, and there is an origin to load from.
    Read,
    /// Somebody reads soon after a load of this key failed.
    ReadThrottled,
    /// Somebody reads while the origin's breaker is open.
    ReadUnhealthy,
    /// Somebody reads where clients load and store.
    ReadAside,
    /// Somebody reads where nobody loads.
    ReadPlain,
    /// The load brought a value that is stored.
    LoadStored,
    /// The origin says that what is held is still good (304).
    LoadUnchanged,
    /// The origin says that there is no such value.
    LoadAbsent,
    /// The load brought a value that is not to be stored.
    LoadPassed,
    /// The load failed, or took longer than it may.
    LoadFailed,
    /// The load takes longer than a reader with something stale waits.
    SoftTimeout,
    /// It was invalidated softly.
    InvalidatedSoft,
    /// It was invalidated hard, or removed.
    InvalidatedHard,
}

/// What a reader gets.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Reader {
    /// Nothing: this is not about a reader, or the reader was answered before.
    Nothing,
    /// The value.
    Value,
    /// The value, marked stale.
    Stale,
    /// "There is no such value."
    Absent,
    /// A miss.
    Miss,
    /// It waits for the load.
    Waits,
    /// What was loaded.
    Loaded,
    /// An error that blames the origin.
    Error,
}

/// What is begun.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Begins {
    /// Nothing.
    Nothing,
    /// One load in the background, of the whole cluster.
    Refresh,
    /// One load for which all readers wait.
    Load,
    /// A load of this reader's own.
    OwnLoad,
    /// One client gets the lease to load and store it.
    Lease,
    /// A pause in which this key is not loaded again.
    Throttle,
}

/// What the entry is afterwards.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Then {
    /// What it was.
    Same,
    /// Fresh.
    Fresh,
    /// Negative.
    Negative,
    /// Uncacheable if the policy says for how long, else gone.
    Uncacheable,
    /// What its windows say of an entry whose fresh time ends now.
    Ended,
    /// Gone.
    Gone,
}

/// One cell of the table.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Step {
    /// What a reader gets: the one who reads, or the one who waits for the load.
    pub reader: Reader,
    /// What is begun.
    pub begins: Begins,
    /// What the entry is afterwards.
    pub then: Then,
}

impl Life {
    /// All of them, in the order of time.
    pub const ALL: [Self; 8] = [
        Self::Fresh,
        Self::Early,
        Self::Stale,
        Self::StaleIfError,
        Self::Kept,
        Self::Gone,
        Self::Negative,
        Self::Uncacheable,
    ];

    /// The word in explanations, documents and tests.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Fresh => "fresh",
            Self::Early => "fresh, early refresh",
            Self::Stale => "stale",
            Self::StaleIfError => "stale-if-error",
            Self::Kept => "kept",
            Self::Gone => "gone",
            Self::Negative => "negative",
            Self::Uncacheable => "uncacheable",
        }
    }

    /// The life of a value of this age.
    #[must_use]
    pub const fn of_value(freshness: Freshness) -> Self {
        match freshness {
            Freshness::Fresh => Self::Fresh,
            Freshness::Stale => Self::Stale,
            Freshness::StaleIfError => Self::StaleIfError,
            Freshness::Kept => Self::Kept,
            Freshness::Gone => Self::Gone,
        }
    }

    /// What the policy's verdict makes of it. Only for what is stale or stale-if-error: what may not be served is not asked about,
    /// so no verdict brings it back. What was invalidated is not made fresh again, as the caller of an invalidation was promised.
    #[must_use]
    pub const fn judged(self, verdict: Revalidation, invalidated: bool) -> Self {
        match (self, verdict) {
            (Self::Stale | Self::StaleIfError, Revalidation::ServeAndRefresh) => Self::Stale,
            (Self::Stale | Self::StaleIfError, Revalidation::Extend(_)) => {
                if invalidated {
                    Self::Stale
                } else {
                    Self::Fresh
                }
            }
            (Self::Stale | Self::StaleIfError, Revalidation::LoadFirst) => Self::StaleIfError,
            (Self::Stale | Self::StaleIfError, Revalidation::Drop) => Self::Gone,
            _ => self,
        }
    }

    /// Whether a reader may be given the value if the load fails.
    #[must_use]
    pub const fn is_bridge(self) -> bool {
        matches!(self, Self::Fresh | Self::Early | Self::Stale | Self::StaleIfError)
    }
}

impl Event {
    /// All of them.
    pub const ALL: [Self; 13] = [
        Self::Read,
        Self::ReadThrottled,
        Self::ReadUnhealthy,
        Self::ReadAside,
        Self::ReadPlain,
        Self::LoadStored,
        Self::LoadUnchanged,
        Self::LoadAbsent,
        Self::LoadPassed,
        Self::LoadFailed,
        Self::SoftTimeout,
        Self::InvalidatedSoft,
        Self::InvalidatedHard,
    ];

    /// The words in documents and tests.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Read => "read",
            Self::ReadThrottled => "read, throttled",
            Self::ReadUnhealthy => "read, origin's breaker open",
            Self::ReadAside => "read, cache-aside",
            Self::ReadPlain => "read, nobody loads",
            Self::LoadStored => "load: value",
            Self::LoadUnchanged => "load: unchanged (304)",
            Self::LoadAbsent => "load: absent",
            Self::LoadPassed => "load: not to be stored",
            Self::LoadFailed => "load: failed",
            Self::SoftTimeout => "load: soft timeout",
            Self::InvalidatedSoft => "invalidated, soft",
            Self::InvalidatedHard => "invalidated, hard",
        }
    }
}

impl Step {
    const fn new(reader: Reader, begins: Begins, then: Then) -> Self {
        Self { reader, begins, then }
    }

    const fn read(reader: Reader, begins: Begins) -> Self {
        Self::new(reader, begins, Then::Same)
    }

    const fn then(then: Then) -> Self {
        Self::new(Reader::Nothing, Begins::Nothing, then)
    }

    /// The cell in words: `value; refresh`, `waits; load`, `→ fresh`.
    #[must_use]
    pub fn in_words(self) -> String {
        let reader = match self.reader {
            Reader::Nothing => "",
            Reader::Value => "the value",
            Reader::Stale => "the stale value",
            Reader::Absent => "\"absent\"",
            Reader::Miss => "a miss",
            Reader::Waits => "waits",
            Reader::Loaded => "what was loaded",
            Reader::Error => "an error",
        };
        let begins = match self.begins {
            Begins::Nothing => "",
            Begins::Refresh => "refresh",
            Begins::Load => "load",
            Begins::OwnLoad => "load of its own",
            Begins::Lease => "lease",
            Begins::Throttle => "throttle",
        };
        let then = match self.then {
            Then::Same => "",
            Then::Fresh => "→ fresh",
            Then::Negative => "→ negative",
            Then::Uncacheable => "→ uncacheable",
            Then::Ended => "→ by its windows",
            Then::Gone => "→ gone",
        };
        let words: Vec<_> = [reader, begins, then].into_iter().filter(|word| !word.is_empty()).collect();
        if words.is_empty() { "–".to_owned() } else { words.join("; ") }
    }
}

/// What happens to an entry of this life at this event.
#[must_use]
pub const fn step(life: Life, event: Event) -> Step {
    match event {
        Event::Read => read(life),
        Event::ReadThrottled | Event::ReadUnhealthy => read_without_load(life),
        Event::ReadAside => read_aside(life),
        Event::ReadPlain => read_plain(life),
        Event::LoadStored => Step::new(waiting(life, Reader::Loaded), Begins::Nothing, stored(life, Then::Fresh)),
        Event::LoadUnchanged => match life {
            // Only what is held can be unchanged; an origin that says so of nothing makes no sense.
            Life::Gone | Life::Negative | Life::Uncacheable => load_failed(life),
            _ => Step::new(waiting(life, Reader::Value), Begins::Nothing, Then::Fresh),
        },
        Event::LoadAbsent => Step::new(waiting(life, Reader::Absent), Begins::Nothing, stored(life, Then::Negative)),
        Event::LoadPassed => match life {
            Life::Uncacheable => Step::read(Reader::Loaded, Begins::Nothing),
            _ => Step::new(waiting(life, Reader::Loaded), Begins::Nothing, Then::Uncacheable),
        },
        Event::LoadFailed => load_failed(life),
        Event::SoftTimeout => match life {
            Life::StaleIfError => Step::read(Reader::Stale, Begins::Nothing),
            _ => Step::then(Then::Same),
        },
        Event::InvalidatedSoft => match life {
            Life::Fresh | Life::Early => Step::then(Then::Ended),
            Life::Negative | Life::Uncacheable => Step::then(Then::Gone),
            Life::Stale | Life::StaleIfError | Life::Kept | Life::Gone => Step::then(Then::Same),
        },
        Event::InvalidatedHard => Step::then(Then::Gone),
    }
}

const fn read(life: Life) -> Step {
    match life {
        Life::Fresh => Step::read(Reader::Value, Begins::Nothing),
        Life::Early => Step::read(Reader::Value, Begins::Refresh),
        Life::Stale => Step::read(Reader::Stale, Begins::Refresh),
        Life::StaleIfError | Life::Kept | Life::Gone => Step::read(Reader::Waits, Begins::Load),
        Life::Negative => Step::read(Reader::Absent, Begins::Nothing),
        Life::Uncacheable => Step::read(Reader::Waits, Begins::OwnLoad),
    }
}

const fn read_without_load(life: Life) -> Step {
    match life {
        Life::Fresh | Life::Early => Step::read(Reader::Value, Begins::Nothing),
        Life::Stale | Life::StaleIfError => Step::read(Reader::Stale, Begins::Nothing),
        Life::Kept | Life::Gone | Life::Uncacheable => Step::read(Reader::Error, Begins::Nothing),
        Life::Negative => Step::read(Reader::Absent, Begins::Nothing),
    }
}

const fn read_aside(life: Life) -> Step {
    match life {
        Life::Fresh | Life::Early => Step::read(Reader::Value, Begins::Nothing),
        Life::Stale => Step::read(Reader::Stale, Begins::Lease),
        Life::StaleIfError | Life::Kept | Life::Gone => Step::read(Reader::Miss, Begins::Lease),
        Life::Negative => Step::read(Reader::Absent, Begins::Nothing),
        Life::Uncacheable => Step::read(Reader::Miss, Begins::Nothing),
    }
}

const fn read_plain(life: Life) -> Step {
    match life {
        Life::Fresh | Life::Early => Step::read(Reader::Value, Begins::Nothing),
        Life::Stale => Step::read(Reader::Stale, Begins::Nothing),
        Life::StaleIfError | Life::Kept | Life::Gone | Life::Uncacheable => Step::read(Reader::Miss, Begins::Nothing),
        Life::Negative => Step::read(Reader::Absent, Begins::Nothing),
    }
}

const fn load_failed(life: Life) -> Step {
    match life {
        Life::Fresh | Life::Early | Life::Stale => Step::read(Reader::Nothing, Begins::Throttle),
        Life::StaleIfError => Step::read(Reader::Stale, Begins::Throttle),
        Life::Kept | Life::Gone | Life::Negative => Step::read(Reader::Error, Begins::Throttle),
        // Each reader loads for itself, so one failure says nothing to the next.
        Life::Uncacheable => Step::read(Reader::Error, Begins::Nothing),
    }
}

/// What the entry is after a load whose value is stored. A reader's own load has no lease and stores nothing; it takes the marker away, so
/// that the next one does.
const fn stored(life: Life, then: Then) -> Then {
    match life {
        Life::Uncacheable => Then::Gone,
        _ => then,
    }
}

/// What a reader gets of a load: whoever was answered at once waits for none.
const fn waiting(life: Life, gets: Reader) -> Reader {
    match life {
        Life::Fresh | Life::Early | Life::Stale => Reader::Nothing,
        _ => gets,
    }
}
