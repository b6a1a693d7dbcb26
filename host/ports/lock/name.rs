//! What locks are called, and what proves that one holds a lock.

use std::fmt;
use std::sync::Arc;

use bytes::Bytes;

use crate::error::{Error, ErrorKind, Result};
use crate::limits::{LOCK_NAME_BYTES_MAX, LOCK_OWNER_BYTES_MAX, LOCK_TOKEN_BYTES_MAX};

/// What the name of a policy's lock begins with, before its domain: `@profile/cleanup`.
pub const POLICY_MARK: char = '@';

/// The checked name of a lock: UTF-8 without control characters. An application's is as it says; a policy's is
/// `@{domain}/{name}`, which no application can take.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct LockName(Arc<str>);

impl LockName {
    /// A lock of applications.
    ///
    /// # Errors
    /// It is empty, too long, not UTF-8, holds a control character, or is the name of a policy's lock.
    pub fn application(name: &[u8]) -> Result<Self> {
        let name = Self::any(name)?;
        if name.0.starts_with(POLICY_MARK) {
            return Err(invalid(format!("begins with '{POLICY_MARK}', as the locks of policies do; choose another")));
        }
        Ok(name)
    }

    /// A lock of a domain's policy.
    ///
    /// # Errors
    /// As [`Self::application`], with the domain counted in.
    pub fn policy(domain: &str, name: &str) -> Result<Self> {
        if name.is_empty() {
            return Err(invalid("is empty"));
        }
        Self::any(format!("{POLICY_MARK}{domain}/{name}").as_bytes())
    }

    /// Any lock, by the name in a listing: for operators.
    ///
    /// # Errors
    /// It is empty, too long, not UTF-8 or holds a control character.
    pub fn any(name: &[u8]) -> Result<Self> {
        if name.is_empty() {
            return Err(invalid("is empty"));
        }
        Ok(Self(checked(name, "name", LOCK_NAME_BYTES_MAX)?.into()))
    }

    /// As people and callers say it.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// The beginning of lock names; may be empty.
///
/// # Errors
/// As [`LockName::any`].
pub fn lock_prefix(prefix: &[u8]) -> Result<&str> {
    checked(prefix, "prefix", LOCK_NAME_BYTES_MAX)
}

/// The label of an owner.
///
/// # Errors
/// It is empty, too long, not UTF-8 or holds a control character.
pub fn lock_owner(owner: &[u8]) -> Result<&str> {
    if owner.is_empty() {
        return Err(Error::new(ErrorKind::InvalidArgument, "the lock's owner is empty"));
    }
    checked(owner, "owner", LOCK_OWNER_BYTES_MAX)
}

fn checked<'a>(text: &'a [u8], what: &str, bytes_max: usize) -> Result<&'a str> {
    let wrong = |words: String| Err(Error::new(ErrorKind::InvalidArgument, format!("the lock's {what} {words}")));
    if text.len() > bytes_max {
        return wrong(format!("has {} bytes, {bytes_max} are allowed", text.len()));
    }
    let Ok(text) = std::str::from_utf8(text) else { return wrong("is not UTF-8".to_owned()) };
    match text.chars().find(|c| c.is_control()) {
        Some(bad) => wrong(format!("holds the control character U+{:04X}", u32::from(bad))),
        None => Ok(text),
    }
}

fn invalid(words: impl fmt::Display) -> Error {
    Error::new(ErrorKind::InvalidArgument, format!("the lock's name {words}"))
}

/// What proves that one holds a lock. Not to be shown to anybody but its holder; `Debug` does not.
#[derive(Clone, PartialEq, Eq)]
pub struct Token(Bytes);

impl Token {
    /// From bytes that nobody can guess.
    #[must_use]
    pub fn new(secret: [u8; 16]) -> Self {
        Self(format!("{:032x}", u128::from_be_bytes(secret)).into())
    }

    /// What a caller says its token is.
    ///
    /// # Errors
    /// It is longer than a token can be.
    pub fn claimed(token: &[u8]) -> Result<Self> {
        if token.is_empty() || token.len() > LOCK_TOKEN_BYTES_MAX {
            return Err(Error::new(ErrorKind::InvalidArgument, "the lock's token is none that this host has given"));
        }
        Ok(Self(Bytes::copy_from_slice(token)))
    }

    /// As its holder keeps it.
    #[must_use]
    pub const fn bytes(&self) -> &Bytes {
        &self.0
    }
}

impl fmt::Debug for Token {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Token(…)")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(name: &[u8], expect: std::result::Result<(), &str>) {
        let found = LockName::application(name);
        match (found, expect) {
            (Ok(found), Ok(())) => assert_eq!(found.as_str().as_bytes(), name),
            (Err(error), Err(part)) => {
                assert_eq!(error.kind, ErrorKind::InvalidArgument);
                assert!(error.message.contains(part), "{error}");
            }
            (found, expect) => panic!("{name:?}: {found:?}, expected {expect:?}"),
        }
    }

    #[test]
    fn names_are_checked() {
        check(b"jobs/nightly:clean {up}", Ok(()));
        check("straße".as_bytes(), Ok(()));
        check(&[b'n'; LOCK_NAME_BYTES_MAX], Ok(()));
        check(b"", Err("is empty"));
        check(&[b'n'; LOCK_NAME_BYTES_MAX + 1], Err("has 201 bytes, 200 are allowed"));
        check(b"a\nb", Err("control character U+000A"));
        check(b"\xff", Err("not UTF-8"));
        check(b"@profile/x", Err("as the locks of policies do"));
    }

    #[test]
    fn a_policys_lock_has_its_domain_in_its_name() {
        let name = LockName::policy("profile", "clean").map(|name| name.as_str().to_owned());
        assert_eq!(name.as_deref(), Ok("@profile/clean"));
        assert_eq!(LockName::policy("profile", "clean"), LockName::any(b"@profile/clean"));
        assert!(LockName::policy("profile", "").is_err());
    }

    #[test]
    fn a_token_is_not_shown() {
        let token = Token::new([0xab; 16]);
        assert_eq!(format!("{token:?}"), "Token(…)");
        assert_eq!(Token::claimed(token.bytes()), Ok(token));
        assert!(Token::claimed(&[b'x'; LOCK_TOKEN_BYTES_MAX + 1]).is_err());
    }
}
