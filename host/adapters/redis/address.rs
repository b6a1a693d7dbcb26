//! Which Redis is the store, in which form, as an operator writes it.
//!
//! Invariant: nothing that is printed holds a password.

use std::fmt;

use redis::RedisConnectionInfo;

use super::endpoint::{Access, Endpoint};
use super::tls::{Tls, TlsError, TlsSettings};

/// The port of a server, where none is said.
const PORT: u16 = 6379;
/// The port of a sentinel.
const SENTINEL_PORT: u16 = 26379;

/// A Redis and the account there.
#[derive(Clone)]
pub struct RedisAddress {
    pub(super) form: Form,
    pub(super) access: Access,
    /// The account at the sentinels, where there are any.
    pub(super) sentinel_access: Access,
}

/// The forms that a Redis has.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Form {
    /// One server.
    One(Endpoint),
    /// The server that sentinels call the primary of this name.
    Sentinel(Vec<Endpoint>, String),
    /// The cluster to which these servers belong, or those of them that are still there.
    Cluster(Vec<Endpoint>),
}

/// Why a text is no address of a Redis. It does not repeat the text, which may hold a password.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum AddressError {
    /// It is something else.
    #[error(
        "the store's address is none of redis://[user:password@]host[:port][/database], unix://path, \
         redis-sentinel://host[:port],…/name[/database], redis+cluster://host[:port],…; rediss… for TLS"
    )]
    Form,
    /// A cluster has one database only.
    #[error("the store's address names a database of a cluster, which has only one; leave it out")]
    ClusterDatabase,
}

/// What stands before `://`, as a form and whether with TLS.
enum Scheme {
    One,
    Socket,
    Sentinel,
    Cluster,
}

fn scheme(word: &str) -> Option<(Scheme, bool)> {
    let word = word.to_ascii_lowercase().replacen("valkey", "redis", 1);
    Some(match word.as_str() {
        "redis" => (Scheme::One, false),
        "rediss" => (Scheme::One, true),
        "unix" | "redis+unix" => (Scheme::Socket, false),
        "redis-sentinel" | "redis+sentinel" => (Scheme::Sentinel, false),
        "rediss-sentinel" | "rediss+sentinel" => (Scheme::Sentinel, true),
        "redis-cluster" | "redis+cluster" => (Scheme::Cluster, false),
        "rediss-cluster" | "rediss+cluster" => (Scheme::Cluster, true),
        _ => return None,
    })
}

impl RedisAddress {
    /// Reads a URL: user and password percent-encoded, port 6379 (sentinels: 26379) and database 0 by default. TLS trusts what the
    /// machine trusts, until [`Self::with_tls`] says otherwise.
    ///
    /// # Errors
    /// It has another form.
    pub fn parse(url: &str) -> Result<Self, AddressError> {
        let (word, rest) = url.split_once("://").ok_or(AddressError::Form)?;
        let (scheme, tls) = scheme(word).ok_or(AddressError::Form)?;
        let (rest, query) = rest.split_once('?').unwrap_or((rest, ""));
        let (userinfo, rest) = rest.rsplit_once('@').unwrap_or(("", rest));
        let mut account = account(userinfo)?;
        let form = match scheme {
            Scheme::Socket => {
                let path = decoded(rest).filter(|path| path.starts_with('/')).ok_or(AddressError::Form)?;
                account = account.set_db(database(query.strip_prefix("db=").unwrap_or(query))?);
                Form::One(Endpoint::Socket(path.into()))
            }
            Scheme::One => {
                let (host, path) = rest.split_once('/').unwrap_or((rest, ""));
                account = account.set_db(database(path)?);
                Form::One(endpoint(host, PORT).ok_or(AddressError::Form)?)
            }
            Scheme::Sentinel => {
                let (hosts, path) = rest.split_once('/').ok_or(AddressError::Form)?;
                let (name, path) = path.split_once('/').unwrap_or((path, ""));
                account = account.set_db(database(path)?);
                let name = decoded(name).filter(|name| !name.is_empty()).ok_or(AddressError::Form)?;
                Form::Sentinel(endpoints(hosts, SENTINEL_PORT)?, name)
            }
            Scheme::Cluster => {
                let (hosts, path) = rest.split_once('/').unwrap_or((rest, ""));
                if database(path)? != 0 {
                    return Err(AddressError::ClusterDatabase);
                }
                Form::Cluster(endpoints(hosts, PORT)?)
            }
        };
        let address = Self::of(form, account);
        Ok(if tls { address.tls(Tls::of_the_machine()) } else { address })
    }

    /// From `REDIS_HOST`, `REDIS_PORT` and `REDIS_PASSWORD`; an empty password is none.
    #[must_use]
    pub fn from_parts(host: impl Into<String>, port: u16, password: Option<&str>) -> Self {
        let account = RedisConnectionInfo::default();
        let account = match password {
            Some(password) if !password.is_empty() => account.set_password(password),
            _ => account,
        };
        Self::of(Form::One(Endpoint::Tcp(host.into(), port)), account)
    }

    fn of(form: Form, account: RedisConnectionInfo) -> Self {
        Self { form, access: Access::new(account), sentinel_access: Access::new(RedisConnectionInfo::default()) }
    }

    fn tls(mut self, tls: Tls) -> Self {
        self.access.tls = Some(tls.clone());
        self.sentinel_access.tls = Some(tls);
        self
    }

    /// Whether the way there is protected by TLS.
    #[must_use]
    pub const fn is_tls(&self) -> bool {
        self.access.tls.is_some()
    }

