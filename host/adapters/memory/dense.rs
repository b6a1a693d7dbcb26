//! Items by name, in one gapless row: the form of the key space, of hashes and of sets.
//!
//! A row of items, and beside it an index of 32-bit places; rows up to `LINEAR` items do without the index. So an item is
//! found, added and removed in constant time, any item can be drawn by its number, and a scan can stop and go on.
//!
//! Invariant: an item never moves to a higher place. A removal closes the gap from behind: with the last item, or in a short
//! row by moving up what follows, which keeps the order in which the items came. So a scan that goes from the end to the
//! beginning meets every item that is there all the while, whatever is added or removed between its steps.

use std::hash::BuildHasher as _;

use foldhash::quality::RandomState;
use hashbrown::HashTable;

/// What has a name.
pub(super) trait Keyed {
    /// The name. It does not change.
    fn key(&self) -> &[u8];
}

/// Items by name.
#[derive(Clone, Debug)]
pub(super) struct Dense<T, const LINEAR: usize> {
    items: Vec<T>,
    /// The place of each item; boxed, because short rows have none.
    index: Option<Box<HashTable<u32>>>,
    hasher: RandomState,
}

impl<T, const LINEAR: usize> Default for Dense<T, LINEAR> {
    fn default() -> Self {
        Self::new(RandomState::default())
    }
}

impl<T, const LINEAR: usize> Dense<T, LINEAR> {
    /// An empty one. Hashes that callers hand in must come from this hasher.
    pub(super) const fn new(hasher: RandomState) -> Self {
        Self { items: Vec::new(), index: None, hasher }
    }

    pub(super) const fn len(&self) -> usize {
        self.items.len()
    }

    pub(super) fn get(&self, at: usize) -> Option<&T> {
        self.items.get(at)
    }

    /// The item at a place, to be changed; its name must stay.
    pub(super) fn get_mut(&mut self, at: usize) -> Option<&mut T> {
        self.items.get_mut(at)
    }

    pub(super) fn as_slice(&self) -> &[T] {
        &self.items
    }

    /// A step of a scan, from the end to the beginning: the items in the `count` places below `below`, and the place below
    /// which the next step goes on; 0 if there is none.
    pub(super) fn step(&self, below: usize, count: usize) -> (&[T], usize) {
        let end = below.min(self.items.len());
        let begin = end.saturating_sub(count);
        (&self.items[begin..end], begin)
    }

    /// What row and index take, the items' own blocks aside.
    pub(super) fn heap_bytes(&self) -> usize {
        let index = self.index.as_ref().map_or(0, |index| size_of::<HashTable<u32>>() + index.allocation_size());
        self.items.capacity() * size_of::<T>() + index
    }
}

impl<T: Keyed, const LINEAR: usize> Dense<T, LINEAR> {
    /// The hash of a name, as far as one is needed to find it.
    pub(super) fn hash(&self, key: &[u8]) -> u64 {
        if self.index.is_some() { self.hasher.hash_one(key) } else { 0 }
    }

    /// The place of the item with this name and hash.
    pub(super) fn find(&self, hash: u64, key: &[u8]) -> Option<usize> {
        match &self.index {
            Some(index) => index.find(hash, |&at| self.items[at as usize].key() == key).map(|&at| at as usize),
            None => self.items.iter().position(|item| item.key() == key),
        }
    }

    /// The place of the item with this name.
    pub(super) fn place(&self, key: &[u8]) -> Option<usize> {
        self.find(self.hash(key), key)
    }

    /// Adds an item whose name is not there yet.
    pub(super) fn push(&mut self, item: T) {
        let Self { items, index, hasher } = self;
        let hash = |at: &u32| hasher.hash_one(items[*at as usize].key());
        // The bound on memory keeps a row far below the 2^32 items that an index can tell apart.
        let place = items.len() as u32;
        if let Some(index) = index {
            index.insert_unique(hasher.hash_one(item.key()), place, hash);
        } else if items.len() >= LINEAR {
            let mut table = HashTable::with_capacity(items.len() + 1);
            for at in 0..place {
                table.insert_unique(hash(&at), at, hash);
            }
            table.insert_unique(hasher.hash_one(item.key()), place, hash);
            *index = Some(Box::new(table));
        }
        if items.len() == items.capacity() {
            items.reserve_exact((items.len() / 2).max(2));
        }
        items.push(item);
    }

