//! Keys: what an application says, and what the store is asked for.
//!
//! A key is `{domain}{separator}{rest}`. The store sees `{prefix}:{key-version}:{domain}:{suffix}`; the policy names the suffix, the
//! host adds all before it, so a policy cannot leave its domain. A key without a domain of its own belongs to the domain
//! `default`, which may use the key itself (*verbatim*), but never one that could be another domain's storage key.
//! Verbatim keys may hold any byte, as in Redis; all others are UTF-8 without control characters.
//!
//! The host's own keys begin with a brace and the prefix, `{chat:`, as no storage key does; no verbatim key may. Generations are
//! `{{prefix}:generation:{domain}}` and `{{prefix}:generation:{domain}:{tag}}`: in a cluster each lies in a slot of its own. The
//! lease of an entry is `{{storage key}}:lease`, in the entry's slot.

use std::borrow::Cow;
use std::fmt::Write as _;
use std::sync::Arc;

use bytes::{Bytes, BytesMut};

use crate::error::{Error, ErrorKind, Result};
use crate::limits::SUFFIX_BYTES_MAX;
use crate::ports::lease::LeaseKeys;
use crate::ports::policy::{Description, KeyScope};
use crate::ports::store::StoreKey;
use crate::ports::table::{DEFAULT_DOMAIN, Live, PolicyTable};

/// How keys are written.
#[derive(Clone, Debug)]
pub struct KeyRules {
    /// First part of every storage key (`CACHE_KEY_PREFIX`).
    pub prefix: String,
    /// Between the parts of a key (`CACHE_KEY_SEPARATOR`).
    pub separator: u8,
    /// Longest key that an application may send, in bytes (`CACHE_MAX_KEY_LENGTH`).
    pub key_bytes_max: usize,
}

/// A key whose domain is known.
#[derive(Debug)]
pub struct DomainKey<'a> {
    /// The live policy of the domain.
    pub live: Arc<Live>,
    /// The key without its domain, as the policy is told.
    pub rest: Cow<'a, str>,
    /// The whole key, for [`KeyScope::Verbatim`].
    whole: &'a [u8],
}