    /// The same, with TLS as these settings say.
    ///
    /// # Errors
    /// A file that cannot be read, or is none of the kind that it should be.
    pub fn with_tls(self, settings: &TlsSettings) -> Result<Self, TlsError> {
        Ok(self.tls(Tls::new(settings)?))
    }

    /// The same, with an account at the sentinels; empty texts are none.
    #[must_use]
    pub fn with_sentinel_account(mut self, user: &str, password: &str) -> Self {
        let mut account = RedisConnectionInfo::default();
        if !user.is_empty() {
            account = account.set_username(user);
        }
        if !password.is_empty() {
            account = account.set_password(password);
        }
        let tls = self.sentinel_access.tls.take();
        self.sentinel_access = Access { tls, ..Access::new(account) };
        self
    }
}

fn account(userinfo: &str) -> Result<RedisConnectionInfo, AddressError> {
    let (user, password) = userinfo.split_once(':').unwrap_or((userinfo, ""));
    let mut account = RedisConnectionInfo::default();
    for (text, is_user) in [(user, true), (password, false)] {
        let text = decoded(text).ok_or(AddressError::Form)?;
        account = match (text.is_empty(), is_user) {
            (true, _) => account,
            (false, true) => account.set_username(text),
            (false, false) => account.set_password(text),
        };
    }
    Ok(account)
}

fn database(text: &str) -> Result<i64, AddressError> {
    if text.is_empty() { Ok(0) } else { text.parse::<u32>().map(i64::from).map_err(|_| AddressError::Form) }
}

fn endpoints(hosts: &str, port: u16) -> Result<Vec<Endpoint>, AddressError> {
    hosts.split(',').map(|host| endpoint(host.trim(), port).ok_or(AddressError::Form)).collect()
}

/// `host`, `host:port`, `[v6]`, `[v6]:port`.
pub(super) fn endpoint(text: &str, default_port: u16) -> Option<Endpoint> {
    let (host, port) = match text.strip_prefix('[') {
        Some(rest) => {
            let (host, rest) = rest.split_once(']')?;
            (host, if rest.is_empty() { None } else { Some(rest.strip_prefix(':')?) })
        }
        None => text.split_once(':').map_or((text, None), |(host, port)| (host, Some(port))),
    };
    let port = port.map_or(Some(default_port), |port| port.parse().ok().filter(|&port| port > 0))?;
    (!host.is_empty()).then(|| Endpoint::Tcp(host.to_owned(), port))
}

fn decoded(text: &str) -> Option<String> {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.bytes();
    while let Some(byte) = rest.next() {
        bytes.push(match byte {
            b'%' => {
                let mut digit = || char::from(rest.next()?).to_digit(16);
                u8::try_from(digit()? * 16 + digit()?).ok()?
            }
            byte => byte,
        });
    }
    String::from_utf8(bytes).ok()
}

impl fmt::Display for RedisAddress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let all = |endpoints: &[Endpoint]| endpoints.iter().map(ToString::to_string).collect::<Vec<_>>().join(",");
        match &self.form {
            Form::One(endpoint) => endpoint.fmt(f),
            Form::Sentinel(sentinels, name) => write!(f, "the primary '{name}' of the sentinels {}", all(sentinels)),
            Form::Cluster(seeds) => write!(f, "the cluster of {}", all(seeds)),
        }
    }
}

impl fmt::Debug for RedisAddress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "RedisAddress({self})")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(url: &str, expect: &str) {
        let said = RedisAddress::parse(url).map_or_else(
            |error| error.to_string(),
            |address| {
                let account = &address.access.account;
                let (user, password) = (account.username().unwrap_or("-"), account.password().unwrap_or("-"));
                let tls = if address.is_tls() { " tls" } else { "" };
                format!("{address} {user} {password} {}{tls}", account.db())
            },
        );
        assert!(said.starts_with(expect), "{url}: {said}");
    }

    #[test]
    fn an_address_is_read() {
        check("redis://localhost", "localhost:6379 - - 0");
        check("redis://10.0.0.1:7000/3", "10.0.0.1:7000 - - 3");
        check("redis://:p%40ss@h:1", "h:1 - p@ss 0");
        check("redis://app:secret@[::1]:6379/", "[::1]:6379 app secret 0");
        check("rediss://h", "h:6379 - - 0 tls");
        check("valkeys://h", "h:6379 - - 0 tls");
        check("unix:///tmp/s", "/tmp/s - - 0");
        check("redis+unix://:p@/tmp/s?db=2", "/tmp/s - p 2");
        check("redis-sentinel://u:p@a,b:1/main/4", "the primary 'main' of the sentinels a:26379,b:1 u p 4");
        check("rediss+cluster://a,[::1]:7", "the cluster of a:6379,[::1]:7 - - 0 tls");
        for wrong in [
            "localhost:6379",
            "redis://h:p:q/x",
            "redis://h/x",
            "redis://",
            "redis://h:0",
            "unix://tmp/s",
            "redis-sentinel://a,b",
            "redis-sentinel://a/",
            "redis+cluster://a,,b",
            "http://h",
            "redis://%zz@h",
        ] {
            check(wrong, "the store's address is none of");
        }
        check("redis+cluster://a/1", "the store's address names a database");
    }

    #[test]
    fn nothing_printed_holds_the_password() {
        let address = RedisAddress::parse("redis://app:secret@h:1").expect("it is one");
        assert_eq!(format!("{address} {address:?}"), "h:1 RedisAddress(h:1)");
    }
}
