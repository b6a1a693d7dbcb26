//! Redis' hash: values by field.
//!
//! Invariant: `heap_bytes` is what the blocks of all fields take. Deliberately absent: expiry of single fields, which Redis 7.0
//! does not have either.

use super::dense::{Dense, Keyed};
use super::value::block_bytes;

/// Fields up to which a hash is searched from end to end.
const LINEAR: usize = 16;
/// What Redis keeps packed: so many fields, none of them and no value longer than so many bytes. It shows in `OBJECT ENCODING`
/// and in `HSCAN`, which answers all of a packed hash at once.
const PACKED_FIELDS_MAX: usize = 512;
const PACKED_BYTES_MAX: usize = 64;

/// A field with its value.
#[derive(Clone, Debug)]
pub(super) struct Field {
    pub(super) name: Box<[u8]>,
    pub(super) value: Box<[u8]>,
}

impl Keyed for Field {
    fn key(&self) -> &[u8] {
        &self.name
    }
}

/// A hash.
#[derive(Clone, Debug)]
pub(super) struct Hash {
    fields: Dense<Field, LINEAR>,
    heap_bytes: usize,
    is_packed: bool,
}

impl Default for Hash {
    fn default() -> Self {
        Self { fields: Dense::default(), heap_bytes: 0, is_packed: true }
    }
}

impl Hash {
    pub(super) const fn len(&self) -> usize {
        self.fields.len()
    }

    /// The value of a field.
    pub(super) fn get(&self, name: &[u8]) -> Option<&[u8]> {
        Some(&self.fields.get(self.fields.place(name)?)?.value)
    }

    /// Gives a field a value; whether the field is new.
    pub(super) fn set(&mut self, name: &[u8], value: &[u8]) -> bool {
        if name.len() > PACKED_BYTES_MAX || value.len() > PACKED_BYTES_MAX {
            self.is_packed = false;
        }
        self.heap_bytes += block_bytes(value.len());
        if let Some(field) = self.fields.place(name).and_then(|at| self.fields.get_mut(at)) {
            self.heap_bytes -= block_bytes(field.value.len());
            field.value = value.into();
            return false;
        }
        self.heap_bytes += block_bytes(name.len());
        self.fields.push(Field { name: name.into(), value: value.into() });
        if self.fields.len() > PACKED_FIELDS_MAX {
            self.is_packed = false;
        }
        true
    }

    /// Removes a field; whether it was there.
    pub(super) fn remove(&mut self, name: &[u8]) -> bool {
        let Some(at) = self.fields.place(name) else { return false };
        let field = self.fields.remove(at);
        self.heap_bytes -= block_bytes(field.name.len()) + block_bytes(field.value.len());
        self.fields.shrink();
        true
    }

    /// All fields, in no order to rely on.
    pub(super) fn fields(&self) -> &[Field] {
        self.fields.as_slice()
    }

    /// A step of a scan, as [`Dense::step`]; all at once if it is packed.
    pub(super) fn step(&self, below: usize, count: usize) -> (&[Field], usize) {
        if self.is_packed { (self.fields.as_slice(), 0) } else { self.fields.step(below, count) }
    }

    /// Redis' name of the form that it would have there.
    pub(super) const fn encoding(&self) -> &'static str {
        if self.is_packed { "listpack" } else { "hashtable" }
    }

    pub(super) fn heap_bytes(&self) -> usize {
        self.heap_bytes + self.fields.heap_bytes()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_hash_costs_is_what_its_fields_cost() {
        let (mut hash, mut rng) = (Hash::default(), fastrand::Rng::with_seed(17));
        for _ in 0..20_000 {
            let name = vec![rng.u8(b'a'..=b'd'); rng.usize(..40)];
            if rng.u8(..3) < 2 {
                hash.set(&name, &vec![0; rng.usize(..200)]);
            } else {
                hash.remove(&name);
            }
            let cost = |field: &Field| block_bytes(field.name.len()) + block_bytes(field.value.len());
            assert_eq!(hash.heap_bytes, hash.fields().iter().map(cost).sum::<usize>());
        }
    }
}
