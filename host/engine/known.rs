//! What this node knows of the generations of a domain, and how old that knowledge is.
//!
//! Where others share the store a record is believed while the stream of changes runs in which it was asked for, and without one for the
//! bound *B* from before it was asked for, and no longer; where nobody does, until it is changed here. Every change counts up [`Domain::seq`], which entries in L1 are stamped with: an entry
//! with another count is compared with the records once more before it is served.
//!
//! Invariants: from the moment an invalidation begins here until it has ended, nothing that was asked for before is believed;
//! a record never gives way to one that was asked for earlier. Dropping an [`Invalidating`](super::told::Invalidating) at any point leaves this node without
//! an opinion, which costs a question to the store and never a wrong answer.

use std::hash::BuildHasher as _;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use parking_lot::Mutex;
use quick_cache::UnitWeighter;
use quick_cache::unsync::Cache;

use super::coherence::Coherence;
use super::fetched::Fetched;
use super::generation::{Ids, Part, Record};
use super::seen::Seen;
use crate::limits::{GENERATION_AGE_DIVISOR, TAGS_KNOWN_MAX};
use crate::ports::invalidation::Mode;
use crate::ports::metrics::DomainMetrics;

/// Marks of invalidations; tags share them by hash. A shared one costs a question to the store, never a wrong answer.
const SLOTS: usize = 256;
/// Bits of an entry's mark that hold the count of changes; the rest is for the epoch of the policies. Neither comes round again
/// while an entry lives.
const SEQ_BITS: u32 = 40;

/// What has a record of its own.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Name {
    /// The domain, with the prefixes of its keys.
    Domain,
    /// A tag.
    Tag(Box<str>),
}

impl Name {
    /// The tag; the domain has the name that no tag has.
    pub(super) fn text(&self) -> &str {
        match self {
            Self::Domain => "",
            Self::Tag(tag) => tag,
        }
    }

    /// The name of a tag.
    pub(super) fn tag(tag: &str) -> Self {
        Self::Tag(tag.into())
    }
}

/// The right to remember what the store is about to be asked for.
#[derive(Clone, Copy, Debug)]
pub(super) struct Ticket {
    pub(super) number: u64,
    seq: u64,
    pub(super) as_of_ms: u64,
    pub(super) stream: u32,
}

/// What is known, under one lock.
pub(super) struct Known {
    pub(super) domain: Option<Fetched>,
    pub(super) tags: Cache<Box<str>, Fetched, UnitWeighter, foldhash::fast::RandomState>,
    /// Records that were ever seen, believed or not.
    pub(super) seen: Seen,
    /// The count of changes when an invalidation of this slot last began or ended here; the first is the domain's own.
    pub(super) changed: Box<[u64; SLOTS]>,
    /// The same when the store last told that a record of this slot was changed, by whomever.
    told: Box<[u64; SLOTS]>,
    questions: u64,
    /// The last ids of an entry without tags and prefixes: most entries of a domain share them.
    plain: Option<Arc<Ids>>,
    /// Whether somebody is asking for the domain's record ahead of time.
    refreshing: bool,
    /// Invalidations that the store does not know of yet: until it does, nothing is believed of these.
    pub(super) pending: Vec<Name>,
}

/// What every hit reads: in a cache line of its own, so that the lock beside it does not slow hits down.
#[derive(Default)]
#[repr(align(64))]
struct Changes {
    /// How many there were.
    seq: AtomicU64,
    /// Entries in L1 with an earlier mark are not served.
    forgotten: AtomicU64,
}

/// A domain as this node knows it.
pub(super) struct Domain {
    /// Its name.
    pub(super) name: Arc<str>,
    /// Its counters.
    pub(super) metrics: Arc<DomainMetrics>,
    /// *B* in milliseconds; `None`: nobody else changes the store.
    pub(super) trust_ms: Option<u64>,
    pub(super) coherence: Arc<Coherence>,
    changes: Changes,
    pub(super) known: Mutex<Known>,
    hasher: foldhash::fast::FixedState,
    /// Whether nothing is compared at all: for a test of the tests.
    pub(super) unchecked: Arc<AtomicBool>,
}

impl Domain {
    pub(super) fn new(
        name: Arc<str>,
        metrics: Arc<DomainMetrics>,
        trust_ms: Option<u64>,
        coherence: Arc<Coherence>,
        unchecked: Arc<AtomicBool>,
    ) -> Self {
        let known = Known {
            domain: None,
            tags: by_tag(),
            seen: Seen::default(),
            changed: Box::new([0; SLOTS]),
            told: Box::new([0; SLOTS]),
            questions: 0,
            plain: None,
            refreshing: false,
            pending: Vec::new(),
        };
        Self {
            name,
            metrics,
            trust_ms,
            coherence,
            changes: Changes::default(),
            known: Mutex::new(known),
            hasher: foldhash::fast::FixedState::default(),
            unchecked,
        }
    }

    /// How many changes there were.
    pub(super) fn seq(&self) -> u64 {
        self.changes.seq.load(Ordering::Acquire)
    }

