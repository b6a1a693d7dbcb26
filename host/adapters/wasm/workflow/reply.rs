//! The store's answers as the contract's `redis` functions give them.

use bytes::Bytes;

use crate::ports::store::Reply;
use crate::ports::workflow::HostError;

type Taken<T> = Result<T, HostError>;

/// An answer of an unexpected kind: the store's own error, or a defect.
fn odd<T>(reply: &Reply) -> Taken<T> {
    match reply {
        Reply::Error(line) if line.starts_with("WRONGTYPE") => Err(HostError::WrongType),
        Reply::Error(line) => Err(HostError::Other(line.clone())),
        other => Err(HostError::Other(format!("the store gave an answer that makes no sense: {other:?}"))),
    }
}

/// It was done.
pub(super) fn done(reply: &Reply) -> Taken<()> {
    match reply {
        Reply::Status(_) => Ok(()),
        other => odd(other),
    }
}

/// Whether it was done: nothing says that a condition did not hold.
pub(super) fn did(reply: &Reply) -> Taken<bool> {
    match reply {
        Reply::Status(_) => Ok(true),
        Reply::Nil => Ok(false),
        other => odd(other),
    }
}

/// A number.
pub(super) fn integer(reply: &Reply) -> Taken<i64> {
    match reply {
        Reply::Integer(n) => Ok(*n),
        other => odd(other),
    }
}

/// A count.
pub(super) fn count(reply: &Reply) -> Taken<u32> {
    integer(reply).map(|n| u32::try_from(n).unwrap_or(if n < 0 { 0 } else { u32::MAX }))
}

/// Yes or no.
pub(super) fn flag(reply: &Reply) -> Taken<bool> {
    match reply {
        Reply::Boolean(yes) => Ok(*yes),
        other => integer(other).map(|n| n > 0),
    }
}

/// Bytes or nothing.
pub(super) fn bytes(reply: Reply) -> Taken<Option<Vec<u8>>> {
    match reply {
        Reply::Nil => Ok(None),
        Reply::Bulk(bytes) | Reply::Status(bytes) => Ok(Some(bytes.into())),
        other => odd(&other),
    }
}

fn item(reply: Reply) -> Taken<Vec<u8>> {
    bytes(reply).map(Option::unwrap_or_default)
}

/// A list; nothing is an empty one.
pub(super) fn items(reply: Reply) -> Taken<Vec<Vec<u8>>> {
    match reply {
        Reply::Array(items) | Reply::Set(items) => items.into_iter().map(item).collect(),
        Reply::Nil => Ok(Vec::new()),
        other => odd(&other),
    }
}

/// A list with gaps.
pub(super) fn options(reply: Reply) -> Taken<Vec<Option<Vec<u8>>>> {
    match reply {
        Reply::Array(items) => items.into_iter().map(bytes).collect(),
        other => odd(&other),
    }
}

/// Names and values, as RESP3 and RESP2 give them. A name that is not UTF-8 cannot be told to a policy: it is written with `�`.
pub(super) fn fields(reply: Reply) -> Taken<Vec<(String, Vec<u8>)>> {
    let name = |reply| item(reply).map(|name| String::from_utf8_lossy(&name).into_owned());
    match reply {
        Reply::Map(pairs) => pairs.into_iter().map(|(field, value)| Ok((name(field)?, item(value)?))).collect(),
        Reply::Array(flat) => {
            let mut flat = flat.into_iter();
            let mut pairs = Vec::with_capacity(flat.len() / 2);
            while let (Some(field), Some(value)) = (flat.next(), flat.next()) {
                pairs.push((name(field)?, item(value)?));
            }
            Ok(pairs)
        }
        other => odd(&other),
    }
}

/// A number as an argument.
pub(super) fn argument(n: impl ToString) -> Bytes {
    n.to_string().into()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_the_store_says_is_told_apart() {
        let wrong = Reply::Error("WRONGTYPE Operation against a key".into());
        assert_eq!(integer(&wrong), Err(HostError::WrongType));
        assert_eq!(done(&Reply::Error("OOM full".into())), Err(HostError::Other("OOM full".into())));
        assert!(matches!(done(&Reply::Integer(1)), Err(HostError::Other(_))));
        assert_eq!(did(&Reply::Nil), Ok(false));
        assert_eq!(count(&Reply::Integer(-2)), Ok(0));
        assert_eq!(flag(&Reply::Integer(1)), Ok(true));
    }

    #[test]
    fn fields_are_read_from_both_protocols() {
        let bulk = |text: &'static str| Reply::Bulk(text.into());
        let expected = Ok(vec![("a".to_owned(), b"1".to_vec())]);
        assert_eq!(fields(Reply::Map(vec![(bulk("a"), bulk("1"))])), expected);
        assert_eq!(fields(Reply::Array(vec![bulk("a"), bulk("1")])), expected);
    }
}
