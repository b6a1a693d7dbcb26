//! Taking an application's key apart, and putting one together.
//!
//! The separator is the host's (`CACHE_KEY_SEPARATOR`), which says so before `describe`. In the tests of a policy it is
//! the usual one, `:`.

use std::cell::Cell;

thread_local! {
    static SEPARATOR: Cell<char> = const { Cell::new(':') };
}

/// From now on keys are separated so.
pub(crate) fn separate_by(separator: char) {
    SEPARATOR.set(separator);
}

/// The parts of a key between the separators, if there are exactly `N` and none is empty.
///
/// ```
/// # use larder_policy::parts;
/// assert_eq!(parts("user:42"), Some(["user", "42"]));
/// assert_eq!(parts::<2>("user:42:name"), None);
/// assert_eq!(parts::<2>("user:"), None);
/// ```
pub fn parts<const N: usize>(key: &str) -> Option<[&str; N]> {
    let mut parts = [""; N];
    let mut rest = key.split(SEPARATOR.get());
    for part in &mut parts {
        *part = rest.next().filter(|text| !text.is_empty())?;
    }
    rest.next().is_none().then_some(parts)
}

/// What stands before the first separator; all of it if there is none.
pub fn first_part(key: &str) -> &str {
    key.split(SEPARATOR.get()).next().unwrap_or(key)
}

/// The key that has these parts: what [`parts`] takes apart again. `None` if a part is empty or holds the separator.
///
/// ```
/// # use larder_policy::join;
/// assert_eq!(join(["42", "general"]), Some("42:general".into()));
/// assert_eq!(join(["42:general", "x"]), None);
/// assert_eq!(join(["42", ""]), None);
/// ```
pub fn join<const N: usize>(parts: [&str; N]) -> Option<String> {
    joined(&parts)
}

/// Out of line and by hand: what the standard library makes of a join weighs two kilobytes.
#[inline(never)]
fn joined(all: &[&str]) -> Option<String> {
    let separator = SEPARATOR.get();
    let mut key = String::new();
    for (at, part) in all.iter().enumerate() {
        parts::<1>(part)?;
        if at > 0 {
            key.push(separator);
        }
        key.push_str(part);
    }
    Some(key)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_separator_is_the_hosts() {
        separate_by('/');
        assert_eq!(parts("a/b:c"), Some(["a", "b:c"]));
        assert_eq!(first_part("a:b/c"), "a:b");
        assert_eq!(join(["a", "b:c"]), Some("a/b:c".into()));
        assert_eq!(join(["a/b", "c"]), None);
        separate_by(':');
        assert_eq!(parts("a/b:c"), Some(["a/b", "c"]));
    }
}