    /// What an entry in L1 is marked with.
    pub(super) fn mark(epoch: u64, seq: u64) -> u64 {
        epoch << SEQ_BITS | seq & ((1 << SEQ_BITS) - 1)
    }

    /// What an entry must be marked with to be served without another thought.
    #[must_use]
    pub(super) fn mark_now(&self, epoch: u64) -> u64 {
        Self::mark(epoch, self.seq())
    }

    /// Whether only what was invalidated since an entry was marked has to be looked at: the policies are the same, and the copies of
    /// its time are not forgotten.
    pub(super) fn may_recheck(&self, mark: u64, epoch: u64) -> bool {
        Self::mark(epoch, 0) == mark >> SEQ_BITS << SEQ_BITS && !self.is_forgotten(mark)
    }

    /// Whether entries with this mark are not to be served from L1 again.
    pub(super) fn is_forgotten(&self, mark: u64) -> bool {
        mark & ((1 << SEQ_BITS) - 1) < self.changes.forgotten.load(Ordering::Acquire)
    }

    /// No copy that is in L1 now, or whose read or write has begun, is served from L1 again.
    pub(super) fn forget_copies(&self) {
        let _known = self.known.lock();
        let seq = self.count_change();
        self.changes.forgotten.store(seq, Ordering::Release);
    }

    fn count_change(&self) -> u64 {
        self.changes.seq.fetch_add(1, Ordering::AcqRel) + 1
    }

    pub(super) fn slot(&self, name: &Name) -> usize {
        match name {
            Name::Domain => 0,
            Name::Tag(tag) => 1 + (self.hasher.hash_one(&**tag) as usize) % (SLOTS - 1),
        }
    }

    /// Says that the store is about to be asked.
    pub(super) fn ticket(&self, now_ms: u64) -> Ticket {
        let stream = self.coherence.running();
        let mut known = self.known.lock();
        known.questions += 1;
        Ticket { number: known.questions, seq: self.seq(), as_of_ms: now_ms, stream }
    }

    /// Remembers what the store answered, unless an invalidation came in between or somebody knows better.
    pub(super) fn learn(&self, ticket: Ticket, name: &Name, record: Option<Arc<Record>>, ends_ms: Option<u64>) {
        let slot = self.slot(name);
        let mut known = self.known.lock();
        if *name == Name::Domain {
            known.refreshing = false;
        }
        let Ticket { number, as_of_ms, stream, .. } = ticket;
        let fetched = Fetched { record, lost: None, ends_ms, as_of_ms, number, stream };
        if known.changed[slot] > ticket.seq || known.pending.contains(name) {
            return;
        }
        known.seen.answered(name, &fetched);
        if known.told[slot] > ticket.seq {
            return;
        }
        self.put(&mut known, name, fetched);
    }

    fn put(&self, known: &mut Known, name: &Name, fetched: Fetched) {
        if known.pending.contains(name) {
            return;
        }
        let before = known.get(name);
        if before.is_some_and(|before| before.number > fetched.number) {
            return;
        }
        // Somebody else has invalidated: copies here have to be compared once more. Where nothing was known, they are trusted no
        // longer than what they were compared with when they came.
        if before.is_some_and(|before| before.record != fetched.record) {
            self.count_change();
        }
        let lost = known.seen.believed(name, fetched.record.as_ref());
        known.set(name, Fetched { lost, ..fetched });
    }

    /// What a record begins with under this id that the store does not have: everything before is softly invalid at least, and hard what
    /// is known to be.
    pub(super) fn begin(&self, name: &Name, id: u64) -> Record {
        let known = self.known.lock();
        let Some(seen) = known.seen.newest(name) else { return Record::born(id) };
        let mut record = Record::clone(seen);
        record.invalidate(Part::Whole, Mode::Soft, id);
        record
    }

    /// The store tells that a record was changed, by this node perhaps: it is asked for anew.
    pub(super) fn told(&self, name: &Name) {
        let slot = self.slot(name);
        let mut known = self.known.lock();
        known.told[slot] = self.count_change();
        known.remove(name);
    }

    /// The same of all records.
    pub(super) fn forget_records(&self) {
        let mut known = self.known.lock();
        let seq = self.count_change();
        known.told.fill(seq);
        known.domain = None;
        known.tags.clear();
    }

    pub(super) fn change(&self, name: &Name, outcome: Option<(Ticket, Fetched)>) {
        let slot = self.slot(name);
        let mut known = self.known.lock();
        let before = std::mem::replace(&mut known.changed[slot], self.count_change());
        // Something that was asked for later may be newer than what this invalidation left behind.
        let newest = known.get(name).map_or(0, |known| known.number);
        known.remove(name);
        known.seen.forget(name);
        // Another invalidation that ended here meanwhile may have changed the record after this one had read it.
        if let Some((ticket, fetched)) = outcome
            && before.max(known.told[slot]) <= ticket.seq
            && newest <= ticket.number
        {
            known.seen.answered(name, &fetched);
            self.put(&mut known, name, fetched);
        }
    }

