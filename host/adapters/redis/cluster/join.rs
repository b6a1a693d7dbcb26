//! One answer of those that several nodes gave.

use redis::Value;

use crate::ports::store::{StoreError, StoreResult};

/// How answers become one. An error is the answer if any node gave one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Join {
    /// Numbers are added.
    Sum,
    /// Lists follow each other.
    Lists,
    /// All say the same.
    Agreed,
    /// The least in each place of the lists.
    Least,
    /// Numbers behind names are added for each name.
    Counts,
    /// Any that is not nothing.
    AnyOne,
}

/// One answer of many; at least one.
pub(super) fn join(how: Join, answers: Vec<Value>) -> StoreResult<Value> {
    if let Some(error) = answers.iter().find(|answer| matches!(answer, Value::ServerError(_))) {
        return Ok(error.clone());
    }
    let odd = || StoreError::Protocol("the nodes of the cluster gave answers that do not fit together".to_owned());
    let list = |answer| match answer {
        Value::Array(items) | Value::Set(items) => Ok(items),
        _ => Err(odd()),
    };
    let number = |value: &Value| match value {
        Value::Int(n) => Ok(*n),
        _ => Err(odd()),
    };
    match how {
        Join::Sum => Ok(Value::Int(answers.iter().map(number).sum::<StoreResult<i64>>()?)),
        Join::Lists => {
            let lists = answers.into_iter().map(list).collect::<StoreResult<Vec<_>>>()?;
            Ok(Value::Array(lists.into_iter().flatten().collect()))
        }
        Join::Agreed => answers.into_iter().next().ok_or_else(odd),
        Join::AnyOne => Ok(answers.into_iter().find(|answer| *answer != Value::Nil).unwrap_or(Value::Nil)),
        Join::Least | Join::Counts => {
            let mut lists = answers.into_iter().map(list);
            let mut joined = lists.next().ok_or_else(odd)??;
            for other in lists {
                for (one, other) in joined.iter_mut().zip(other?) {
                    if let (Value::Int(one), Value::Int(other)) = (one, other) {
                        *one = if how == Join::Least { (*one).min(other) } else { *one + other };
                    }
                }
            }
            Ok(Value::Array(joined))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ints(numbers: &[i64]) -> Value {
        Value::Array(numbers.iter().map(|&n| Value::Int(n)).collect())
    }

    #[test]
    fn answers_become_one() {
        let name = Value::SimpleString("c".into());
        let counted = |n| Value::Array(vec![name.clone(), Value::Int(n)]);
        for (how, answers, expect) in [
            (Join::Sum, vec![Value::Int(1), Value::Int(2)], Value::Int(3)),
            (Join::Lists, vec![ints(&[1]), ints(&[]), ints(&[2, 3])], ints(&[1, 2, 3])),
            (Join::Agreed, vec![Value::Okay, Value::Okay], Value::Okay),
            (Join::Least, vec![ints(&[1, 0]), ints(&[1, 1])], ints(&[1, 0])),
            (Join::Counts, vec![counted(1), counted(2)], counted(3)),
            (Join::AnyOne, vec![Value::Nil, Value::Int(1)], Value::Int(1)),
        ] {
            assert_eq!(join(how, answers), Ok(expect), "{how:?}");
        }
        assert!(join(Join::Sum, vec![Value::Okay]).is_err());
    }
}
