//! What a load begins under: the generations of its domain that were current before it began.
//!
//! Deletes and writes of the key itself end the lease. An invalidation of a domain, a prefix or a tag touches no key, so its fence
//! are the ids that the entry will carry: they were read before the load, and a reader compares them as ever.
//!
//! Which tags a value gets is known only when it is there. Whether one of them was invalidated in between is told by an id that
//! every invalidation of a tag of the domain puts anew *before* it changes the tag's record ([`KeyRules::tags_key`]): if it is
//! the same after the tags' records were read as before the load, they are those of before. Else the tags have no generation,
//! and the entry is as invalid as the last invalidation was: too much by one load, never too little.
//!
//! [`KeyRules::tags_key`]: crate::engine::key::KeyRules::tags_key

use std::sync::Arc;

use bytes::Bytes;
use futures_util::future::join;

use crate::engine::core::Engine;
use crate::engine::entry::Terms;
use crate::engine::generation::{Ids, NONE};
use crate::engine::judge::Place;
use crate::engine::known::{Domain, Name};
use crate::error::Result;
use crate::limits::{LEASE_TEXT_BYTES_MAX, PREFIXES_MAX};
use crate::ports::lease::LeaseToken;
use crate::ports::store::{Expect, Expire};

/// What a load begins under.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(in crate::engine) struct Fence {
    /// Wall time at which the load began, in milliseconds.
    pub(in crate::engine) began_ms: u64,
    /// How many changes this node had seen in the domain.
    pub(in crate::engine) seq: u64,
    /// `None`: nobody shares the store, so the count of changes says it all.
    before: Option<Before>,
}

/// What the fences of keys of a domain have in common.
#[derive(Clone, Copy, Debug)]
pub(in crate::engine) struct Fences {
    began_ms: u64,
    seq: u64,
    /// `None`: nobody shares the store.
    tags: Option<u64>,
}

/// Generations as the store had them.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Before {
    domain: u64,
    /// Of the last invalidation of any tag.
    tags: u64,
    prefixes: Box<[u64]>,
}

impl Fence {
    /// Of a load that says itself what it was loaded under.
    pub(super) const fn bare(began_ms: u64, seq: u64) -> Self {
        Self { began_ms, seq, before: None }
    }

    /// What the client of a lease keeps: hexadecimal numbers, the token first.
    pub(super) fn text(&self, token: LeaseToken) -> String {
        let mut text = format!("{token}-{:x}-{:x}", self.began_ms, self.seq);
        let before =
            self.before.iter().flat_map(|it| [it.domain, it.tags].into_iter().chain(it.prefixes.iter().copied()));
        before.for_each(|id| text += &format!("-{id:x}"));
        text
    }

    /// The same from its text. A client that makes one up harms nothing but what it may write anyway.
    pub(super) fn parse(text: &[u8]) -> Option<(LeaseToken, Self)> {
        let text = std::str::from_utf8(text).ok().filter(|text| text.len() <= LEASE_TEXT_BYTES_MAX)?;
        let mut parts = text.split('-');
        let token = LeaseToken::parse(parts.next()?)?;
        let ids = parts.map(|part| u64::from_str_radix(part, 16).ok()).collect::<Option<Vec<_>>>()?;
        let (&[began_ms, seq], ids) = ids.split_first_chunk::<2>()?;
        let before = match ids {
            [] => None,
            [domain, tags, prefixes @ ..] if prefixes.len() <= PREFIXES_MAX => {
                Some(Before { domain: *domain, tags: *tags, prefixes: prefixes.into() })
            }
            _ => return None,
        };
        Some((token, Self { began_ms, seq, before }))
    }
}

impl Engine {
    /// What a load of this place that begins after this call begins under.
    ///
    /// # Errors
    /// A failure of the store.
    pub(super) async fn fence(&self, place: &Place<'_>) -> Result<Fence> {
        Ok(self.fence_of(place, self.fences(&place.domain).await?))
    }

    /// What the fences of all keys of a domain have in common whose loads begin after this.
    ///
    /// # Errors
    /// A failure of the store.
    pub(in crate::engine) async fn fences(&self, domain: &Domain) -> Result<Fences> {
        let (began_ms, seq) = (self.now_ms(), domain.seq());
        if domain.trust_ms.is_none() {
            return Ok(Fences { began_ms, seq, tags: None });
        }
        let (asked, tags) = join(self.ask(domain, &[Name::Domain]), self.tags_id(domain)).await;
        asked?;
        self.provide(domain, &[], None).await?;
        Ok(Fences { began_ms, seq, tags: Some(tags?) })
    }

