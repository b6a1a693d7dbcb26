//! Generations: what a tag, a domain or a prefix of keys is known by until it is invalidated.
//!
//! A generation is a random id. An entry keeps the ids under which it was loaded ([`Ids`]); a [`Record`] in the store says
//! which ones are current. No clocks are compared and no lists of keys are kept, so an invalidation costs the same for one
//! key and for a million.
//!
//! Invariants: an id is never used twice; an id that a record does not know is not current, so what was lost (evicted, a store
//! that was emptied, a damaged record) invalidates and never brings back; only a hard invalidation that the record still knows
//! of, or this node, makes a miss, everything else is soft. Prefixes are only ever added to a record, so those that match a key keep their
//! order; where they are forgotten, the whole domain is invalidated with them.

use serde::{Deserialize, Serialize};

pub use super::judged::{Judged, Standing};
use crate::limits::{GENERATIONS_KEPT_MAX, PREFIXES_MAX};
use crate::ports::invalidation::Mode;

/// The id of no generation: what was loaded under it is invalid. Also of a value that an invalidation overtook.
pub const NONE: u64 = 0;

/// First byte of a record in the store.
const VERSION: u8 = 1;

/// The generations that an entry was loaded under.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Ids {
    /// Its domain's.
    pub domain: u64,
    /// One for each of its tags, in their order.
    pub tags: Box<[u64]>,
    /// One for each prefix of its key that the domain's record had, in the record's order.
    pub prefixes: Box<[u64]>,
    /// Whether an invalidation of its key alone has ended its fresh time.
    pub ended: bool,
}

impl Ids {
    /// Of an entry that an invalidation of its key has made stale for good.
    #[must_use]
    pub fn ended(&self) -> Self {
        Self { ended: true, ..self.clone() }
    }

    /// The same for other tags: a tag that the entry was not loaded under has no generation, which is no current one.
    #[must_use]
    pub fn retagged(&self, before: &[String], now: &[String]) -> Self {
        let id =
            |tag: &String| before.iter().zip(&self.tags).find(|(name, _)| *name == tag).map_or(NONE, |(_, &id)| id);
        Self { tags: now.iter().map(id).collect(), ..self.clone() }
    }
}

/// The generations of one thing, newest first.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Line {
    /// What an id that is not in the line stands for.
    floor: Mode,
    /// The current one, then those that soft invalidations ended since the last hard one. Never empty.
    ids: Vec<u64>,
}

impl Line {
    const fn new(floor: Mode, ids: Vec<u64>) -> Self {
        Self { floor, ids }
    }

    /// The current generation.
    #[must_use]
    pub fn current(&self) -> u64 {
        self.ids.first().copied().unwrap_or(NONE)
    }

    /// How something stands that was loaded under this id.
    #[must_use]
    pub fn judge(&self, id: u64) -> Judged {
        match self.ids.iter().position(|&known| known == id) {
            Some(0) => Judged::CURRENT,
            Some(_) => Judged { standing: Standing::Soft, certain: true },
            None => Judged { standing: self.floor.into(), certain: id == NONE },
        }
    }

    fn invalidate(&mut self, mode: Mode, id: u64) {
        if mode == Mode::Hard {
            *self = Self::new(Mode::Hard, vec![id]);
            return;
        }
        self.ids.insert(0, id);
        self.ids.truncate(GENERATIONS_KEPT_MAX);
    }
}

/// What a record is asked to invalidate.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Part<'a> {
    /// Everything that it stands for: the tag, or the whole domain.
    Whole,
    /// Keys of the domain that begin so.
    Prefix(&'a str),
}

/// What the store holds for a tag or a domain.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Record {
    whole: Line,
    /// Prefixes that were invalidated, in the order of their first time. Of domains only.
    prefixes: Vec<(String, Line)>,
}

impl Record {
    /// A new one: whatever was loaded before it is softly invalid, as nobody knows what was lost.
    #[must_use]
    pub fn born(id: u64) -> Self {
        Self { whole: Line::new(Mode::Soft, vec![id]), prefixes: Vec::new() }
    }

    /// Whether this one was begun by somebody who did not know `before`, after the store had lost that.
    #[must_use]
    pub fn follows_loss_of(&self, before: &Self) -> bool {
        self.whole.floor == Mode::Soft && !self.whole.ids.contains(&before.current())
    }

    /// The generation of the whole.
    #[must_use]
    pub fn current(&self) -> u64 {
        self.whole.current()
    }

    /// Whether it knows of an invalidation of the whole.
    pub(super) const fn has_ended_any(&self) -> bool {
        matches!(self.whole.floor, Mode::Hard) || self.whole.ids.len() > 1
    }

    /// Whether it knows prefixes, so that keys have to be looked at.
    #[must_use]
    pub const fn has_prefixes(&self) -> bool {
        !self.prefixes.is_empty()
    }