    /// Removes the item at a place; there must be one.
    pub(super) fn remove(&mut self, at: usize) -> T {
        let Self { items, index, hasher } = self;
        let Some(index) = index else { return items.remove(at) };
        let hash = |at: usize| hasher.hash_one(items[at].key());
        if let Ok(entry) = index.find_entry(hash(at), |&place| place as usize == at) {
            entry.remove();
        }
        let last = items.len() - 1;
        if let Some(place) = index.find_mut(hash(last), |&place| place as usize == last) {
            *place = at as u32;
        }
        items.swap_remove(at)
    }

    /// Gives memory back if few items are left of many.
    pub(super) fn shrink(&mut self) {
        const KEPT: usize = 16;
        let Self { items, index, hasher } = self;
        if items.len() <= LINEAR / 2 {
            *index = None;
        }
        if items.is_empty() {
            *items = Vec::new();
        } else if items.capacity() > KEPT && items.len() < items.capacity() / 4 {
            items.shrink_to(items.len() * 2);
            if let Some(index) = index {
                index.shrink_to(items.len() * 2, |&at| hasher.hash_one(items[at as usize].key()));
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::*;

    impl Keyed for Box<[u8]> {
        fn key(&self) -> &[u8] {
            self
        }
    }

    type Names = Dense<Box<[u8]>, 4>;

    fn add(names: &mut Names, n: u32) {
        names.push(n.to_string().as_bytes().into());
    }

    fn remove(names: &mut Names, n: u32) {
        let at = names.place(n.to_string().as_bytes()).expect("it is there");
        assert_eq!(*names.remove(at), *n.to_string().as_bytes());
        names.shrink();
    }

    #[test]
    fn items_are_found_at_every_size() {
        let mut names = Names::default();
        let mut there: HashSet<u32> = HashSet::new();
        let mut rng = fastrand::Rng::with_seed(7);
        for round in 0..20_000 {
            // It grows to hundreds, then falls to nothing, again and again.
            let n = rng.u32(..400);
            let grows = round / 2_000 % 2 == 0;
            match (there.contains(&n), grows) {
                (false, true) => {
                    add(&mut names, n);
                    there.insert(n);
                }
                (true, false) => {
                    remove(&mut names, n);
                    there.remove(&n);
                }
                (found, _) => assert_eq!(names.place(n.to_string().as_bytes()).is_some(), found),
            }
            assert_eq!(names.len(), there.len());
        }
        for n in there.drain() {
            remove(&mut names, n);
        }
        assert_eq!(names.heap_bytes(), 0);
    }

    #[test]
    fn a_short_row_keeps_its_order() {
        let mut names = Names::default();
        (0..4).for_each(|n| add(&mut names, n));
        remove(&mut names, 1);
        add(&mut names, 7);
        assert_eq!(names.as_slice().concat(), b"0237");
    }

    #[test]
    fn a_scan_misses_nothing_that_stays() {
        let mut rng = fastrand::Rng::with_seed(11);
        for _ in 0..200 {
            let mut names = Names::default();
            (0..100).for_each(|n| add(&mut names, n));
            let (mut seen, mut below) = (HashSet::new(), usize::MAX);
            while below > 0 {
                let (items, next) = names.step(below, rng.usize(1..8));
                seen.extend(items.iter().cloned());
                below = next;
                // Only even ones are removed, others come anew.
                for _ in 0..rng.u32(..20) {
                    let n = rng.u32(..200);
                    match names.place(n.to_string().as_bytes()) {
                        Some(_) if n.is_multiple_of(2) => remove(&mut names, n),
                        None => add(&mut names, n),
                        Some(_) => {}
                    }
                }
            }
            let stayed = (1..100_u32).step_by(2).map(|n| n.to_string().into_bytes().into_boxed_slice());
            assert!(stayed.into_iter().all(|name| seen.contains(&name)));
        }
    }
}
