//! The arguments of a command, bytes that are read as what they should be, and its answer. Errors reach the caller.

use std::{fmt::Display, ops::RangeInclusive};

use crate::host::{self, HostError};
use crate::{CommandError, Reply};

/// An argument that is text.
///
/// # Errors
/// It is not UTF-8.
pub fn text(argument: &[u8]) -> Result<&str, CommandError> {
    std::str::from_utf8(argument).map_err(|_| CommandError::InvalidArguments("an argument is not UTF-8".into()))
}

/// An argument that is a whole number within a range: `number(count, 1..=100)?`.
///
/// # Errors
/// It is no whole number, or out of range.
pub fn number<T>(argument: &[u8], range: RangeInclusive<T>) -> Result<T, CommandError>
where
    T: TryFrom<i64> + Into<i64> + Copy,
{
    let (least, most) = ((*range.start()).into(), (*range.end()).into());
    // In range, therefore of the type: `least` and `most` are.
    Ok(T::try_from(whole_number(argument, least, most)?).unwrap_or(*range.start()))
}

fn whole_number(argument: &[u8], least: i64, most: i64) -> Result<i64, CommandError> {
    let text = text(argument)?;
    let number = text.parse().ok().filter(|number| (least..=most).contains(number));
    number
        .ok_or_else(|| CommandError::InvalidArguments(format!("`{text}` is not a whole number from {least} to {most}")))
}

/// What is told to a caller whose arguments do not fit: how they should be, `pop user [count]`.
///
/// # Errors
/// Always.
pub fn usage(words: &str) -> Result<Reply, CommandError> {
    Err(CommandError::InvalidArguments(words.into()))
}

impl Reply {
    /// Names and values: `Reply::fields(&[("limit", &100), ("allowed", &true)])`.
    pub fn fields(pairs: &[(&str, &dyn Display)]) -> Self {
        Self::Fields(pairs.iter().map(|(name, value)| ((*name).to_owned(), value.to_string())).collect())
    }
}

/// So that `?` hands a caller what the host would not do.
impl From<HostError> for CommandError {
    fn from(error: HostError) -> Self {
        let kind = match error {
            HostError::Invalid(_) => Self::InvalidArguments,
            HostError::Unavailable(_) | HostError::CircuitOpen | HostError::TimedOut => Self::Unavailable,
            HostError::WrongType | HostError::NotAllowed(_) | HostError::Other(_) => Self::Other,
        };
        kind(host::words(error))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_number_is_whole_and_in_range() {
        assert_eq!(number(b"7", 1..=10_u32), Ok(7));
        assert_eq!(number(b"-7", i64::MIN..=i64::MAX), Ok(-7));
        for wrong in ["0", "11", "x", "", "1.5", "9223372036854775808"] {
            let refused = number(wrong.as_bytes(), 1..=10_u32);
            let words = format!("`{wrong}` is not a whole number from 1 to 10");
            assert_eq!(refused, Err(CommandError::InvalidArguments(words)));
        }
        assert!(number(b"\xff", 1..=10_u32).is_err());
    }

    #[test]
    fn what_a_retry_may_help_is_told_apart() {
        assert!(matches!(HostError::TimedOut.into(), CommandError::Unavailable(_)));
        assert!(matches!(HostError::CircuitOpen.into(), CommandError::Unavailable(_)));
        assert!(matches!(HostError::WrongType.into(), CommandError::Other(_)));
        assert!(matches!(HostError::Invalid("x".into()).into(), CommandError::InvalidArguments(_)));
    }
}