    /// The generations of the prefixes of a key.
    pub fn prefix_ids<'a>(&'a self, key: &'a str) -> impl Iterator<Item = u64> + 'a {
        self.matching(key).map(|(_, line)| line.current())
    }

    /// How something stands that was loaded under this generation of the whole.
    #[must_use]
    pub fn judge_whole(&self, id: u64) -> Judged {
        self.whole.judge(id)
    }

    /// The prefixes of a key, and how an entry stands by each that was loaded under these generations of them. A prefix that
    /// was first invalidated after the load has none.
    pub fn judge_prefixes<'a>(&'a self, key: &'a str, ids: &'a [u64]) -> impl Iterator<Item = (&'a str, Judged)> + 'a {
        let ids = ids.iter().copied().chain(std::iter::repeat(NONE));
        self.matching(key).zip(ids).map(|((prefix, line), id)| (prefix, line.judge(id)))
    }

    /// How many of the prefixes match.
    #[must_use]
    pub fn prefixes_of(&self, key: &str) -> usize {
        if self.prefixes.is_empty() { 0 } else { self.matching(key).count() }
    }

    fn matching<'a>(&'a self, key: &'a str) -> impl Iterator<Item = (&'a str, &'a Line)> + 'a {
        let pairs = self.prefixes.iter().map(|(prefix, line)| (prefix.as_str(), line));
        pairs.filter(move |(prefix, _)| key.starts_with(prefix))
    }

    /// Ends the generation of a part; `id` becomes the current one. Whether that was all: if the prefixes would be too many,
    /// the whole is invalidated instead, as hard as any of them was, and they are forgotten. More than was asked for is
    /// always right; to refuse would leave what is out of date in place.
    pub fn invalidate(&mut self, part: Part<'_>, mode: Mode, id: u64) -> bool {
        let Part::Prefix(wanted) = part else {
            self.whole.invalidate(mode, id);
            if mode == Mode::Hard {
                self.prefixes.clear();
            }
            return true;
        };
        if let Some((_, line)) = self.prefixes.iter_mut().find(|(prefix, _)| prefix == wanted) {
            line.invalidate(mode, id);
            return true;
        }
        if self.prefixes.len() < PREFIXES_MAX {
            self.prefixes.push((wanted.to_owned(), Line::new(mode, vec![id])));
            return true;
        }
        let hardest = self.prefixes.iter().map(|(_, line)| line.floor).fold(mode, Mode::max);
        self.whole.invalidate(hardest, id);
        self.prefixes.clear();
        false
    }

    /// Whether everything that was current in `before` has since been invalidated at least so hard: then somebody else has
    /// done what was asked for.
    #[must_use]
    pub fn has_ended(&self, before: Option<&Self>, part: Part<'_>, mode: Mode) -> bool {
        let Some(before) = before else { return false };
        if self.judge_whole(before.current()).standing >= mode.into() {
            return true;
        }
        let Part::Prefix(wanted) = part else { return false };
        let line =
            |record: &Self| record.prefixes.iter().find(|(prefix, _)| prefix == wanted).map(|(_, line)| line.clone());
        let old_id = line(before).map_or(NONE, |line| line.current());
        line(self).is_some_and(|line| line.judge(old_id).standing >= mode.into())
    }

    /// As the store holds it.
    #[must_use]
    pub fn encode(&self) -> Vec<u8> {
        // Strings and numbers cannot fail to be written into memory.
        postcard::to_extend(self, vec![VERSION]).unwrap_or_default()
    }

    /// What the store holds; `None` if that is no record, which counts as none at all.
    #[must_use]
    pub fn decode(bytes: &[u8]) -> Option<Self> {
        let (&VERSION, rest) = bytes.split_first()? else { return None };
        let (record, rest) = postcard::take_from_bytes::<Self>(rest).ok()?;
        let lines = || std::iter::once(&record.whole).chain(record.prefixes.iter().map(|(_, line)| line));
        let sound = rest.is_empty() && lines().all(|line| !line.ids.is_empty() && !line.ids.contains(&NONE));
        sound.then_some(record)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What becomes of entries that were loaded under each of these ids.
    #[track_caller]
    fn check(record: &Record, expect: &[(u64, &str)]) {
        for &(id, word) in expect {
            let Judged { standing, certain } = record.judge_whole(id);
            let found = format!("{}{}", standing.as_str(), if certain { "" } else { "?" });
            assert_eq!(found, word, "of {id} in {record:?}");
        }
        assert_eq!(Record::decode(&record.encode()).as_ref(), Some(record));
    }

    #[test]
    fn soft_and_hard() {
        let mut record = Record::born(1);
        check(&record, &[(1, "current"), (9, "soft?"), (NONE, "soft")]);
        record.invalidate(Part::Whole, Mode::Soft, 2);
        check(&record, &[(2, "current"), (1, "soft"), (9, "soft?")]);
        record.invalidate(Part::Whole, Mode::Hard, 3);
        check(&record, &[(3, "current"), (2, "hard?"), (1, "hard?"), (NONE, "hard")]);
        record.invalidate(Part::Whole, Mode::Soft, 4);
        check(&record, &[(4, "current"), (3, "soft"), (2, "hard?")]);
    }

    #[test]
    fn what_is_forgotten_stays_invalid() {
        let mut record = Record::born(1);
        for id in 2..100 {
            record.invalidate(Part::Whole, Mode::Soft, id);
        }
        check(&record, &[(99, "current"), (98, "soft"), (1, "soft?")]);
        assert!(record.encode().len() < 20 * GENERATIONS_KEPT_MAX);
    }

    fn by_prefix(record: &Record, key: &str, ids: &[u64]) -> String {
        let judged =
            record.judge_prefixes(key, ids).map(|(prefix, judged)| format!("{prefix}={}", judged.standing.as_str()));
        judged.collect::<Vec<_>>().join(" ")
    }

    #[test]
    fn prefixes_are_judged_by_key() {
        let mut record = Record::born(1);
        record.invalidate(Part::Prefix("user:"), Mode::Soft, 2);
        record.invalidate(Part::Prefix("user:4"), Mode::Hard, 3);
        assert_eq!(record.prefix_ids("user:42").collect::<Vec<_>>(), [2, 3]);
        assert_eq!(record.prefix_ids("team:1").count(), 0);
        check(&record, &[(1, "current")]);
        assert_eq!(by_prefix(&record, "user:42", &[]), "user:=soft user:4=hard");
        assert_eq!(by_prefix(&record, "user:42", &[2]), "user:=current user:4=hard");
        assert_eq!(by_prefix(&record, "user:5", &[2]), "user:=current");
        record.invalidate(Part::Prefix("user:"), Mode::Hard, 4);
        assert_eq!(by_prefix(&record, "user:42", &[2, 3]), "user:=hard user:4=current");
        record.invalidate(Part::Whole, Mode::Hard, 5);
        assert!(!record.has_prefixes());
        check(&record, &[(5, "current"), (1, "hard?")]);
    }

    #[test]
    fn too_many_prefixes_end_the_whole_domain_as_hard_as_any_of_them() {
        for (mode, hard_one, expect) in
            [(Mode::Soft, false, "soft"), (Mode::Soft, true, "hard?"), (Mode::Hard, false, "hard?")]
        {
            let mut record = Record::born(1);
            for n in 0..PREFIXES_MAX {
                let mode = if hard_one && n == 7 { Mode::Hard } else { Mode::Soft };
                assert!(record.invalidate(Part::Prefix(&format!("{n}:")), mode, 100 + n as u64));
            }
            assert!(record.invalidate(Part::Prefix("0:"), Mode::Soft, 2), "a known one takes no room");
            check(&record, &[(1, "current")]);
            assert!(!record.invalidate(Part::Prefix("new:"), mode, 3));
            check(&record, &[(3, "current"), (1, expect)]);
            assert!(!record.has_prefixes());
        }
    }

    #[test]
    fn somebody_else_may_have_done_it() {
        let before = Record::born(1);
        let mut now = before.clone();
        assert!(!now.has_ended(Some(&before), Part::Whole, Mode::Soft));
        now.invalidate(Part::Prefix("a"), Mode::Soft, 2);
        assert!(!now.has_ended(Some(&before), Part::Whole, Mode::Soft));
        assert!(now.has_ended(Some(&before), Part::Prefix("a"), Mode::Soft));
        assert!(!now.has_ended(Some(&before), Part::Prefix("a"), Mode::Hard));
        assert!(!now.has_ended(Some(&before), Part::Prefix("b"), Mode::Soft));
        now.invalidate(Part::Whole, Mode::Hard, 3);
        for part in [Part::Whole, Part::Prefix("a"), Part::Prefix("b")] {
            assert!(now.has_ended(Some(&before), part, Mode::Hard), "{part:?}");
            assert!(!now.has_ended(None, part, Mode::Soft), "{part:?}");
        }
    }

    #[test]
    fn other_tags_have_no_generation() {
        let names = |names: &[&str]| names.iter().map(|&name| name.to_owned()).collect::<Vec<_>>();
        let ids = Ids { domain: 1, tags: [2, 3].into(), prefixes: [4].into(), ended: true };
        let retagged = ids.retagged(&names(&["a", "b"]), &names(&["b", "c"]));
        assert_eq!(retagged, Ids { tags: [3, NONE].into(), ..ids });
    }

    #[test]
    fn what_is_no_record_is_none() {
        let good = Record::born(7).encode();
        for bytes in [&b""[..], b"\x02", b"\x01", b"text", &good[..good.len() - 1], &[&good[..], b"x"].concat()] {
            assert_eq!(Record::decode(bytes), None, "{bytes:?}");
        }
        assert_eq!(Record::decode(&Record::born(NONE).encode()), None);
    }
}
