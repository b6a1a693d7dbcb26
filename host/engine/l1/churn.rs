//! The bound under millions of changes, in an order that a seed says: what is counted never passes it, and is what is there and what the process holds.

use std::sync::Arc;
use std::sync::atomic::AtomicBool;

use bytes::Bytes;

use super::{Eviction, L1, L1Settings};
use crate::engine::coherence::{Coherence, NO_STREAM};
use crate::engine::entry::{Stamps, Terms};
use crate::engine::known::Domain;
use crate::engine::l1::entry::{Entry, Facts};
use crate::ports::metrics::Metrics;

const MIB: u64 = 1 << 20;
const CHANGES: usize = 1_000_000;
/// Domains by their names' beginnings; `share` has a part of its own.
const DOMAINS: [&str; 3] = ["doc", "share", "cheap"];

static BLANK: [u8; 1 << 20] = [0; 1 << 20];

fn entries(metrics: &Arc<Metrics>) -> [(Arc<Domain>, Arc<Terms>); 3] {
    let coherence = Arc::new(Coherence::new(0, Arc::clone(metrics)));
    DOMAINS.map(|name| {
        let terms = Terms { weight_percent: if name == "cheap" { 1 } else { 100 }, ..Terms::raw(1, None) };
        let unchecked = Arc::new(AtomicBool::new(false));
        let domain = Domain::new(name.into(), metrics.domain(name), None, Arc::clone(&coherence), unchecked);
        (Arc::new(domain), Arc::new(terms))
    })
}

fn entry(of: &(Arc<Domain>, Arc<Terms>), key: &[u8], len: usize) -> Entry {
    entry_with(of, key, Bytes::from_static(&BLANK[..len]))
}

fn entry_with((domain, terms): &(Arc<Domain>, Arc<Terms>), key: &[u8], value: Bytes) -> Entry {
    let facts = Facts {
        stamps: Stamps { born_ms: 0, since_ms: 0, terms: Arc::clone(terms), under: None },
        serve_until_ms: u64::MAX,
        trust_until_ms: u64::MAX,
        stream: NO_STREAM.into(),
        echo: false.into(),
        age_known: true,
        is_due: false.into(),
        mark: 0.into(),
        domain: Arc::clone(domain),
    };
    Entry::new(key, value, facts)
}

/// From 16 bytes to 1 MiB, the small ones far more often.
fn len(random: &mut fastrand::Rng) -> usize {
    let bits = 4 + random.u32(..12).min(random.u32(..17)).min(random.u32(..17));
    random.usize(1 << bits >> 1..1 << bits)
}

fn check(eviction: Eviction, seed: u64) {
    let metrics = Arc::new(Metrics::default());
    let settings =
        L1Settings { bytes_max: 16 * MIB, eviction, shares: vec![("share".to_owned(), 4 * MIB)], separator: b':' };
    let l1 = L1::new(settings, Arc::clone(&metrics));
    let domains = entries(&metrics);
    let mut random = fastrand::Rng::with_seed(seed);
    let (mut fullest, mut evicting) = (0, false);
    for n in 0..CHANGES {
        let which = random.usize(..DOMAINS.len());
        let key = format!("{}:{}", DOMAINS[which], random.u32(..40_000)).into_bytes();
        match random.u32(..1_000) {
            0..400 => drop(l1.insert(l1.ticket(&key), &key, entry(&domains[which], &key, len(&mut random)))),
            400..600 => l1.writing(&key).done(Some(entry(&domains[which], &key, len(&mut random)))),
            600..650 => {
                if let Some(before) = l1.get(&key) {
                    l1.replace(&key, &before, entry(&domains[which], &key, len(&mut random)));
                }
            }
            650..850 => drop(l1.get(&key)),
            850..930 => l1.writing(&key).done(None),
            930..960 => drop(l1.writing(&key)),
            960..999 => drop(l1.changed(&key, 0)),
            _ if random.u32(..200) == 0 => l1.changed_all(),
            _ => {}
        }
        if n % 16 == 0 {
            l1.report();
            let bytes = metrics.l1_bytes.get();
            assert!(bytes <= 16 * MIB * 105 / 100, "{bytes} bytes after {n} changes");
            evicting |= bytes > 15 * MIB;
            fullest = fullest.max(bytes);
        }
    }
    assert!(evicting, "{fullest} bytes are no churn");
    for part in std::iter::once(&l1.entries).chain(l1.shares.iter().map(|share| &share.entries)) {
        let held: u64 = part.iter().map(|(_, entry)| entry.weight()).sum();
        assert_eq!(part.weight(), held, "what is counted is what is there");
    }
}

#[test]
fn the_bound_holds_over_millions_of_changes() {
    for (eviction, seed) in Eviction::ALL.into_iter().zip(1..) {
        check(eviction, seed);
    }
}

/// Fills an L1 twice over with values of this size; what it counts, and what was allocated for all of it.
fn counted_and_held(len: usize) -> (u64, u64) {
    let metrics = Arc::new(Metrics::default());
    let domains = entries(&metrics);
    let settings = L1Settings { bytes_max: 16 * MIB, separator: b':', ..L1Settings::default() };
    let mut l1 = None;
    let held = allocation_counter::measure(|| {
        let l1 = l1.insert(L1::new(settings, Arc::clone(&metrics)));
        for n in 0..2 * 16 * MIB as usize / (len + 200) {
            let key = format!("doc:{n:08}").into_bytes();
            l1.writing(&key).done(Some(entry_with(&domains[0], &key, vec![0; len].into())));
        }
    });
    if let Some(l1) = &l1 {
        l1.report();
    }
    (metrics.l1_bytes.get(), u64::try_from(held.bytes_current).unwrap())
}

#[test]
fn what_is_counted_is_what_the_process_holds() {
    for len in [16, 100, 1_000, 10_000, 100_000] {
        let (counted, held) = counted_and_held(len);
        assert!(counted > 14 * MIB, "{len}: {counted}");
        assert!(held <= counted * 105 / 100, "{len}: {held} bytes are held, {counted} are counted");
        assert!(held >= counted * 75 / 100, "{len}: {held} bytes are held, {counted} are counted");
    }
}
