//! Which keys clients have read, and what ends them: a change of the storage key, a time, a label (a domain's or a tag's generation).
//!
//! A row is one storage key with the names under which clients know it, and who they are. Rows lie in one list, so that one can be chosen by chance. Pure:
//! no lock, no clock. Invariant: bounded by keys and by readers; whoever adds takes out what is too much and tells it.

use std::collections::BTreeSet;

use bytes::Bytes;
use foldhash::fast::RandomState;
use hashbrown::{HashMap, HashSet};

use crate::limits::{TRACKING_ITEMS_MAX, TRACKING_KEYS_MAX};

/// What a row takes beside its keys, in bytes: the row, its places in the indexes, allocations.
const ROW_BYTES: usize = 280;
/// What a reader of a key takes.
const ITEM_BYTES: usize = 8;

/// A storage key that somebody has read.
#[derive(Debug)]
pub(super) struct Row {
    key: Bytes,
    /// The names under which it is known, and to whom.
    pub(super) readers: Vec<(Bytes, Vec<u64>)>,
    labels: Vec<u64>,
    until_ms: Option<u64>,
}

impl Row {
    fn items(&self) -> usize {
        self.readers.iter().map(|(_, clients)| clients.len()).sum()
    }

    fn bytes(&self) -> usize {
        let names: usize = self.readers.iter().map(|(name, _)| name.len()).sum();
        ROW_BYTES + self.key.len() + names + ITEM_BYTES * (self.items() + self.labels.len())
    }
}

/// All of them.
#[derive(Debug, Default)]
pub(super) struct Table {
    rows: Vec<Row>,
    at: HashMap<Bytes, usize, RandomState>,
    /// The storage key of a name that is not the storage key itself.
    by_name: HashMap<Bytes, Bytes, RandomState>,
    by_label: HashMap<u64, HashSet<Bytes, RandomState>, RandomState>,
    by_time: BTreeSet<(u64, Bytes)>,
    items: usize,
    bytes: usize,
}

impl Table {
    /// How many keys there are.
    pub(super) fn keys(&self) -> usize {
        self.rows.len()
    }

    /// How many readers of keys.
    pub(super) const fn items(&self) -> usize {
        self.items
    }

    /// About what it takes, in bytes.
    pub(super) const fn bytes(&self) -> usize {
        self.bytes
    }

    /// A client reads a key under this name.
    pub(super) fn add(&mut self, key: &Bytes, name: &Bytes, client: u64) {
        let at = *self.at.entry(key.clone()).or_insert_with(|| {
            self.rows.push(Row { key: key.clone(), readers: Vec::new(), labels: Vec::new(), until_ms: None });
            self.bytes += ROW_BYTES + key.len();
            self.rows.len() - 1
        });
        let row = &mut self.rows[at];
        self.bytes -= row.bytes();
        match row.readers.iter_mut().find(|(known, _)| known == name) {
            Some((_, clients)) if clients.contains(&client) => {}
            Some((_, clients)) => {
                clients.push(client);
                self.items += 1;
            }
            None => {
                row.readers.push((name.clone(), vec![client]));
                self.items += 1;
                if name != key {
                    self.by_name.insert(name.clone(), key.clone());
                }
            }
        }
        self.bytes += row.bytes();
    }

    /// Some key, if there are more than there may be.
    pub(super) fn too_much(&mut self, chance: u64) -> Option<Row> {
        if self.rows.len() <= TRACKING_KEYS_MAX && self.items <= TRACKING_ITEMS_MAX {
            return None;
        }
        let at = usize::try_from(chance % self.rows.len() as u64).unwrap_or(0);
        Some(self.take_at(at))
    }

    /// The key comes to its end then, and with each of these labels.
    pub(super) fn note(&mut self, key: &Bytes, until_ms: Option<u64>, labels: &[u64]) {
        let Some(&at) = self.at.get(key) else { return };
        let row = &mut self.rows[at];
        self.bytes -= row.bytes();
        for &label in labels {
            if !row.labels.contains(&label) {
                row.labels.push(label);
                self.by_label.entry(label).or_default().insert(row.key.clone());
            }
        }
        // The earlier end counts: the readers may have read at different times.
        if let Some(until_ms) = until_ms.filter(|until_ms| row.until_ms.is_none_or(|known_ms| *until_ms < known_ms)) {
            if let Some(before_ms) = row.until_ms.replace(until_ms) {
                self.by_time.remove(&(before_ms, row.key.clone()));
            }
            self.by_time.insert((until_ms, row.key.clone()));
        }
        self.bytes += row.bytes();
    }

    /// Takes out a storage key.
    pub(super) fn take(&mut self, key: &[u8]) -> Option<Row> {
        let at = *self.at.get(key)?;
        Some(self.take_at(at))
    }

    /// Takes out the storage key of a name.
    pub(super) fn take_name(&mut self, name: &[u8]) -> Option<Row> {
        let key = self.by_name.get(name).cloned();
        self.take(key.as_deref().unwrap_or(name))
    }

