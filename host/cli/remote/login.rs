//! Who the command line says it is: a token, or a name with a token or a password.
//!
//! They come from the environment, a file, or the address, in that order. Deliberately absent: a flag for the token itself, which every
//! user of the machine could read in the list of processes.

use std::path::Path;

use anyhow::{Context as _, Result};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use hyper::header::HeaderValue;
use larder::limits::SECRET_BYTES_MAX;

use crate::cli::exit::{Exit, Failure};

/// The variable of the token.
pub(super) const TOKEN: &str = "LARDER_TOKEN";
/// The variable of the name.
pub(super) const USER: &str = "LARDER_USER";

/// What goes into `Authorization`; `None`: nothing is said.
///
/// # Errors
/// The file cannot be read, or what it holds cannot be a token.
pub(super) fn authorization(
    environment: impl Fn(&str) -> Option<String>,
    file: Option<&Path>,
    in_address: Option<&str>,
) -> Result<Option<HeaderValue>> {
    let user = environment(USER).filter(|name| !name.is_empty());
    let token = match (environment(TOKEN).filter(|token| !token.is_empty()), file) {
        (Some(token), _) => Some(token),
        (None, Some(file)) => Some(read(file)?),
        (None, None) => None,
    };
    let Some(token) = token.as_deref().or(in_address) else { return Ok(None) };
    let (user, token) = match (&user, token.split_once(':')) {
        (Some(user), _) => (Some(user.as_str()), token),
        (None, Some((user, token))) => (Some(user), token),
        (None, None) => (None, token),
    };
    let said = match user {
        Some(user) => format!("Basic {}", BASE64.encode(format!("{user}:{token}"))),
        None => format!("Bearer {token}"),
    };
    let mut said = HeaderValue::try_from(said)
        .map_err(|_| Failure::new(Exit::Usage, "a token cannot hold control characters; is it a file of one line?"))?;
    said.set_sensitive(true);
    Ok(Some(said))
}

fn read(file: &Path) -> Result<String> {
    use std::io::Read as _;
    let shown = file.display();
    let mut text = String::new();
    let opened = std::fs::File::open(file).with_context(|| format!("cannot read the token from {shown}"))?;
    // A name and a colon may stand before it.
    let limit = 2 * SECRET_BYTES_MAX as u64 + 2;
    opened.take(limit).read_to_string(&mut text).with_context(|| format!("cannot read the token from {shown}"))?;
    Ok(text.trim_end_matches(['\r', '\n']).to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(environment: &[(&str, &str)], file: Option<&str>, in_address: Option<&str>, expect: Option<&str>) {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("token");
        if let Some(text) = file {
            std::fs::write(&path, text).unwrap();
        }
        let look = |name: &str| environment.iter().find(|(it, _)| *it == name).map(|(_, value)| (*value).to_owned());
        let found = authorization(look, file.map(|_| path.as_path()), in_address).unwrap();
        assert_eq!(found.as_ref().map(|it| it.to_str().unwrap()), expect);
    }

    #[test]
    fn a_token_comes_from_the_environment_a_file_or_the_address() {
        check(&[], None, None, None);
        check(&[(TOKEN, "t")], Some("f"), Some("a"), Some("Bearer t"));
        check(&[(TOKEN, "")], Some("f\n"), Some("a"), Some("Bearer f"));
        check(&[], None, Some("a"), Some("Bearer a"));
        check(&[(USER, "u"), (TOKEN, "t:x")], None, None, Some("Basic dTp0Ong="));
        check(&[], Some("u:t:x\r\n"), None, Some("Basic dTp0Ong="));
        check(&[], None, Some("u:t"), Some("Basic dTp0"));
    }
}
