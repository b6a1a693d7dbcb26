//! The keys that are read most just now.
//!
//! One read in [`HOT_KEYS_SAMPLE`], on average and at random distances so that no rhythm of pipelines hides a key, goes into a sketch
//! of [`HOT_KEYS_MAX`] keys (Space-Saving: Metwally, Agrawal, El Abbadi, "Efficient computation of frequent and top-k elements in data
//! streams", 2005): a key that is not watched takes the place of the one with the smallest count, and inherits it as its error. Any key
//! with more than one in [`HOT_KEYS_MAX`] of the reads is found. Counts halve with time, so that what was hot is forgotten.
//!
//! Invariants: a read that is not looked at costs one count of its thread; one that is looked at allocates nothing and waits for
//! nobody. Keys are in no metric: here they are shown to operators only.

use std::cell::Cell;
use std::sync::Arc;

use parking_lot::Mutex;
use serde::Serialize;

use super::core::Engine;
use super::key::escaped;
use crate::limits::{HOT_KEYS_HALF_LIFE_MS, HOT_KEYS_MAX, HOT_KEYS_SAMPLE, KEY_BYTES_DEFAULT};

/// A key that is read often.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct HotKey {
    /// The application's key, foreign bytes as `%XX`.
    pub key: String,
    /// Its domain.
    pub domain: String,
    /// How many reads of it there were, about: the last ones in full, earlier ones less.
    pub reads: u64,
    /// By how many of these it may be too many.
    pub reads_error: u64,
    /// Its part of all reads of the host, in percent.
    pub share_percent: u64,
}

/// A key that is watched.
struct Watched {
    hash: u64,
    key: Vec<u8>,
    domain: Arc<str>,
    count: u64,
    error: u64,
}

#[derive(Default)]
struct Sketch {
    watched: Vec<Watched>,
    /// All samples, halved as the counts are.
    total: u64,
    halved_ms: u64,
}

/// The sketch.
#[derive(Default)]
pub struct HotKeys {
    sketch: Mutex<Sketch>,
    hasher: foldhash::fast::FixedState,
}

impl HotKeys {
    /// A key was read.
    #[inline]
    pub fn seen(&self, key: &[u8], domain: &Arc<str>, now_ms: u64) {
        thread_local! {
            /// Reads until the next one that is looked at, and the state of the distances.
            static NEXT: Cell<(u32, u32)> = const { Cell::new((1, 0x9E37_79B9)) };
        }
        let (left, state) = NEXT.get();
        if left > 1 {
            NEXT.set((left - 1, state));
            return;
        }
        let state = next(state);
        NEXT.set((1 + state % (2 * HOT_KEYS_SAMPLE - 1), state));
        self.sample(key, domain, now_ms);
    }

    /// Looks at a read. If another thread is just doing so, this one is not counted.
    #[cold]
    #[inline(never)]
    fn sample(&self, key: &[u8], domain: &Arc<str>, now_ms: u64) {
        use std::hash::BuildHasher as _;
        let hash = self.hasher.hash_one(key);
        if let Some(mut sketch) = self.sketch.try_lock() {
            sketch.age(now_ms);
            sketch.add(hash, key, domain);
        }
    }

    /// The hottest keys of those domains that `shows` lets pass.
    #[must_use]
    pub fn top(&self, shows: impl Fn(&str) -> bool, count: usize, now_ms: u64) -> Vec<HotKey> {
        let mut sketch = self.sketch.lock();
        sketch.age(now_ms);
        let total = sketch.total.max(1);
        let mut found: Vec<&Watched> = sketch.watched.iter().collect();
        // What may be nothing but what it inherited is not shown.
        found.retain(|it| it.count > it.error && shows(&it.domain));
        found.sort_unstable_by(|a, b| b.count.cmp(&a.count).then_with(|| a.key.cmp(&b.key)));
        let sample = u64::from(HOT_KEYS_SAMPLE);
        let shown = |it: &Watched| HotKey {
            key: escaped(&it.key).into_owned(),
            domain: it.domain.to_string(),
            reads: it.count * sample,
            reads_error: it.error * sample,
            share_percent: it.count * 100 / total,
        };
        found.into_iter().take(count).map(shown).collect()
    }
}

