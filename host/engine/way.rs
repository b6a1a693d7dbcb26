//! The way of an invalidation through the store: which passes over its keys it takes, where on them it is, and the cursor in which a caller
//! keeps that between two steps.
//!
//! Invariant: a cursor is good for the way that it was made on. On another one (another selector, a policy of other key versions since)
//! it means the beginning, so that nothing is left out.

use bytes::Bytes;
use xxhash_rust::xxh3::Xxh3;

use crate::error::{Error, ErrorKind, Result};
use crate::ports::invalidation::Mode;

/// What is done with the keys of a pass.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Look {
    /// Those that are leases are ended.
    Leases,
    /// Those of the domain are removed, or made stale.
    Keys(Mode),
}

/// One pass over all keys of the store.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Pass {
    /// The glob over storage keys.
    pub(super) pattern: Bytes,
    pub(super) look: Look,
}

/// All passes, in their order.
#[derive(Debug)]
pub(super) struct Way {
    pub(super) passes: Vec<Pass>,
    /// What tells this way from others.
    mark: u64,
}

/// Where on a way somebody is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct At {
    /// Which pass; behind the last one it is over.
    pub(super) pass: usize,
    /// The store's own cursor in it.
    pub(super) cursor: u64,
    /// How many keys were removed or made stale.
    pub(super) keys: u64,
    /// About how many keys of the store were looked at in this pass.
    looked_at: u64,
    /// How many keys the store had at the beginning: about how many each pass looks at.
    each: u64,
}

impl At {
    /// At the beginning, of a store with so many keys.
    pub(super) const fn begin(each: u64) -> Self {
        Self { pass: 0, cursor: 0, keys: 0, looked_at: 0, each }
    }

    /// Some more keys were looked at, and the store says where it goes on; 0: the pass is over.
    pub(super) fn advance(&mut self, looked_at: u64, next: u64) {
        self.cursor = next;
        if next == 0 {
            self.pass += 1;
            self.looked_at = 0;
        } else {
            self.looked_at = self.looked_at.saturating_add(looked_at);
        }
    }

    /// About how many keys were looked at, over all passes. It never goes back.
    pub(super) fn seen(&self) -> u64 {
        // How many keys a step of a scan looks at is the store's to choose: a pass counts for as many as there were, no more and no less.
        self.each.saturating_mul(self.pass as u64).saturating_add(self.looked_at.min(self.each))
    }
}

impl Way {
    pub(super) fn new(passes: Vec<Pass>) -> Self {
        let mut hash = Xxh3::new();
        for pass in &passes {
            let look = match pass.look {
                Look::Leases => b'l',
                Look::Keys(Mode::Hard) => b'h',
                Look::Keys(Mode::Soft) => b's',
            };
            hash.update(&[look]);
            hash.update(&(pass.pattern.len() as u64).to_le_bytes());
            hash.update(&pass.pattern);
        }
        Self { passes, mark: hash.digest() }
    }

    /// About how many keys are looked at from the beginning to the end.
    pub(super) fn total(&self, at: &At) -> u64 {
        at.each.saturating_mul(self.passes.len() as u64)
    }

    /// A place as text.
    pub(super) fn cursor(&self, at: &At) -> String {
        let At { pass, cursor, keys, looked_at, each } = at;
        format!("{:x}.{pass}.{cursor}.{keys}.{looked_at}.{each}", self.mark)
    }

    /// The place that a text says; `None`: the beginning, as it is one on another way.
    ///
    /// # Errors
    /// It is none that a step has answered.
    pub(super) fn at(&self, text: &str) -> Result<Option<At>> {
        let odd = || Error::new(ErrorKind::InvalidArgument, "the cursor is none that a step answered");
        let (mark, rest) = text.split_once('.').ok_or_else(odd)?;
        let mark = u64::from_str_radix(mark, 16).map_err(|_| odd())?;
        let numbers: Vec<u64> =
            rest.split('.').map(str::parse).collect::<std::result::Result<_, _>>().map_err(|_| odd())?;
        let [pass, cursor, keys, looked_at, each] = numbers[..] else { return Err(odd()) };
        let pass = usize::try_from(pass).map_err(|_| odd())?;
        let is_on_it = mark == self.mark && pass < self.passes.len();
        Ok(is_on_it.then_some(At { pass, cursor, keys, looked_at, each }))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn way(patterns: &[&'static str]) -> Way {
        let pass = |pattern: &&'static str| Pass {
            pattern: Bytes::from_static(pattern.as_bytes()),
            look: Look::Keys(Mode::Hard),
        };
        Way::new(patterns.iter().map(pass).collect())
    }

    #[test]
    fn a_cursor_is_the_place_that_it_was_made_at() {
        let way = way(&["a*", "b*"]);
        let mut at = At::begin(1_000);
        let mut seen = vec![at.seen()];
        for (looked_at, next) in [(500, 7), (500, 9), (500, 0), (500, u64::MAX)] {
            at.advance(looked_at, next);
            at.keys += 3;
            assert_eq!(way.at(&way.cursor(&at)).unwrap(), Some(at.clone()));
            seen.push(at.seen());
        }
        assert_eq!((seen, way.total(&at)), (vec![0, 500, 1_000, 1_000, 1_500], 2_000));
    }

    #[test]
    fn a_cursor_of_another_way_is_the_beginning() {
        let at = At { pass: 1, ..At::begin(1_000) };
        let cursor = way(&["a*", "b*"]).cursor(&at);
        for other in [&["a*", "c*"][..], &["a*"], &["a*b*", ""]] {
            assert_eq!(way(other).at(&cursor).unwrap(), None, "{other:?}");
        }
        let soft = Way::new(vec![Pass { pattern: Bytes::from_static(b"a*"), look: Look::Keys(Mode::Soft) }]);
        assert_eq!(soft.at(&way(&["a*"]).cursor(&At::begin(1))).unwrap(), None);
    }

    #[test]
    fn a_text_that_is_none_is_refused() {
        let way = way(&["a*"]);
        let good = way.cursor(&At::begin(1));
        for wrong in
            ["", "0", "x.0.0.0.0.0", "1.0.0.0.0", "1.0.0.0.0.0.0", "1.0.-1.0.0.0", "1.0.99999999999999999999.0.0.0"]
        {
            assert!(way.at(wrong).is_err(), "{wrong}");
        }
        assert!(way.at(&good).unwrap().is_some());
        let beyond = good.replacen(".0.", ".1.", 1);
        assert_eq!(way.at(&beyond).unwrap(), None);
    }
}
