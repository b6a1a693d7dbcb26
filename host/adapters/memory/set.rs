//! Redis' set: members without an order.
//!
//! Invariant: `heap_bytes` is what the blocks of all members take.

use super::dense::{Dense, Keyed};
use super::value::block_bytes;

/// Members up to which a set is searched from end to end.
const LINEAR: usize = 16;
/// What Redis keeps as a sorted row of integers: so many members. It shows in `OBJECT ENCODING` and in `SSCAN`, which answers
/// all of such a set at once.
const INTEGERS_MAX: usize = 512;

/// A member.
#[derive(Clone, Debug)]
pub(super) struct Member(pub(super) Box<[u8]>);

impl Keyed for Member {
    fn key(&self) -> &[u8] {
        &self.0
    }
}

/// A set.
#[derive(Clone, Debug)]
pub(super) struct Set {
    members: Dense<Member, LINEAR>,
    heap_bytes: usize,
    is_integers: bool,
}

impl Default for Set {
    fn default() -> Self {
        Self { members: Dense::default(), heap_bytes: 0, is_integers: true }
    }
}

impl Set {
    pub(super) const fn len(&self) -> usize {
        self.members.len()
    }

    pub(super) fn contains(&self, member: &[u8]) -> bool {
        self.members.place(member).is_some()
    }

    /// Adds a member; whether it is new.
    pub(super) fn add(&mut self, member: &[u8]) -> bool {
        if self.contains(member) {
            return false;
        }
        self.heap_bytes += block_bytes(member.len());
        self.members.push(Member(member.into()));
        self.is_integers = self.is_integers && self.members.len() <= INTEGERS_MAX && is_integer(member);
        true
    }

    /// Removes a member; whether it was there.
    pub(super) fn remove(&mut self, member: &[u8]) -> bool {
        self.members.place(member).map(|at| self.remove_at(at)).is_some()
    }

    /// Removes the member at a place below the length.
    pub(super) fn remove_at(&mut self, at: usize) -> Box<[u8]> {
        let Member(member) = self.members.remove(at);
        self.heap_bytes -= block_bytes(member.len());
        self.members.shrink();
        member
    }

    /// Takes note that the members were put into a new set, where Redis does that.
    pub(super) fn renew(&mut self) {
        self.is_integers = self.len() <= INTEGERS_MAX && self.members().iter().all(|Member(member)| is_integer(member));
    }

    /// All members, in no order to rely on.
    pub(super) fn members(&self) -> &[Member] {
        self.members.as_slice()
    }

    /// A step of a scan, as [`Dense::step`]; all at once if all are integers.
    pub(super) fn step(&self, below: usize, count: usize) -> (&[Member], usize) {
        if self.is_integers { (self.members.as_slice(), 0) } else { self.members.step(below, count) }
    }

    /// Redis' name of the form that it would have there.
    pub(super) const fn encoding(&self) -> &'static str {
        if self.is_integers { "intset" } else { "hashtable" }
    }

    pub(super) fn heap_bytes(&self) -> usize {
        self.heap_bytes + self.members.heap_bytes()
    }
}

/// Whether it is an integer of 64 bits in its one form.
fn is_integer(member: &[u8]) -> bool {
    super::integer::parse(member).is_some()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_set_costs_is_what_its_members_cost() {
        let (mut set, mut rng) = (Set::default(), fastrand::Rng::with_seed(17));
        for _ in 0..20_000 {
            let member = vec![rng.u8(b'a'..=b'd'); rng.usize(..40)];
            match rng.u8(..6) {
                0..3 => {
                    set.add(&member);
                }
                3..5 => {
                    set.remove(&member);
                }
                _ if set.len() > 0 => {
                    set.remove_at(rng.usize(..set.len()));
                }
                _ => {}
            }
            assert_eq!(
                set.heap_bytes,
                set.members().iter().map(|Member(member)| block_bytes(member.len())).sum::<usize>()
            );
        }
    }
}
