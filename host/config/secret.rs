//! Secrets: where they are written, and how they are kept.
//!
//! A secret is kept as its SHA-256 alone: what is compared has one length, and nothing that is printed can hold it. A hash that is
//! slow on purpose would be of use for words that people make up; it would also let whoever may knock spend the host's time. So secrets
//! are long and random, and short ones are refused.

use sha2::{Digest as _, Sha256};

use crate::limits::{SECRET_BYTES_MAX, SECRET_BYTES_MIN};

/// How a secret is written, for messages.
pub(super) const HOW: &str = "write sha256:HEX (`larder config hash` makes it), file:PATH or env:NAME";

const HASHED: &str = "sha256:";
const FILE: &str = "file:";
const ENVIRONMENT: &str = "env:";

/// The SHA-256 of a secret.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct Secret([u8; 32]);

impl Secret {
    /// Of the secret itself.
    #[must_use]
    pub fn of(secret: &[u8]) -> Self {
        Self(Sha256::digest(secret).into())
    }

    /// The digest, for a comparison that takes the same time wherever it fails.
    #[must_use]
    pub const fn digest(&self) -> &[u8; 32] {
        &self.0
    }

    /// As it is written in `larder.toml`.
    #[must_use]
    pub fn written(&self) -> String {
        let hex: String = self.0.iter().map(|byte| format!("{byte:02x}")).collect();
        format!("{HASHED}{hex}")
    }

    fn from_hex(hex: &str) -> Option<Self> {
        let mut digest = [0; 32];
        if hex.len() != 64 || !hex.is_ascii() {
            return None;
        }
        for (i, byte) in digest.iter_mut().enumerate() {
            *byte = u8::from_str_radix(hex.get(i * 2..i * 2 + 2)?, 16).ok()?;
        }
        Some(Self(digest))
    }
}

impl std::fmt::Debug for Secret {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("***")
    }
}

/// Whether the text says where a secret is, or its hash, and not the secret.
pub(super) fn is_reference(text: &str) -> bool {
    [HASHED, FILE, ENVIRONMENT].iter().any(|kind| text.starts_with(kind))
}

/// The text behind `file:PATH` or `env:NAME`; any other text is itself.
///
/// # Errors
/// The file cannot be read; the variable is not set.
pub(super) fn text(reference: &str, environment: &impl Fn(&str) -> Option<String>) -> Result<String, String> {
    if let Some(path) = reference.strip_prefix(FILE) {
        let text = std::fs::read_to_string(path).map_err(|error| format!("the file {path} cannot be read: {error}"))?;
        // Editors end files with a line break.
        return Ok(text.trim_end_matches(['\r', '\n']).to_owned());
    }
    match reference.strip_prefix(ENVIRONMENT) {
        Some(name) => environment(name).ok_or_else(|| format!("the environment variable {name} is not set")),
        None => Ok(reference.to_owned()),
    }
}

/// The secret behind a text.
///
/// # Errors
/// As [`text`]; a hash of another form; a secret that is too short or too long.
pub(super) fn resolve(reference: &str, environment: &impl Fn(&str) -> Option<String>) -> Result<Secret, String> {
    let text = text(reference, environment)?;
    if let Some(hex) = text.strip_prefix(HASHED) {
        return Secret::from_hex(hex).ok_or_else(|| "sha256: is followed by 64 hexadecimal digits".to_owned());
    }
    checked(&text).map(|()| Secret::of(text.as_bytes()))
}

/// # Errors
/// A secret that is too short or too long.
pub fn checked(secret: &str) -> Result<(), String> {
    let len = secret.len();
    if (SECRET_BYTES_MIN..=SECRET_BYTES_MAX).contains(&len) {
        return Ok(());
    }
    Err(format!("the secret has {len} bytes; it has {SECRET_BYTES_MIN} to {SECRET_BYTES_MAX}: `openssl rand -hex 32`"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_secret_is_found_and_never_shown() {
        let environment = |name: &str| (name == "TOKEN").then(|| "0123456789abcdef".to_owned());
        let secret = Secret::of(b"0123456789abcdef");
        for text in ["env:TOKEN", "0123456789abcdef", &secret.written()] {
            assert_eq!(resolve(text, &environment), Ok(secret), "{text}");
        }
        assert_eq!(format!("{secret:?}"), "***");
        let file = tempfile::NamedTempFile::new().unwrap();
        std::fs::write(file.path(), "0123456789abcdef\n").unwrap();
        assert_eq!(resolve(&format!("file:{}", file.path().display()), &environment), Ok(secret));
        for (text, says) in [
            ("env:OTHER", "OTHER is not set"),
            ("file:/nowhere/at/all", "cannot be read"),
            ("sha256:12", "64 hexadecimal"),
            (&format!("sha256:{}", "é".repeat(32)), "64 hexadecimal"),
            ("short", "5 bytes"),
        ] {
            let said = resolve(text, &environment).unwrap_err();
            assert!(said.contains(says), "{text}: {said}");
        }
    }
}
