//! Redis' list: elements in order, cheap at both ends.
//!
//! Invariant: `heap_bytes` is what the blocks of all elements take.

use std::collections::VecDeque;
use std::ops::Range;

use super::value::block_bytes;

/// An end of a list.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum End {
    /// Where the first element is.
    Left,
    /// Where the last element is.
    Right,
}

/// A list.
#[derive(Clone, Debug, Default)]
pub(super) struct List {
    elements: VecDeque<Box<[u8]>>,
    heap_bytes: usize,
}

impl List {
    pub(super) fn len(&self) -> usize {
        self.elements.len()
    }

    pub(super) fn get(&self, at: usize) -> Option<&[u8]> {
        self.elements.get(at).map(|element| &**element)
    }

    /// The elements of a range within the list.
    pub(super) fn range(&self, range: Range<usize>) -> impl Iterator<Item = &[u8]> {
        self.elements.range(range).map(|element| &**element)
    }

    /// All elements from an end to the other.
    pub(super) fn from(&self, end: End) -> impl Iterator<Item = &[u8]> {
        let at = move |n: usize| if end == End::Left { n } else { self.elements.len() - 1 - n };
        (0..self.elements.len()).map(move |n| &*self.elements[at(n)])
    }

    pub(super) fn push(&mut self, end: End, element: &[u8]) {
        self.grow(element);
        match end {
            End::Left => self.elements.push_front(element.into()),
            End::Right => self.elements.push_back(element.into()),
        }
    }

    pub(super) fn pop(&mut self, end: End) -> Option<Box<[u8]>> {
        let element = match end {
            End::Left => self.elements.pop_front(),
            End::Right => self.elements.pop_back(),
        }?;
        self.heap_bytes -= block_bytes(element.len());
        self.shrink();
        Some(element)
    }

    /// Puts an element before the one at a place; at the end if the place is the length.
    pub(super) fn insert(&mut self, at: usize, element: &[u8]) {
        self.grow(element);
        self.elements.insert(at, element.into());
    }

    /// Replaces the element at a place; whether there is one.
    pub(super) fn set(&mut self, at: usize, element: &[u8]) -> bool {
        let Some(there) = self.elements.get_mut(at) else { return false };
        self.heap_bytes = self.heap_bytes - block_bytes(there.len()) + block_bytes(element.len());
        *there = element.into();
        true
    }

    /// Keeps the elements of a range within the list.
    pub(super) fn trim(&mut self, range: Range<usize>) {
        let after = self.elements.drain(range.end..).map(|element| block_bytes(element.len())).sum::<usize>();
        let before = self.elements.drain(..range.start).map(|element| block_bytes(element.len())).sum::<usize>();
        self.heap_bytes -= before + after;
        self.shrink();
    }

    /// Removes elements that equal this one, `most` at most, the first ones from this end; how many.
    pub(super) fn remove(&mut self, element: &[u8], end: End, most: usize) -> usize {
        let there = self.elements.iter().filter(|candidate| ***candidate == *element).count();
        let removed = there.min(most);
        // Counted from the left, what stays is the first ones or the last ones.
        let doomed = if end == End::Left { 0..removed } else { there - removed..there };
        let mut seen = 0;
        self.elements.retain(|candidate| {
            let equal = **candidate == *element;
            let stays = !equal || !doomed.contains(&seen);
            seen += usize::from(equal);
            stays
        });
        self.heap_bytes -= removed * block_bytes(element.len());
        self.shrink();
        removed
    }

    pub(super) fn heap_bytes(&self) -> usize {
        self.heap_bytes + self.elements.capacity() * size_of::<Box<[u8]>>()
    }

    fn grow(&mut self, element: &[u8]) {
        if self.elements.len() == self.elements.capacity() {
            self.elements.reserve_exact((self.elements.len() / 2).max(2));
        }
        self.heap_bytes += block_bytes(element.len());
    }

    fn shrink(&mut self) {
        const KEPT: usize = 16;
        if self.elements.capacity() > KEPT && self.elements.len() < self.elements.capacity() / 4 {
            self.elements.shrink_to(self.elements.len() * 2);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_list_costs_is_what_its_elements_cost() {
        let (mut list, mut rng) = (List::default(), fastrand::Rng::with_seed(17));
        for _ in 0..20_000 {
            let end = if rng.bool() { End::Left } else { End::Right };
            let element = vec![rng.u8(b'a'..=b'd'); rng.usize(..40)];
            let at = rng.usize(..=list.len());
            match rng.u8(..24) {
                0..14 => list.push(end, &element),
                14..17 => {
                    list.pop(end);
                }
                17..19 => list.insert(at, &element),
                19..21 => {
                    list.set(at, &element);
                }
                21..23 => {
                    list.remove(&element, end, rng.usize(..5));
                }
                _ => list.trim(at / 2..at),
            }
            let expect: usize = list.elements.iter().map(|element| block_bytes(element.len())).sum();
            assert_eq!(list.heap_bytes, expect);
        }
    }

    #[test]
    fn the_first_ones_from_an_end_are_removed() {
        let elements = |list: &List| list.range(0..list.len()).map(|element| element[0]).collect::<Vec<u8>>();
        for (end, most, left) in
            [(End::Left, 2, "bcba"), (End::Right, 2, "abcb"), (End::Left, 9, "bcb"), (End::Right, 0, "abacba")]
        {
            let mut list = List::default();
            b"abacba".iter().for_each(|element| list.push(End::Right, &[*element]));
            assert_eq!(list.remove(b"a", end, most), 6 - left.len());
            assert_eq!(elements(&list), left.as_bytes());
        }
    }
}
