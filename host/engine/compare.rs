//! Compares entries with what is known of their domain's generations: how an entry stands, which generations a new one gets,
//! and since when that is known.
//!
//! Nothing here waits or asks: what is not known is said to be *open*, and [`super::standing`] asks for it. Comparing an entry of
//! which everything is known allocates nothing.

use std::sync::Arc;
use std::sync::atomic::Ordering;

use super::entry::Stamps;
use super::fetched::Fetched;
use super::generation::{Ids, Judged, NONE, Record, Standing};
use super::known::{Domain, Name};

/// What of an entry is compared with the records.
#[derive(Clone, Copy)]
pub(super) struct Loaded<'a> {
    pub(super) ids: &'a Ids,
    pub(super) tags: &'a [String],
    /// The key without its domain.
    pub(super) key: &'a str,
}

impl<'a> Loaded<'a> {
    /// Of an entry with these stamps; `None` if it has no generations.
    pub(super) fn of(stamps: &'a Stamps, key: &'a str) -> Option<Self> {
        stamps.under.as_deref().map(|ids| Self { ids, tags: &stamps.terms.tags, key })
    }
}

/// From when the oldest record is that says something of an entry, and the stream of changes that all of them belong to.
#[derive(Clone, Copy, Debug)]
pub(super) struct Since {
    pub(super) as_of_ms: u64,
    pub(super) stream: u32,
}

/// A judgement as far as it could be made, and what has to be asked for before it counts.
#[derive(Debug)]
pub(super) struct Judgement {
    pub(super) standing: Standing,
    pub(super) open: Vec<Name>,
}

impl Domain {
    /// How an entry stands by what is known; what is not known, too old at `now_ms`, or could be newer than the record that was
    /// asked for before question number `after`, is open. `None` for `now_ms`: however old it is. What was answered since that question counts
    /// though changes were told since: whoever asks for it began before them.
    pub(super) fn judge(&self, loaded: Loaded<'_>, now_ms: Option<u64>, after: u64) -> Judgement {
        let mut judged = if loaded.ids.ended { Judged::ENDED } else { Judged::CURRENT };
        let mut open = Vec::new();
        if self.unchecked.load(Ordering::Relaxed) {
            return Judgement { standing: Standing::Current, open };
        }
        let known = self.known.lock();
        let mut look = |fetched: Option<&Fetched>, judge: &dyn Fn(Option<&Record>) -> Judged, text: &str| {
            let known_now = fetched.filter(|fetched| now_ms.is_none_or(|now_ms| self.is_trusted(fetched, now_ms)));
            let name = || if text.is_empty() { Name::Domain } else { Name::tag(text) };
            match known_now.or_else(|| now_ms.and_then(|_| known.seen.after(text, after))) {
                None => open.push(name()),
                Some(fetched) => {
                    let found = fetched.judge(judge);
                    if !found.certain && fetched.number <= after {
                        open.push(name());
                    }
                    judged = judged.and(found);
                }
            }
        };
        let whole = |record: Option<&Record>| judge_domain(record, loaded);
        look(known.domain.as_ref(), &whole, "");
        for (i, tag) in loaded.tags.iter().enumerate() {
            let id = loaded.ids.tags.get(i).copied().unwrap_or(NONE);
            look(known.tags.peek(tag.as_str()), &|record| judge_id(record, id), tag);
        }
        Judgement { standing: judged.standing, open }
    }

    /// Whose generation is no longer the one that an entry was loaded under, by what is known.
    pub(super) fn differences(&self, loaded: Loaded<'_>) -> Vec<String> {
        let known = self.known.lock();
        let mut found = Vec::new();
        let mut note = |what: String, standing: Standing| {
            if let Some(mode) = standing.mode() {
                found.push(format!("{what} ({})", mode.as_str()));
            }
        };
        let record = known.domain.as_ref().and_then(|fetched| fetched.record.as_deref());
        if loaded.ids.ended {
            note("key".to_owned(), Standing::Soft);
        }
        let stands = |fetched: Option<&Fetched>, id: u64| {
            let judge = |record: Option<&Record>| judge_id(record, id);
            fetched.map_or_else(|| judge(None), |fetched| fetched.judge(&judge)).standing
        };
        note("domain".to_owned(), stands(known.domain.as_ref(), loaded.ids.domain));
        for (prefix, judged) in
            record.into_iter().flat_map(|record| record.judge_prefixes(loaded.key, &loaded.ids.prefixes))
        {
            note(format!("prefix {prefix}"), judged.standing);
        }
        for (i, tag) in loaded.tags.iter().enumerate() {
            let id = loaded.ids.tags.get(i).copied().unwrap_or(NONE);
            note(format!("tag {tag}"), stands(known.tags.peek(tag.as_str()), id));
        }
        found
    }

    /// The generations for something whose loading or writing began when there were `seq` changes: those that are known to be current, or
    /// the last that the store answered, while changes are told faster than it can be asked. They may be too old and are never too new.
    /// What an invalidation here has overtaken since gets none. `None` if of one nothing is known. The flag: whether all were asked for after
    /// question number `after`.
    pub(super) fn current(&self, tags: &[String], key: &str, seq: u64, after: u64) -> Option<(Arc<Ids>, bool)> {
        let known = self.known.lock();
        let mut fresh = true;
        let mut id = |name: &str, fetched: Option<&Fetched>, slot: usize| {
            let last = known.last(name, fetched)?;
            fresh &= last.number > after;
            let id = last.record.as_ref()?.current();
            Some(if known.changed[slot] > seq { NONE } else { id })
        };
        let domain = id("", known.domain.as_ref(), 0)?;
        let tags = tags.iter().map(|tag| id(tag, known.tags.peek(tag.as_str()), self.slot(&Name::tag(tag))));
        let tags = tags.collect::<Option<_>>()?;
        let record = known.last("", known.domain.as_ref()).and_then(|last| last.record.as_ref());
        let prefixes = record.filter(|_| domain != NONE).map_or_else(Box::default, |it| it.prefix_ids(key).collect());
        Some((Arc::new(Ids { domain, tags, prefixes, ended: false }), fresh))
    }
}

fn judge_id(record: Option<&Record>, id: u64) -> Judged {
    // A record that is lost invalidates softly; the entry may be newer than the loss.
    record.map_or(Judged { standing: Standing::Soft, certain: id == NONE }, |record| record.judge_whole(id))
}

fn judge_domain(record: Option<&Record>, loaded: Loaded<'_>) -> Judged {
    let whole = judge_id(record, loaded.ids.domain);
    let prefixes = record.filter(|record| record.has_prefixes());
    prefixes
        .into_iter()
        .flat_map(|record| record.judge_prefixes(loaded.key, &loaded.ids.prefixes))
        .fold(whole, |all, (_, one)| all.and(one))
}