impl Engine {
    /// The keys that are read most just now, the hottest first, of those domains that `shows` lets pass: a key is data, so whoever may
    /// not read a domain is not shown its keys.
    #[must_use]
    pub fn hot_keys(&self, shows: impl Fn(&str) -> bool, count: usize) -> Vec<HotKey> {
        self.hot.top(shows, count, self.now_ms())
    }
}

impl Sketch {
    fn age(&mut self, now_ms: u64) {
        let halvings = now_ms.saturating_sub(self.halved_ms) / HOT_KEYS_HALF_LIFE_MS;
        if halvings == 0 {
            return;
        }
        self.halved_ms += halvings * HOT_KEYS_HALF_LIFE_MS;
        let by = u32::try_from(halvings).unwrap_or(u32::MAX);
        let halve = |n: u64| n.checked_shr(by).unwrap_or(0);
        self.total = halve(self.total);
        for it in &mut self.watched {
            it.count = halve(it.count);
            it.error = halve(it.error);
        }
    }

    fn add(&mut self, hash: u64, key: &[u8], domain: &Arc<str>) {
        self.total += 1;
        if let Some(known) = self.watched.iter_mut().find(|it| it.hash == hash && it.key == key) {
            known.count += 1;
            return;
        }
        if self.watched.len() < HOT_KEYS_MAX {
            if self.watched.is_empty() {
                self.watched.reserve_exact(HOT_KEYS_MAX);
            }
            let mut own = Vec::with_capacity(KEY_BYTES_DEFAULT.max(key.len()));
            own.extend_from_slice(key);
            self.watched.push(Watched { hash, key: own, domain: Arc::clone(domain), count: 1, error: 0 });
            return;
        }
        if let Some(least) = self.watched.iter_mut().min_by_key(|it| it.count) {
            least.hash = hash;
            least.key.clear();
            least.key.extend_from_slice(key);
            least.domain = Arc::clone(domain);
            least.error = least.count;
            least.count += 1;
        }
    }
}

/// Marsaglia's xorshift. It decides nothing but which reads are looked at.
const fn next(mut state: u32) -> u32 {
    state ^= state << 13;
    state ^= state >> 17;
    state ^= state << 5;
    state
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(hot: &HotKeys, key: &str, domain: &str, times: usize) {
        let domain = domain.into();
        (0..times).for_each(|_| hot.seen(key.as_bytes(), &domain, 1_000));
    }

    #[test]
    fn the_hottest_keys_are_found_among_many_others() {
        let hot = HotKeys::default();
        for n in 0..40_000 {
            read(&hot, &format!("profile:cold:{n}"), "profile", 4);
            read(&hot, "profile:hot", "profile", 2);
            read(&hot, "session:warm", "session", 1);
        }
        let top = hot.top(|_| true, 2, 1_000);
        let names: Vec<&str> = top.iter().map(|it| it.key.as_str()).collect();
        assert_eq!(names, ["profile:hot", "session:warm"]);
        // 80,000 of 280,000 reads, within what sampling and the sketch may be wrong by.
        assert!((24..=33).contains(&top[0].share_percent), "{top:?}");
        assert!((70_000..=90_000).contains(&top[0].reads), "{top:?}");
        assert_eq!(hot.top(|of| of == "session", 10, 1_000)[0].key, "session:warm");
        assert!(hot.top(|of| of == "nobody", 10, 1_000).is_empty());
    }

    #[test]
    fn a_rhythm_hides_no_key() {
        let hot = HotKeys::default();
        for _ in 0..4_000 {
            (0..HOT_KEYS_SAMPLE).for_each(|n| read(&hot, &format!("k{n}"), "default", 1));
        }
        let shares: Vec<u64> = hot.top(|_| true, 100, 1_000).iter().map(|it| it.share_percent).collect();
        assert_eq!(shares.len(), HOT_KEYS_SAMPLE as usize);
        assert!(shares.iter().all(|&share| share <= 3), "{shares:?}");
    }

    #[test]
    fn what_was_hot_is_forgotten() {
        let hot = HotKeys::default();
        read(&hot, "a", "default", 100_000);
        let reads = |at_ms| hot.top(|_| true, 1, at_ms).first().map_or(0, |it| it.reads);
        let before = reads(1_000);
        assert_eq!(reads(1_000 + HOT_KEYS_HALF_LIFE_MS) / 64, before / 2 / 64);
        assert_eq!(reads(1_000 + 64 * HOT_KEYS_HALF_LIFE_MS), 0);
        assert_eq!(reads(u64::MAX), 0);
    }
}
