//! Where an origin is: the base URL of `NAME.toml`, checked once, and the URL of each request below it.
//!
//! Invariant: no path leads to another host, or out of the base URL's own path.

use hyper::Uri;

use crate::config::allowed::AllowedOrigins;
use crate::ports::origin::has_dot_segment;

/// The checked base URL of an origin, without a slash at its end.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct BaseUrl(String);

impl BaseUrl {
    /// Reads an operator's URL.
    ///
    /// # Errors
    /// Why it is no origin, or why this host does not ask it.
    pub(super) fn parse(url: &str, allowed: &AllowedOrigins) -> Result<Self, String> {
        let wrong = |what: &str| Err(format!("the origin {url} {what}"));
        let Ok(uri) = url.parse::<Uri>() else { return wrong("is no URL; write http://host:port/path") };
        let (Some(scheme @ ("http" | "https")), Some(authority)) = (uri.scheme_str(), uri.authority()) else {
            return wrong("does not begin with http:// or https:// and a host");
        };
        if authority.as_str().contains('@') {
            // Not shown: it may be a secret.
            return Err("the origin has a user or password in its URL; let the policy send a header instead".to_owned());
        }
        if uri.query().is_some() || url.contains('#') {
            return wrong("has a query or a fragment; paths are put behind it, so leave that out");
        }
        if has_dot_segment(uri.path()) {
            return wrong("has '.' or '..' in its path");
        }
        let port = authority.port_u16().unwrap_or(if scheme == "https" { 443 } else { 80 });
        if port == 0 || authority.host().is_empty() {
            return wrong("has no host or no port that could be asked");
        }
        if let Some(why) = AllowedOrigins::never(authority.host()) {
            return wrong(&format!("is at {why}, which no origin may be"));
        }
        if !allowed.permits(authority.host(), port) {
            let host = authority.host();
            return wrong(&format!(
                "is not one that this host may ask; if it may, add `{host}` to the setting origins.allowed (LARDER_ORIGINS_ALLOWED)"
            ));
        }
        Ok(Self(url.trim_end_matches('/').to_owned()))
    }

    /// The URL of a path below it.
    ///
    /// # Errors
    /// The path is none, or leads elsewhere.
    pub(super) fn below(&self, path: &str) -> Result<Uri, String> {
        let name = path.split(['?', '#']).next().unwrap_or_default();
        if !path.starts_with('/') || path.starts_with("//") || path.contains('#') || has_dot_segment(name) {
            return Err(format!("the path '{}' leads elsewhere than below the origin", path.escape_debug()));
        }
        format!("{}{path}", self.0).parse().map_err(|_| format!("'{}' is no path of a URL", path.escape_debug()))
    }

    /// For messages.
    pub(super) fn as_str(&self) -> &str {
        &self.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_base_url_is_one_that_paths_can_follow() {
        let any = AllowedOrigins::any();
        for url in ["http://a", "https://a:1/", "http://10.0.0.1/api/v1/", "http://[fd00::1]:80"] {
            assert!(BaseUrl::parse(url, &any).is_ok(), "{url}");
        }
        for (url, words) in [
            ("ftp://a", "http://"),
            ("/a", "http://"),
            ("http://", "is no URL"),
            ("http://u:p@a", "let the policy send a header"),
            ("http://a/?q", "query"),
            ("http://a/b/../c", "'..'"),
            ("http://a:0", "no port"),
            ("http://169.254.169.254/latest", "which no origin may be"),
        ] {
            let error = BaseUrl::parse(url, &any).expect_err(url);
            assert!(error.contains(words), "{error}");
        }
        let error = BaseUrl::parse("http://u:secret@a", &any).expect_err("a password");
        assert!(!error.contains("secret"), "{error}");
    }

    #[test]
    fn paths_stay_below_it() {
        let base = BaseUrl::parse("http://a/api/", &AllowedOrigins::any()).expect("a right URL");
        assert_eq!(base.below("/x?y=1").map(|uri| uri.to_string()).as_deref(), Ok("http://a/api/x?y=1"));
        for path in ["x", "", "//evil/x", "/../admin", "/%2e%2e/admin", "/a#b", "@evil", "/a b", "http://evil/"] {
            assert!(base.below(path).is_err(), "{path}");
        }
    }
}
