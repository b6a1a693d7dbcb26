//! Where a host is: `HOST:PORT`, `http://HOST:PORT`, `https://HOST:PORT`, with `NAME:TOKEN@` before it by who wants that.

use anyhow::Result;
use hyper::Uri;

use crate::cli::exit::{Exit, Failure};

/// The address of a host.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Address {
    /// Whether TLS is spoken.
    pub(super) secure: bool,
    /// A name, or an address without brackets.
    pub(super) host: String,
    /// The port.
    pub(super) port: u16,
    /// What stands before the `@`.
    pub(super) login: Option<String>,
}

impl Address {
    /// # Errors
    /// It is none.
    pub(super) fn parse(text: &str) -> Result<Self> {
        let with_scheme = if text.contains("://") { text.to_owned() } else { format!("http://{text}") };
        // What it holds may be a token: it is not repeated.
        let wrong = || {
            Failure::new(Exit::Usage, "the address of the host cannot be read; write HOST:PORT, http://… or https://…")
        };
        let uri: Uri = with_scheme.parse().map_err(|_| wrong())?;
        let secure = match uri.scheme_str() {
            Some("http") => false,
            Some("https") => true,
            Some("redis" | "rediss") => {
                let detail = "the command line asks a host over HTTP; write http://… or https://… (its http.address)";
                return Err(Failure::new(Exit::Usage, detail).into());
            }
            _ => return Err(wrong().into()),
        };
        if !matches!(uri.path(), "" | "/") || uri.query().is_some() {
            return Err(wrong().into());
        }
        let authority = uri.authority().ok_or_else(wrong)?;
        let login = authority.as_str().rsplit_once('@').map(|(login, _)| login.to_owned());
        let place = authority.as_str().rsplit('@').next().unwrap_or_default();
        let usual = if !text.contains("://") { 8380 } else { [80, 443][usize::from(secure)] };
        let port = match place.strip_prefix(authority.host()).and_then(|rest| rest.strip_prefix(':')) {
            Some(port) => port.parse().map_err(|_| wrong())?,
            None => usual,
        };
        let host = authority.host();
        let host = host.strip_prefix('[').and_then(|rest| rest.strip_suffix(']')).unwrap_or(host).to_owned();
        if host.is_empty() {
            return Err(wrong().into());
        }
        Ok(Self { secure, host, port, login })
    }

    /// As it may be shown: without a token.
    pub(super) fn shown(&self) -> String {
        let scheme = if self.secure { "https" } else { "http" };
        format!("{scheme}://{}", self.authority())
    }

    /// What stands in `Host`.
    pub(super) fn authority(&self) -> String {
        if self.host.contains(':') {
            format!("[{}]:{}", self.host, self.port)
        } else {
            format!("{}:{}", self.host, self.port)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(text: &str, expect: Option<(&str, Option<&str>)>) {
        let found = Address::parse(text).ok();
        let found = found.as_ref().map(|it| (it.shown(), it.login.as_deref()));
        assert_eq!(found, expect.map(|(shown, login)| (shown.to_owned(), login)), "{text}");
    }

    #[test]
    fn addresses() {
        check("127.0.0.1:8380", Some(("http://127.0.0.1:8380", None)));
        check("cache.internal", Some(("http://cache.internal:8380", None)));
        check("[::1]:9", Some(("http://[::1]:9", None)));
        check("https://cache.internal", Some(("https://cache.internal:443", None)));
        check("https://me:secret@[::1]:8380/", Some(("https://[::1]:8380", Some("me:secret"))));
        for wrong in ["", "http://", "redis://h:1", "ftp://h", "http://h/path", "http://h?x", "h:port", "a b"] {
            check(wrong, None);
        }
    }
}