impl KeyRules {
    /// Finds the domain of a key.
    ///
    /// # Errors
    /// An empty or over-long key, a control character in a domain's key, a domain that no policy serves.
    pub fn resolve<'a>(&self, table: &PolicyTable, key: &'a [u8]) -> Result<DomainKey<'a>> {
        if key.len() > self.key_bytes_max {
            let message = format!(
                "the key has {} bytes, {} are allowed; shorten it or raise CACHE_MAX_KEY_LENGTH",
                key.len(),
                self.key_bytes_max
            );
            return Err(Error::new(ErrorKind::InvalidKey, message));
        }
        if let Some((live, rest)) = self.own_domain(table, key) {
            let rest = policy_text(rest)?;
            return Ok(DomainKey { live, rest, whole: key });
        }
        let Some(live) = table.get(DEFAULT_DOMAIN) else {
            return Err(unknown_domain(self.domain_part(key)));
        };
        let rest = match live.description.key_scope {
            KeyScope::Verbatim => {
                self.refuse_lock_storage(key)?;
                self.refuse_foreign_storage(table, key)?;
                escaped(key)
            }
            KeyScope::Domain => policy_text(key)?,
        };
        Ok(DomainKey { live: Arc::clone(live), rest, whole: key })
    }

    /// The live policy whose domain a key is of, whatever else is wrong with the key.
    #[must_use]
    pub fn live_of<'t>(&self, table: &'t PolicyTable, key: &[u8]) -> Option<&'t Arc<Live>> {
        self.domain_of(table, key).map(|(live, _)| live).or_else(|| table.get(DEFAULT_DOMAIN))
    }

    fn domain_of<'t>(&self, table: &'t PolicyTable, key: &[u8]) -> Option<(&'t Arc<Live>, usize)> {
        let end = memchr::memchr(self.separator, key)?;
        let domain = std::str::from_utf8(&key[..end]).ok()?;
        let live = table.get(domain).filter(|live| live.domain.as_ref() != DEFAULT_DOMAIN)?;
        Some((live, end))
    }

    fn own_domain<'a>(&self, table: &PolicyTable, key: &'a [u8]) -> Option<(Arc<Live>, &'a [u8])> {
        let (live, end) = self.domain_of(table, key)?;
        Some((Arc::clone(live), &key[end + 1..]))
    }

    fn domain_part<'a>(&self, key: &'a [u8]) -> Cow<'a, str> {
        let end = memchr::memchr(self.separator, key).unwrap_or(key.len());
        escaped(&key[..end])
    }

    /// A verbatim key must not be `{prefix}:{any version}:{domain}:…` of a policy domain, nor one of the host's own keys beside
    /// it, which begin with a brace.
    fn refuse_foreign_storage(&self, table: &PolicyTable, key: &[u8]) -> Result<()> {
        let bare = key.strip_prefix(b"{").unwrap_or(key);
        let Some(rest) =
            bare.strip_prefix(self.prefix.as_bytes()).and_then(|rest| rest.strip_prefix(&[self.separator]))
        else {
            return Ok(());
        };
        let reserved = bare.len() < key.len();
        let mut parts = rest.splitn(3, |&byte| byte == self.separator);
        let (_version, domain) = (parts.next(), parts.next());
        let owned = domain
            .and_then(|domain| std::str::from_utf8(domain).ok())
            .and_then(|domain| table.get(domain))
            .is_some_and(|live| live.description.key_scope == KeyScope::Domain);
        if !owned && reserved {
            let message =
                format!("keys that begin with '{{{}{}' are the host's own", self.prefix, char::from(self.separator));
            return Err(Error::new(ErrorKind::InvalidKey, message));
        }
        if !owned {
            return Ok(());
        }
        let domain = domain.map(escaped).unwrap_or_default();
        let message = format!(
            "the key is a storage key of the domain '{domain}'; use '{domain}{}…' instead",
            char::from(self.separator)
        );
        Err(Error::new(ErrorKind::InvalidKey, message))
    }

    /// The storage key of a name that a policy's workflow uses, and the key under which an application knows it.
    ///
    /// # Errors
    /// A name that would leave the domain, in words for the policy.
    pub fn own_key(
        &self,
        table: &PolicyTable,
        live: &Live,
        name: &str,
    ) -> std::result::Result<(StoreKey, Bytes), String> {
        check_suffix(name)?;
        if live.description.key_scope == KeyScope::Verbatim {
            self.refuse_foreign_storage(table, name.as_bytes()).map_err(|error| error.message)?;
            if self.own_domain(table, name.as_bytes()).is_some() {
                return Err(format!("the key '{name}' is of another domain"));
            }
            let key = Bytes::copy_from_slice(name.as_bytes());
            return Ok((StoreKey(key.clone()), key));
        }
        let mut key = BytesMut::with_capacity(live.domain.len() + 1 + name.len());
        key.extend_from_slice(live.domain.as_bytes());
        key.extend_from_slice(&[self.separator]);
        key.extend_from_slice(name.as_bytes());
        Ok((self.in_domain(live, name), key.freeze()))
    }

    /// Whether a key of the store is one that a verbatim domain may use.
    #[must_use]
    pub fn is_verbatim(&self, table: &PolicyTable, key: &[u8]) -> bool {
        self.own_domain(table, key).is_none() && self.refuse_foreign_storage(table, key).is_ok()
    }

    /// The application's key for a key of the store. Where a policy chose a suffix of its own, the suffix stands for the rest of the
    /// key. `None`: it is not for applications.
    #[must_use]
    pub fn shown(&self, table: &PolicyTable, key: &Bytes) -> Option<Bytes> {
        let separator = [self.separator];
        if let Some(rest) = key.strip_prefix(self.prefix.as_bytes()).and_then(|rest| rest.strip_prefix(&separator)) {
            let mut parts = rest.splitn(3, |&byte| byte == self.separator);
            let (version, domain, suffix) = (parts.next(), parts.next(), parts.next());
            let domain = domain.and_then(|domain| std::str::from_utf8(domain).ok());
            let live = domain.and_then(|domain| table.get(domain));
            if let Some(live) = live.filter(|live| live.description.key_scope == KeyScope::Domain) {
                let suffix = suffix.filter(|_| version == Some(live.description.key_version.as_bytes()))?;
                if live.domain.as_ref() != DEFAULT_DOMAIN {
                    return Some([live.domain.as_bytes(), &separator, suffix].concat().into());
                }
                return self.own_domain(table, suffix).is_none().then(|| key.slice_ref(suffix));
            }
        }
        let is_verbatim = table.get(DEFAULT_DOMAIN)?.description.key_scope == KeyScope::Verbatim;
        let is_free = is_verbatim && self.is_verbatim(table, key) && self.refuse_lock_storage(key).is_ok();
        is_free.then(|| key.clone())
    }

    /// Where the generation of a domain, or of a tag in it, is kept. A domain's name holds no separator, so no two are the same.
    #[must_use]
    pub fn generation_key(&self, domain: &str, tag: Option<&str>) -> StoreKey {
        let separator = char::from(self.separator);
        let prefix = &self.prefix;
        let name = match tag {
            None => format!("{{{prefix}{separator}generation{separator}{domain}}}"),
            Some(tag) => format!("{{{prefix}{separator}generation{separator}{domain}{separator}{tag}}}"),
        };
        StoreKey(name.into())
    }

    /// Where it is noted that some tag of a domain was invalidated. No tag's record has this name.
    #[must_use]
    pub fn tags_key(&self, domain: &str) -> StoreKey {
        let (prefix, separator) = (&self.prefix, char::from(self.separator));
        StoreKey(format!("{{{prefix}{separator}generations{separator}{domain}}}").into())
    }

    /// Where the lease of an entry lies: in the entry's slot of a cluster, under a key that no entry can have. `None`: there is
    /// no such key, as the entry's holds a brace that makes no hash tag.
    #[must_use]
    pub fn lease_keys(entry: &StoreKey) -> Option<LeaseKeys> {
        let key = entry.as_bytes();
        let lease = match (memchr::memchr(b'{', key), memchr::memchr(b'}', key)) {
            (_, None) => [b"{", key, b"}:lease"].concat(),
            // It has a hash tag, which what follows does not change. No key of a domain holds a control character.
            (Some(open), Some(_)) if memchr::memchr(b'}', &key[open + 1..]).is_some_and(|len| len > 0) => {
                [key, b"\x1flease"].concat()
            }
            _ => return None,
        };
        Some(LeaseKeys { entry: entry.clone(), lease: StoreKey(lease.into()) })
    }

    /// The entry of a lease and the lease itself, if a key of the store is one's; the opposite of [`Self::lease_keys`].
    #[must_use]
    pub fn leased(key: &Bytes) -> Option<LeaseKeys> {
        let entry = match key.strip_suffix(b"}:lease") {
            Some(braced) => braced.strip_prefix(b"{")?,
            None => key.strip_suffix(b"\x1flease")?,
        };
        Self::lease_keys(&StoreKey(key.slice_ref(entry))).filter(|keys| keys.lease.0 == *key)
    }

    /// What every storage key of a policy domain, and every key of the host's own, begins with.
    #[must_use]
    pub fn storage_prefixes(&self) -> [Bytes; 2] {
        let own = format!("{}{}", self.prefix, char::from(self.separator));
        [format!("{{{own}").into(), own.into()]
    }

    /// The domain, and the tag if it is one's, whose generation lies under a key of the store; the opposite of
    /// [`Self::generation_key`].
    #[must_use]
    pub fn generation_of<'a>(&self, key: &'a [u8]) -> Option<(&'a str, Option<&'a str>)> {
        let inside = key.strip_prefix(b"{")?.strip_suffix(b"}")?;
        let inside = inside.strip_prefix(self.prefix.as_bytes())?.strip_prefix(&[self.separator])?;
        let name = inside.strip_prefix(b"generation")?.strip_prefix(&[self.separator])?;
        let name = std::str::from_utf8(name).ok()?;
        Some(name.split_once(char::from(self.separator)).map_or((name, None), |(domain, tag)| (domain, Some(tag))))
    }

    /// The key as applications say it, of a storage key whose suffix no policy chose; the opposite of [`Self::storage_key`].
    #[must_use]
    pub fn name_of<'a>(&self, table: &PolicyTable, key: &'a [u8]) -> Cow<'a, [u8]> {
        let own = || {
            let rest = key.strip_prefix(self.prefix.as_bytes())?.strip_prefix(&[self.separator])?;
            let mut parts = rest.splitn(3, |&byte| byte == self.separator);
            let (version, domain, suffix) = (parts.next()?, parts.next()?, parts.next()?);
            let live = table.get(std::str::from_utf8(domain).ok()?)?;
            let Description { key_scope, key_version, .. } = &live.description;
            if *key_scope != KeyScope::Domain || key_version.as_bytes() != version {
                return None;
            }
            let name = &rest[version.len() + 1..];
            Some(if &*live.domain == DEFAULT_DOMAIN { suffix } else { name })
        };
        own().unwrap_or(key).into()
    }

    /// The storage key for a policy's answer.
    ///
    /// # Errors
    /// A suffix that the policy may not choose: [`Err`] with the reason, the policy's fault.
    pub fn storage_key(&self, key: &DomainKey<'_>, suffix: Option<&str>) -> std::result::Result<StoreKey, String> {
        if let Some(suffix) = suffix {
            check_suffix(suffix)?;
        }
        let live = &key.live;
        if live.description.key_scope == KeyScope::Verbatim {
            return match suffix {
                None => Ok(StoreKey(Bytes::copy_from_slice(key.whole))),
                Some(_) => Err("a policy with verbatim keys cannot choose a suffix".to_owned()),
            };
        }
        Ok(self.in_domain(live, suffix.unwrap_or(&key.rest)))
    }

    /// The same key in another key version.
    pub(super) fn of_version(&self, live: &Live, version: &str, key: &StoreKey) -> StoreKey {
        let own = self.in_domain(live, "");
        let suffix = key.as_bytes().get(own.as_bytes().len()..).unwrap_or_default();
        StoreKey([self.in_version(live, version, "").as_bytes(), suffix].concat().into())
    }

    /// `{prefix}:{key-version}:{domain}:{suffix}`; the suffix may be empty, for what all of them begin with.
    pub(super) fn in_domain(&self, live: &Live, suffix: &str) -> StoreKey {
        self.in_version(live, &live.description.key_version, suffix)
    }

    /// The same in a key version that may be another one.
    pub(super) fn in_version(&self, live: &Live, key_version: &str, suffix: &str) -> StoreKey {
        let parts = [&self.prefix, key_version, &live.domain, suffix];
        let mut name = BytesMut::with_capacity(parts.iter().map(|part| part.len() + 1).sum());
        for (i, part) in parts.into_iter().enumerate() {
            if i > 0 {
                name.extend_from_slice(&[self.separator]);
            }
            name.extend_from_slice(part.as_bytes());
        }
        StoreKey(name.freeze())
    }
}

