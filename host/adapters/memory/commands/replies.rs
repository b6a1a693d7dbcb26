//! Replies from what the store holds.

use bytes::Bytes;

use crate::ports::store::Reply;

/// A number of things.
pub(super) fn count(n: usize) -> Reply {
    Reply::Integer(i64::try_from(n).unwrap_or(i64::MAX))
}

/// Whether something was so, as 1 or 0.
pub(super) fn flag(yes: bool) -> Reply {
    Reply::Integer(i64::from(yes))
}

/// Bytes of an element, copied out.
pub(super) fn bulk(bytes: &[u8]) -> Reply {
    Reply::Bulk(Bytes::copy_from_slice(bytes))
}

/// Bytes of an element, or nothing.
pub(super) fn maybe(bytes: Option<&[u8]>) -> Reply {
    bytes.map_or(Reply::Nil, bulk)
}

/// An element that was taken out, or nothing.
pub(super) fn taken(element: Option<Box<[u8]>>) -> Reply {
    element.map_or(Reply::Nil, |element| Reply::Bulk(element.into()))
}

/// Elements as a list.
pub(super) fn list<'a>(elements: impl IntoIterator<Item = &'a [u8]>) -> Reply {
    Reply::Array(elements.into_iter().map(bulk).collect())
}

/// Elements as a set.
pub(super) fn set<'a>(elements: impl IntoIterator<Item = &'a [u8]>) -> Reply {
    Reply::Set(elements.into_iter().map(bulk).collect())
}
