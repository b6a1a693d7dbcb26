//! Invalidations and deletes that could not reach the store: they wait here, and are done when it is back.
//!
//! Of several that name the same the latest counts, with the hardest mode. Until one is done, this node serves nothing that it names:
//! not from L1, and not from the store either, which still has it. Bounded: where too many wait, a whole domain is invalidated instead.
//! They are gone with the process; whoever asked was told that they are not done.
//!
//! Invariant: what was written after an invalidation began to wait survives it, as far as that can be told
//! ([`super::replay`]); where it cannot, the invalidation wins.

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use parking_lot::Mutex;

use super::judge::Place;
use super::known::Name;
use crate::limits::RECOVERY_WAITING_MAX;
use crate::ports::clock::Clock;
use crate::ports::invalidation::{Mode, RecoveryMetrics};
use crate::ports::policy::Selector;

/// A domain, and what is invalidated in it. A key is said without its domain.
pub(super) type Named = (Arc<str>, Selector);

/// An invalidation that waits.
#[derive(Clone, Copy, Debug)]
pub(super) struct Waiting {
    pub(super) mode: Mode,
    /// When it began to wait, monotonic.
    pub(super) since_ns: u64,
    /// The same on the wall.
    pub(super) since_ms: u64,
    /// Which of all it is: a later one of the same name has another.
    number: u64,
}

/// What became of one that was to wait.
#[derive(Debug, Default)]
pub(super) struct Queued {
    /// How many wait now.
    pub(super) waiting: usize,
    /// The domain that is invalidated as a whole, as there were too many.
    pub(super) overflowed: Option<Arc<str>>,
}

/// Those that wait.
pub(super) struct Recovery {
    len: AtomicUsize,
    queue: Mutex<Queue>,
    clock: Arc<dyn Clock>,
}

#[derive(Default)]
struct Queue {
    /// Of keys and tags, which are looked up by their names.
    narrow: HashMap<Named, Waiting>,
    /// Of prefixes, patterns and domains, of which there are few.
    wide: HashMap<Named, Waiting>,
    numbers: u64,
}

impl Recovery {
    pub(super) fn new(clock: Arc<dyn Clock>) -> Self {
        Self { len: AtomicUsize::new(0), queue: Mutex::default(), clock }
    }

    /// Whether any waits.
    pub(super) fn is_empty(&self) -> bool {
        self.len.load(Ordering::Acquire) == 0
    }

    /// One more waits.
    pub(super) fn wait(&self, named: Named, mode: Mode) -> Queued {
        let (since_ns, since_ms) = (self.clock.monotonic_ns(), self.clock.wall_ms());
        let mut queue = self.queue.lock();
        let whole = (Arc::clone(&named.0), Selector::Domain);
        let (mut named, mut mode) = match queue.wide.get(&whole) {
            // A harder one of the whole domain includes it.
            Some(waiting) if waiting.mode >= mode => (whole, waiting.mode),
            _ => (named, mode),
        };
        let mut overflowed = None;
        if queue.len() >= RECOVERY_WAITING_MAX && !queue.of(&named.1).contains_key(&named) {
            let domain = queue.fullest().unwrap_or_else(|| Arc::clone(&named.0));
            queue.narrow.retain(|(other, _), _| *other != domain);
            queue.wide.retain(|(other, _), _| *other != domain);
            let whole = (Arc::clone(&domain), Selector::Domain);
            if domain == named.0 {
                (named, mode) = (whole, Mode::Hard);
            } else {
                queue.put(whole, Mode::Hard, since_ns, since_ms);
            }
            overflowed = Some(domain);
        }
        queue.put(named, mode, since_ns, since_ms);
        let waiting = queue.len();
        self.len.store(waiting, Ordering::Release);
        Queued { waiting, overflowed }
    }

