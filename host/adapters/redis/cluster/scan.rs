//! `SCAN` over all primaries, one after the other. The cursor says at which it is: its lowest bits are the place of the primary, the
//! others are that primary's own cursor.
//!
//! A node that takes over from another counts its keys in another order: a scan over a failover may miss some, or tell some twice.

use redis::{Cmd, Value};
use tokio::time::Instant;

use super::{Cluster, route};
use crate::limits::CLUSTER_PRIMARIES_BITS;
use crate::ports::store::{StoreError, StoreResult};
use crate::ports::upstream::Types;

/// A cursor as callers know it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Cursor {
    place: usize,
    own: u64,
}

impl Cursor {
    const fn of(number: u64) -> Self {
        let mask = (1 << CLUSTER_PRIMARIES_BITS) - 1;
        Self { place: (number & mask) as usize, own: number >> CLUSTER_PRIMARIES_BITS }
    }

    /// Where it goes on, once the primary at `place` has answered with a cursor of its own; 0: nowhere.
    fn next(place: usize, own: u64, primaries: usize) -> Option<u64> {
        let (place, own) = match (own, place + 1 < primaries) {
            (0, false) => return Some(0),
            (0, true) => (place + 1, 0),
            _ => (place, own),
        };
        let fits = own >> (u64::BITS - CLUSTER_PRIMARIES_BITS) == 0 && place >> CLUSTER_PRIMARIES_BITS == 0;
        fits.then_some((own << CLUSTER_PRIMARIES_BITS) | place as u64)
    }
}

impl Cluster {
    pub(super) async fn scan(&self, command: &Cmd, types: Types, deadline: Instant) -> StoreResult<Value> {
        let map = self.map(deadline).await?;
        let words = route::words(command);
        let given = words.get(1).and_then(|word| std::str::from_utf8(word).ok()?.parse().ok());
        // What is no cursor is for the server to refuse, in its own words.
        let cursor = given.map(Cursor::of);
        let place = cursor.map_or(0, |cursor| cursor.place);
        let Some(node) = map.primaries.get(place) else {
            // There were more primaries when the scan began: what is left of it is on the others, which it has seen.
            return Ok(Value::Array(vec![Value::BulkString(b"0".to_vec()), Value::Array(Vec::new())]));
        };
        let mut asked = Cmd::new();
        for (at, word) in words.iter().enumerate() {
            match cursor {
                Some(cursor) if at == 1 => asked.arg(cursor.own),
                _ => asked.arg(*word),
            };
        }
        let answer = self.ask_at(&asked, node.clone(), None, types, deadline).await?;
        let Value::Array(mut parts) = answer else { return Ok(answer) };
        let own = match parts.first() {
            Some(Value::BulkString(text)) => std::str::from_utf8(text).ok().and_then(|text| text.parse().ok()),
            _ => None,
        };
        let next = own.and_then(|own| Cursor::next(place, own, map.primaries.len()));
        let next = next.ok_or_else(|| StoreError::Protocol("a cursor of a scan is too large".to_owned()))?;
        parts[0] = Value::BulkString(next.to_string().into_bytes());
        Ok(Value::Array(parts))
    }
}

#[cfg(test)]
mod tests {
    use super::Cursor;

    #[test]
    fn a_scan_goes_from_one_to_the_next() {
        let mut told = Vec::new();
        let mut number = 0;
        // Each of three primaries answers with 7, then with 0.
        loop {
            let Cursor { place, own } = Cursor::of(number);
            told.push((place, own));
            number = Cursor::next(place, if own == 0 { 7 } else { 0 }, 3).unwrap();
            if number == 0 {
                break;
            }
        }
        assert_eq!(told, [(0, 0), (0, 7), (1, 0), (1, 7), (2, 0), (2, 7)]);
        assert_eq!(Cursor::next(0, u64::MAX, 3), None);
    }
}