fn unknown_domain(domain: Cow<'_, str>) -> Error {
    let message = format!(
        "no policy serves the domain '{domain}', and there is no policy 'default' for other keys; add {domain}.wasm to the policy folder"
    );
    Error::new(ErrorKind::UnknownDomain, message)
}

/// The key as a policy is told: UTF-8 without control characters, not empty.
fn policy_text(rest: &[u8]) -> Result<Cow<'_, str>> {
    let invalid = |what: &str| Err(Error::new(ErrorKind::InvalidKey, format!("the key {what}")));
    if rest.is_empty() {
        return invalid("is empty after its domain");
    }
    let Ok(text) = std::str::from_utf8(rest) else {
        return invalid("is not UTF-8, which a policy's domain requires");
    };
    if !is_plain(rest)
        && let Some(bad) = text.chars().find(|c| c.is_control())
    {
        return invalid(&format!("holds the control character U+{:04X}", u32::from(bad)));
    }
    Ok(Cow::Borrowed(text))
}

/// Whether all of it is printable ASCII, as nearly all keys are: that is seen at a glance.
fn is_plain(text: &[u8]) -> bool {
    text.iter().all(|byte| matches!(byte, b' '..=b'~'))
}

/// A key as text: bytes that are no UTF-8 and control characters as `%XX`.
#[must_use]
pub fn escaped(key: &[u8]) -> Cow<'_, str> {
    if let Ok(text) = std::str::from_utf8(key)
        && (is_plain(key) || !text.chars().any(char::is_control))
    {
        return Cow::Borrowed(text);
    }
    let mut text = String::with_capacity(key.len() + 16);
    for chunk in key.utf8_chunks() {
        for c in chunk.valid().chars() {
            if c.is_control() {
                // Writing to a String cannot fail.
                let _ = write!(text, "%{:02X}", u32::from(c));
            } else {
                text.push(c);
            }
        }
        for byte in chunk.invalid() {
            let _ = write!(text, "%{byte:02X}");
        }
    }
    Cow::Owned(text)
}

fn check_suffix(suffix: &str) -> std::result::Result<(), String> {
    if suffix.is_empty() {
        return Err("the suffix is empty".to_owned());
    }
    if suffix.len() > SUFFIX_BYTES_MAX {
        return Err(format!("the suffix has {} bytes, {SUFFIX_BYTES_MAX} are allowed", suffix.len()));
    }
    if !is_plain(suffix.as_bytes()) && suffix.chars().any(char::is_control) {
        return Err("the suffix holds a control character".to_owned());
    }
    if suffix.split('/').any(|part| part == "..") {
        return Err("the suffix holds '..'".to_owned());
    }
    Ok(())
}