    /// Whether nothing may be served of a place, by what waits for its key or, as its values carry no generations, for more than its key.
    pub(super) fn covers(&self, place: &Place<'_>) -> bool {
        if self.is_empty() {
            return false;
        }
        let domain = &place.live().domain;
        let rest: &str = &place.key.rest;
        let raw = !place.enveloped();
        let queue = self.queue.lock();
        queue.narrow.contains_key(&(Arc::clone(domain), Selector::Key(rest.to_owned())))
            || queue.wide.keys().any(|(other, selector)| {
                other == domain
                    && match selector {
                        // Which keys match, the store alone knows.
                        Selector::Pattern(_) => true,
                        Selector::Prefix(prefix) => raw && rest.starts_with(prefix.as_str()),
                        Selector::Domain => raw,
                        Selector::Key(_) | Selector::Tag(_) => false,
                    }
            })
    }

    /// Whether any waits that concerns the generation of a name.
    pub(super) fn concerns(&self, domain: &Arc<str>, name: &Name) -> bool {
        let queue = self.queue.lock();
        match name {
            Name::Tag(tag) => queue.narrow.contains_key(&(Arc::clone(domain), Selector::Tag(tag.to_string()))),
            Name::Domain => queue
                .wide
                .keys()
                .any(|(other, selector)| other == domain && matches!(selector, Selector::Domain | Selector::Prefix(_))),
        }
    }

    /// This node has written a key anew: what waits for it is of the past. Whether any did.
    pub(super) fn superseded(&self, place: &Place<'_>) -> bool {
        if self.is_empty() {
            return false;
        }
        let named = (Arc::clone(&place.live().domain), Selector::Key(place.key.rest.clone().into_owned()));
        let mut queue = self.queue.lock();
        let removed = queue.narrow.remove(&named).is_some();
        self.len.store(queue.len(), Ordering::Release);
        removed
    }

    /// All that wait now, in the order in which they came.
    pub(super) fn all(&self) -> Vec<(Named, Waiting)> {
        let queue = self.queue.lock();
        let waiting = queue.narrow.iter().chain(&queue.wide);
        let mut all: Vec<_> = waiting.map(|(named, waiting)| (named.clone(), *waiting)).collect();
        all.sort_unstable_by_key(|(_, waiting)| waiting.number);
        all
    }

    /// One is done, unless it was asked for again meanwhile.
    pub(super) fn done(&self, named: &Named, done: Waiting) {
        let mut queue = self.queue.lock();
        let of = queue.of(&named.1);
        if of.get(named).is_some_and(|waiting| waiting.number == done.number) {
            of.remove(named);
        }
        self.len.store(queue.len(), Ordering::Release);
    }

    /// Says in the metrics how many wait, and how long.
    pub(super) fn report(&self, metrics: &RecoveryMetrics) {
        let now_ns = self.clock.monotonic_ns();
        let queue = self.queue.lock();
        let waiting = queue.narrow.values().chain(queue.wide.values());
        let oldest_ns = waiting.map(|waiting| waiting.since_ns).min().unwrap_or(now_ns);
        metrics.waiting.set(queue.len() as u64);
        metrics.oldest_ms.set(now_ns.saturating_sub(oldest_ns) / 1_000_000);
    }
}

impl Queue {
    fn len(&self) -> usize {
        self.narrow.len() + self.wide.len()
    }

    const fn of(&mut self, selector: &Selector) -> &mut HashMap<Named, Waiting> {
        match selector {
            Selector::Key(_) | Selector::Tag(_) => &mut self.narrow,
            Selector::Prefix(_) | Selector::Pattern(_) | Selector::Domain => &mut self.wide,
        }
    }

    fn put(&mut self, named: Named, mode: Mode, since_ns: u64, since_ms: u64) {
        self.numbers += 1;
        let number = self.numbers;
        let of = self.of(&named.1);
        let mode = of.get(&named).map_or(mode, |before| before.mode.max(mode));
        of.insert(named, Waiting { mode, since_ns, since_ms, number });
    }

    /// The domain of which most wait.
    fn fullest(&self) -> Option<Arc<str>> {
        let mut counts: HashMap<&Arc<str>, usize> = HashMap::new();
        let all = self.narrow.keys().chain(self.wide.keys());
        all.for_each(|(domain, _)| *counts.entry(domain).or_default() += 1);
        counts.into_iter().max_by_key(|(_, count)| *count).map(|(domain, _)| Arc::clone(domain))
    }
}
