//! Taking an application's key apart.

/// The parts of a key between the separators `:`, if there are exactly `N` and none is empty.
///
/// ```
/// # use larder_policy::parts;
/// assert_eq!(parts("user:42"), Some(["user", "42"]));
/// assert_eq!(parts::<2>("user:42:name"), None);
/// assert_eq!(parts::<2>("user:"), None);
/// ```
pub fn parts<const N: usize>(key: &str) -> Option<[&str; N]> {
    let mut parts = [""; N];
    let mut rest = key.split(':');
    for part in &mut parts {
        *part = rest.next().filter(|text| !text.is_empty())?;
    }
    rest.next().is_none().then_some(parts)
}