    /// The fence of one of these keys.
    pub(in crate::engine) fn fence_of(&self, place: &Place<'_>, common: Fences) -> Fence {
        let Fences { began_ms, seq, tags } = common;
        let Some(tags) = tags else { return Fence { began_ms, seq, before: None } };
        let current = place.domain.current(&[], &place.key.rest, seq, 0);
        let ids = current.map_or_else(Arc::default, |(ids, _)| ids);
        let before = Before { domain: ids.domain, tags, prefixes: ids.prefixes.clone() };
        // The load begins after what was learnt just now.
        Fence { began_ms, seq: place.domain.seq(), before: Some(before) }
    }

    /// The generations that a value is marked with whose load began under a fence.
    ///
    /// # Errors
    /// A failure of the store.
    pub(super) async fn under_fence(&self, place: &Place<'_>, terms: &Terms, fence: &Fence) -> Result<Arc<Ids>> {
        let fence = if self.fills.is_open() { &self.fence(place).await? } else { fence };
        let (domain, key) = (&place.domain, &*place.key.rest);
        let tags: Vec<&str> = terms.tags.iter().map(String::as_str).collect();
        let Some(before) = &fence.before else {
            self.provide(domain, &tags, self.ends_ms(terms)).await?;
            let current = domain.current(&terms.tags, key, fence.seq, 0);
            return Ok(current.map_or_else(|| Arc::new(unknown(terms)), |(ids, _)| ids));
        };
        let ids = Ids { domain: before.domain, prefixes: before.prefixes.clone(), ..unknown(terms) };
        if tags.is_empty() {
            return Ok(Arc::new(ids));
        }
        let names: Vec<_> = tags.iter().map(|tag| Name::tag(tag)).collect();
        self.ask(domain, &names).await?;
        self.provide(domain, &tags, self.ends_ms(terms)).await?;
        let current = domain.current(&terms.tags, key, u64::MAX, 0);
        // After the records: whoever changed one has noted it here before.
        let unchanged = before.tags != NONE && self.tags_id(domain).await? == before.tags;
        Ok(Arc::new(match current {
            Some((now, _)) if unchanged => Ids { tags: now.tags.clone(), ..ids },
            _ => ids,
        }))
    }

    /// The id that the last invalidation of a tag of this domain left; one is made if there is none.
    ///
    /// # Errors
    /// A failure of the store.
    async fn tags_id(&self, domain: &Domain) -> Result<u64> {
        let key = self.keys.tags_key(&domain.name);
        for _ in 0..2 {
            let held = self.store.get(&key, false).await.map_err(|e| self.store_error(e))?;
            if let Some(id) = held.and_then(|held| Some(u64::from_le_bytes(held.bytes.as_ref().try_into().ok()?))) {
                return Ok(id);
            }
            let id = self.new_id();
            let made = self.store.replace(&key, Expect::Absent, id_bytes(id), Expire::Never).await;
            if made.map_err(|e| self.store_error(e))? {
                return Ok(id);
            }
        }
        Ok(NONE)
    }

    /// Notes that a tag of this domain is about to be invalidated.
    ///
    /// # Errors
    /// A failure of the store.
    pub(in crate::engine) async fn note_tag_invalidation(&self, domain: &Domain) -> Result<()> {
        if domain.trust_ms.is_none() {
            return Ok(());
        }
        let key = self.keys.tags_key(&domain.name);
        self.store.set(&key, id_bytes(self.new_id()), Expire::Never).await.map_err(|e| self.store_error(e))
    }
}

fn id_bytes(id: u64) -> Bytes {
    Bytes::copy_from_slice(&id.to_le_bytes())
}

/// No generation at all.
fn unknown(terms: &Terms) -> Ids {
    Ids { tags: terms.tags.iter().map(|_| NONE).collect(), ..Ids::default() }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_fence_travels_as_text() {
        let token = LeaseToken::new([0xab; 16]);
        let alone = Fence { began_ms: 1_700_000_000_000, seq: 7, before: None };
        let before = Before { domain: u64::MAX, tags: 1, prefixes: [2, 3].into() };
        for fence in [alone.clone(), Fence { before: Some(before), ..alone }] {
            let text = fence.text(token);
            assert_eq!(Fence::parse(text.as_bytes()), Some((token, fence)), "{text}");
        }
    }

    #[test]
    fn other_texts_are_none() {
        let token = LeaseToken::new([1; 16]).to_string();
        let long = format!("{token}-1-1-1-1{}", "-1".repeat(PREFIXES_MAX + 1));
        for text in ["", "x", &token, &format!("{token}-1"), &format!("{token}-1-1-1"), &format!("{token}-1-g"), &long]
        {
            assert_eq!(Fence::parse(text.as_bytes()), None, "{text}");
        }
        assert_eq!(Fence::parse(b"\xff"), None);
    }
}