    pub(super) fn is_trusted(&self, fetched: &Fetched, now_ms: u64) -> bool {
        // A clock that went back makes what was asked for later than now worthless: nobody knows how old it is.
        self.trust_ms.is_none_or(|trust_ms| fetched.as_of_ms <= now_ms && now_ms - fetched.as_of_ms < trust_ms)
            || self.coherence.covers(fetched.stream, now_ms)
    }

    /// The number of the last question: answers to later ones know of everything that the store holds now.
    pub(super) fn questions(&self) -> u64 {
        self.known.lock().questions
    }

    /// Which of these have to be asked for before something can be stored under them that lives until `ends_ms`. What was answered after
    /// question number `after` is enough, though changes were told since.
    pub(super) fn lacking(&self, tags: &[&str], now_ms: u64, ends_ms: Option<u64>, after: u64) -> Vec<Name> {
        let known = self.known.lock();
        let lacks = |name: &str, fetched: Option<&Fetched>, ends_ms: Option<u64>| {
            let last = known.last(name, fetched).filter(|last| last.record.is_some() && last.outlives(ends_ms));
            last.is_none_or(|last| last.number <= after && (fetched.is_none() || !self.is_trusted(last, now_ms)))
        };
        let mut lacking = Vec::new();
        // The domain's record lasts for ever.
        if lacks("", known.domain.as_ref(), Some(0)) {
            lacking.push(Name::Domain);
        }
        let tags = tags.iter().filter(|&&tag| lacks(tag, known.tags.peek(tag), ends_ms));
        lacking.extend(tags.map(|tag| Name::tag(tag)));
        lacking
    }

    /// What is known of a name, or was answered last.
    pub(super) fn last_of(&self, name: &Name) -> Option<Fetched> {
        let known = self.known.lock();
        known.last(name.text(), known.get(name)).cloned()
    }

    /// The store keeps a tag's record until then.
    pub(super) fn lengthened(&self, name: &Name, ends_ms: Option<u64>) {
        let mut known = self.known.lock();
        known.seen.lengthened(name, ends_ms);
        if let Some(fetched) = known.get(name).cloned() {
            known.set(name, Fetched { ends_ms, ..fetched });
        }
    }

    /// The same ids, shared with other entries where they are equal.
    pub(super) fn share(&self, ids: Arc<Ids>) -> Arc<Ids> {
        if !ids.tags.is_empty() || !ids.prefixes.is_empty() || ids.ended {
            return ids;
        }
        let mut known = self.known.lock();
        match &known.plain {
            Some(plain) if *plain == ids => Arc::clone(plain),
            _ => {
                known.plain = Some(Arc::clone(&ids));
                ids
            }
        }
    }

    /// Which of these should be asked for along with a read, as their time is running out. The caller must ask.
    pub(super) fn due(&self, tags: &[String], now_ms: u64) -> Vec<Name> {
        let Some(trust_ms) = self.trust_ms else { return Vec::new() };
        let due_ms = trust_ms / GENERATION_AGE_DIVISOR;
        let is_due = |fetched: &Fetched| {
            now_ms.saturating_sub(fetched.as_of_ms) >= due_ms && !self.coherence.covers(fetched.stream, now_ms)
        };
        let mut known = self.known.lock();
        let mut due = Vec::new();
        // One reader asks ahead of time for all; once it is too old, every reader needs it.
        let lost = known.domain.as_ref().is_none_or(|fetched| !self.is_trusted(fetched, now_ms));
        if lost || !known.refreshing && known.domain.as_ref().is_some_and(is_due) {
            known.refreshing = true;
            due.push(Name::Domain);
        }
        let old = tags.iter().filter(|tag| known.tags.peek(tag.as_str()).is_none_or(is_due));
        due.extend(old.map(|tag| Name::tag(tag)));
        due
    }
}

impl Known {
    fn get(&self, name: &Name) -> Option<&Fetched> {
        match name {
            Name::Domain => self.domain.as_ref(),
            Name::Tag(tag) => self.tags.peek(&**tag),
        }
    }

    /// What is known of a name, or the store's last answer where nothing is.
    pub(super) fn last<'a>(&'a self, name: &str, known: Option<&'a Fetched>) -> Option<&'a Fetched> {
        known.or_else(|| self.seen.last(name))
    }

    fn set(&mut self, name: &Name, fetched: Fetched) {
        match name {
            Name::Domain => self.domain = Some(fetched),
            Name::Tag(tag) => self.tags.insert(tag.clone(), fetched),
        }
    }

    fn remove(&mut self, name: &Name) {
        match name {
            Name::Domain => self.domain = None,
            Name::Tag(tag) => drop(self.tags.remove(&**tag)),
        }
    }
}

/// Room for something of each tag that is known.
pub(super) fn by_tag<V>() -> Cache<Box<str>, V, UnitWeighter, foldhash::fast::RandomState> {
    let hasher = foldhash::fast::RandomState::default();
    Cache::with(64, TAGS_KNOWN_MAX as u64, UnitWeighter, hasher, Default::default())
}
