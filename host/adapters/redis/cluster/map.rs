//! Which node serves which slot, as a node of the cluster said.

use std::sync::Arc;

use redis::Value;

use super::route::SLOTS;
use crate::adapters::redis::endpoint::Endpoint;
use crate::adapters::redis::node::Node;

/// No node.
const NONE: u16 = u16::MAX;

/// A primary and what it serves.
#[derive(Debug, PartialEq, Eq)]
pub(in super::super) struct Served {
    /// Where it is.
    pub(in super::super) endpoint: Endpoint,
    /// What the cluster calls it, wherever it is; empty if that is not told.
    pub(in super::super) id: String,
    /// The ranges of its slots, first and last.
    pub(super) ranges: Vec<(u16, u16)>,
}

/// Who serves what.
pub(super) struct Map {
    /// For each slot the place of its primary.
    slots: Box<[u16]>,
    /// In the order of their lowest slots, so that a replica that takes over stands where its primary stood.
    pub(super) primaries: Vec<Arc<Node>>,
}

impl Map {
    /// Of what a node said.
    pub(super) fn new(served: &[Served], mut node: impl FnMut(&Endpoint) -> Arc<Node>) -> Self {
        let mut slots = vec![NONE; usize::from(SLOTS)].into_boxed_slice();
        let mut primaries = Vec::with_capacity(served.len());
        for Served { endpoint, ranges, .. } in served {
            let place = u16::try_from(primaries.len()).unwrap_or(NONE);
            primaries.push(node(endpoint));
            for &(first, last) in ranges {
                slots[usize::from(first)..=usize::from(last)].fill(place);
            }
        }
        Self { slots, primaries }
    }

    /// The primary of a slot.
    pub(super) fn of(&self, slot: u16) -> Option<&Arc<Node>> {
        self.primaries.get(usize::from(self.slots[usize::from(slot)]))
    }
}

/// The answer of `CLUSTER SLOTS`: ranges with their primary first. A node that does not say its own name has the one by which
/// it was asked. The error says what is wrong, in words.
pub(super) fn read(answer: Value, asked: &Endpoint) -> Result<Vec<Served>, String> {
    let odd = || "it gives an answer to CLUSTER SLOTS that makes no sense".to_owned();
    let Value::Array(ranges) = answer else {
        return match answer {
            Value::ServerError(error) => Err(crate::adapters::redis::error::line(&error)),
            _ => Err(odd()),
        };
    };
    let mut served: Vec<Served> = Vec::new();
    for range in ranges {
        let one = one(range, asked).ok_or_else(odd)?;
        match served.iter_mut().find(|known| known.endpoint == one.endpoint) {
            Some(known) => known.ranges.extend(one.ranges),
            None => served.push(one),
        }
    }
    if served.is_empty() {
        return Err("the cluster has no slots yet".to_owned());
    }
    served.sort_by_key(|node| node.ranges.iter().map(|range| range.0).min());
    Ok(served)
}

fn one(range: Value, asked: &Endpoint) -> Option<Served> {
    let Value::Array(parts) = range else { return None };
    let [Value::Int(first), Value::Int(last), Value::Array(primary), ..] = parts.as_slice() else { return None };
    let number = |n: &i64| u16::try_from(*n).ok().filter(|&n| n < SLOTS);
    let (first, last) = (number(first)?, number(last)?);
    let [host, Value::Int(port), more @ ..] = primary.as_slice() else { return None };
    let host = match host {
        Value::BulkString(host) if !host.is_empty() && host != b"?" => String::from_utf8(host.clone()).ok()?,
        _ => host_of(asked)?.to_owned(),
    };
    let id = match more.first() {
        Some(Value::BulkString(id)) => String::from_utf8(id.clone()).ok()?,
        Some(Value::SimpleString(id)) => id.clone(),
        _ => String::new(),
    };
    let endpoint = Endpoint::Tcp(host, u16::try_from(*port).ok()?);
    (first <= last).then(|| Served { endpoint, id, ranges: vec![(first, last)] })
}

/// The host of an endpoint.
pub(super) fn host_of(endpoint: &Endpoint) -> Option<&str> {
    match endpoint {
        Endpoint::Tcp(host, _) => Some(host),
        Endpoint::Socket(_) => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn range(first: i64, last: i64, host: &str, port: i64) -> Value {
        let node = |port| {
            Value::Array(vec![Value::BulkString(host.into()), Value::Int(port), Value::SimpleString("id".into())])
        };
        Value::Array(vec![Value::Int(first), Value::Int(last), node(port), node(port + 1)])
    }

    #[test]
    fn ranges_are_gathered_by_their_primary() {
        let asked = Endpoint::Tcp("h".into(), 1);
        let answer = Value::Array(vec![range(100, 200, "a", 7), range(0, 99, "", 8), range(300, 300, "a", 7)]);
        let served = read(answer, &asked);
        let at = |host: &str, port, ranges: &[(u16, u16)]| Served {
            endpoint: Endpoint::Tcp(host.into(), port),
            id: "id".to_owned(),
            ranges: ranges.to_vec(),
        };
        assert_eq!(served, Ok(vec![at("h", 8, &[(0, 99)]), at("a", 7, &[(100, 200), (300, 300)])]));
    }

    #[test]
    fn what_makes_no_sense_is_told() {
        let asked = Endpoint::Tcp("h".into(), 1);
        for answer in [
            Value::Okay,
            Value::Array(vec![Value::Nil]),
            Value::Array(vec![range(5, 4, "a", 7)]),
            Value::Array(vec![range(0, 16_384, "a", 7)]),
        ] {
            assert!(read(answer, &asked).is_err_and(|told| told.contains("makes no sense")));
        }
        assert_eq!(read(Value::Array(vec![]), &asked), Err("the cluster has no slots yet".to_owned()));
    }
}