    /// One client does not know a name any more.
    pub(super) fn forget(&mut self, name: &[u8], client: u64) {
        let key = self.by_name.get(name).cloned();
        let Some(&at) = self.at.get(key.as_deref().unwrap_or(name)) else { return };
        let row = &mut self.rows[at];
        let before = row.bytes();
        for (_, clients) in row.readers.iter_mut().filter(|(known, _)| known == name) {
            let count = clients.len();
            clients.retain(|known| *known != client);
            self.items -= count - clients.len();
        }
        self.bytes = self.bytes - before + row.bytes();
        if row.items() == 0 {
            self.take_at(at);
        }
    }

    /// Takes out some key with this label; none is left when there is none.
    pub(super) fn take_label(&mut self, label: u64) -> Option<Row> {
        let key = self.by_label.get(&label)?.iter().next()?.clone();
        self.take(&key)
    }

    /// Takes out some key whose time is over.
    pub(super) fn take_ended(&mut self, now_ms: u64) -> Option<Row> {
        let (until_ms, key) = self.by_time.first()?;
        if now_ms < *until_ms {
            return None;
        }
        let key = key.clone();
        self.take(&key)
    }

    fn take_at(&mut self, at: usize) -> Row {
        let row = self.rows.swap_remove(at);
        self.at.remove(&row.key);
        if let Some(moved) = self.rows.get(at) {
            self.at.insert(moved.key.clone(), at);
        }
        for (name, _) in &row.readers {
            if self.by_name.get(name) == Some(&row.key) {
                self.by_name.remove(name);
            }
        }
        for label in &row.labels {
            if let Some(keys) = self.by_label.get_mut(label) {
                keys.remove(&row.key);
                if keys.is_empty() {
                    self.by_label.remove(label);
                }
            }
        }
        if let Some(until_ms) = row.until_ms {
            self.by_time.remove(&(until_ms, row.key.clone()));
        }
        self.items -= row.items();
        self.bytes -= row.bytes();
        row
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(text: &str) -> Bytes {
        text.to_owned().into()
    }

    fn readers(row: Option<Row>) -> Vec<(String, Vec<u64>)> {
        let row = row.into_iter().flat_map(|row| row.readers);
        row.map(|(name, clients)| (String::from_utf8_lossy(&name).into_owned(), clients)).collect()
    }

    #[test]
    fn a_key_is_found_by_all_that_ends_it() {
        let mut table = Table::default();
        let fill = |table: &mut Table| {
            table.add(&of("chat:v1:d:x"), &of("d:x"), 1);
            table.add(&of("chat:v1:d:x"), &of("d:X"), 2);
            table.add(&of("chat:v1:d:x"), &of("d:X"), 2);
            table.add(&of("plain"), &of("plain"), 1);
            table.note(&of("chat:v1:d:x"), Some(50), &[7]);
            table.note(&of("chat:v1:d:x"), Some(60), &[7, 8]);
            table.note(&of("chat:v1:d:x"), Some(40), &[]);
            table.note(&of("not there"), Some(1), &[7]);
        };
        let both = || vec![("d:x".to_owned(), vec![1]), ("d:X".to_owned(), vec![2])];
        let takes: [fn(&mut Table) -> Option<Row>; 5] = [
            |table| table.take(b"chat:v1:d:x"),
            |table| table.take_name(b"d:X"),
            |table| table.take_label(7),
            |table| table.take_label(8),
            |table| table.take_ended(40),
        ];
        for take in takes {
            fill(&mut table);
            assert_eq!((table.keys(), table.items()), (2, 3));
            assert!(table.take_ended(39).is_none());
            assert_eq!(readers(take(&mut table)), both());
            assert!(take(&mut table).is_none());
            assert!(table.take_label(7).is_none() && table.take_ended(u64::MAX).is_none());
            assert_eq!(readers(table.take_name(b"plain")), [("plain".to_owned(), vec![1])]);
            assert_eq!((table.keys(), table.items(), table.bytes()), (0, 0, 0));
            assert!(table.by_name.is_empty() && table.by_label.is_empty() && table.by_time.is_empty());
        }
    }

    #[test]
    fn one_reader_may_be_forgotten() {
        let mut table = Table::default();
        table.add(&of("k"), &of("k"), 1);
        table.add(&of("k"), &of("k"), 2);
        table.forget(b"k", 1);
        table.forget(b"k", 3);
        assert_eq!(table.items(), 1);
        table.forget(b"k", 2);
        assert_eq!((table.keys(), table.items(), table.bytes()), (0, 0, 0));
    }

    #[test]
    fn rows_that_move_are_found() {
        let mut table = Table::default();
        for number in 0..100 {
            table.add(&of(&format!("k{number}")), &of(&format!("n{number}")), number);
        }
        for number in (0..100).filter(|number| number % 3 > 0) {
            assert_eq!(
                readers(table.take_name(format!("n{number}").as_bytes())),
                [(format!("n{number}"), vec![number])]
            );
        }
        for number in (0..100).step_by(3) {
            assert_eq!(readers(table.take(format!("k{number}").as_bytes())), [(format!("n{number}"), vec![number])]);
        }
        assert_eq!((table.keys(), table.items(), table.bytes()), (0, 0, 0));
    }
}
