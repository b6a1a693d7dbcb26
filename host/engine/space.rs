//! The key space as applications see it: going through its keys, counting, drawing and removing them.
//!
//! What is shown are application keys: of a verbatim domain the store's keys as they are, of every other one `{domain}:{suffix}`. The
//! suffix is the rest of the key, unless the policy chose another one; then it is what is shown. Never shown: the host's own records,
//! leases and locks, keys under other versions than the policy's, and, where there is no `default`, whatever else is in the store.
//!
//! A scan is one scan of the store, so its cursor is the store's, and it finds what is there from its beginning to its end. An entry that
//! is kept past its fresh time is shown, though a read may not be served it.

use std::collections::HashSet;

use bytes::Bytes;

use super::core::Engine;
use super::known::Domain;
use super::lent::literal;
use super::step::ScanRequest;
use crate::error::{Error, ErrorKind, Result};
use crate::limits::{DBSIZE_LOOKED_AT_MAX, KEYS_SHOWN_MAX, RANDOM_KEY_TRIES_MAX, SCAN_STEP_KEYS};
use crate::ports::pattern::Pattern;
use crate::ports::policy::KeyScope;
use crate::ports::store::{Command, Reply, StoreKey};
use crate::ports::table::{DEFAULT_DOMAIN, PolicyTable};

impl Engine {
    /// A step of a scan: where the next one goes on, and some keys.
    ///
    /// # Errors
    /// A failure of the store; what it says of a cursor or an option that is none.
    pub async fn scan_keys(&self, request: &ScanRequest) -> Result<(Bytes, Vec<Bytes>)> {
        let reply = self.call(self.scan_command(request)).await?;
        let (next, found) = portion(reply)?;
        Ok((next, self.shown(found, request.pattern.as_deref())))
    }

    /// The store's command for a step of a scan.
    pub(super) fn scan_command(&self, request: &ScanRequest) -> Command {
        let mut command = Command::new("SCAN").arg(request.cursor.clone());
        if let Some(pattern) = self.pushed(request.pattern.as_deref()) {
            command = command.arg("MATCH").arg(pattern);
        }
        command.args.extend(request.options.iter().cloned());
        command
    }

    /// The application keys among the store's.
    pub(super) fn shown(&self, found: Vec<Bytes>, pattern: Option<&[u8]>) -> Vec<Bytes> {
        let table = self.policies.table();
        let pattern = pattern.filter(|pattern| !Pattern::is_everything(pattern)).map(Pattern::new);
        let shown = found.iter().filter_map(|key| self.keys.shown(&table, key));
        shown.filter(|key| pattern.as_ref().is_none_or(|pattern| pattern.matches(key))).collect()
    }

    /// All application keys that match; no two moments: what comes and goes meanwhile may or may not be there.
    ///
    /// # Errors
    /// Too many; a failure of the store.
    pub async fn all_keys(&self, pattern: &[u8]) -> Result<Vec<Bytes>> {
        let mut keys = HashSet::new();
        let mut way = Way::new(Some(pattern));
        while let Some(found) = self.next_portion(&mut way).await? {
            keys.extend(self.shown(found, Some(pattern)));
            if keys.len() > KEYS_SHOWN_MAX {
                let message = format!("more than {KEYS_SHOWN_MAX} keys match; go through them with SCAN");
                return Err(Error::new(ErrorKind::Unsupported, message));
            }
        }
        Ok(keys.into_iter().collect())
    }

    /// How many application keys there are. Of a store with very many it is what the store counts, the host's own included.
    ///
    /// # Errors
    /// A failure of the store.
    pub async fn count_keys(&self) -> Result<u64> {
        let Reply::Integer(all) = self.call(Command::new("DBSIZE")).await? else { return Err(odd("DBSIZE")) };
        let all = u64::try_from(all).unwrap_or(0);
        if all > DBSIZE_LOOKED_AT_MAX as u64 {
            return Ok(all);
        }
        Ok(self.all_keys(b"*").await?.len() as u64)
    }

    /// An application key that chance picks; `None`: there is none.
    ///
    /// # Errors
    /// A failure of the store.
    pub async fn random_key(&self) -> Result<Option<Bytes>> {
        for _ in 0..RANDOM_KEY_TRIES_MAX {
            match self.call(Command::new("RANDOMKEY")).await? {
                Reply::Bulk(key) => match self.keys.shown(&self.policies.table(), &key) {
                    Some(shown) => return Ok(Some(shown)),
                    None => continue,
                },
                _ => return Ok(None),
            }
        }
        // Hardly any of the store's keys is an application's: chance would take too long.
        let keys = self.all_keys(b"*").await?;
        let pick = (self.clock.random() % (keys.len() as u64).max(1)) as usize;
        Ok(keys.into_iter().nth(pick))
    }

    /// Removes what Larder serves: every key that [`Self::scan_keys`] would show, and what it would carry over from older key versions. A write that is under way may survive.
    ///
    /// # Errors
    /// It is not allowed here; a failure of the store: what was removed stays removed.
    pub async fn flush(&self) -> Result<()> {
        if !self.flush_on {
            return Err(flush_is_off());
        }
        // Told once, and not of each key.
        self.tracker.flush();
        let domains: Vec<_> = self.policies.table().iter().map(|live| self.domains.of(live)).collect();
        let _forgetting: Vec<_> = domains.iter().map(|domain| Forgetting::new(domain)).collect();
        let mut way = Way::new(None);
        while let Some(found) = self.next_portion(&mut way).await? {
            let own: Vec<StoreKey> = {
                let table = self.policies.table();
                let is_own = |key: &Bytes| self.keys.shown(&table, key).is_some() || self.is_old(&table, key);
                found.into_iter().filter(is_own).map(StoreKey).collect()
            };
            if !own.is_empty() {
                self.store.delete(&own).await.map_err(|e| self.store_error(e))?;
            }
        }
        Ok(())
    }

    /// The store's next keys on the way through all of them; `None`: it is at its end.
    async fn next_portion(&self, way: &mut Way) -> Result<Option<Vec<Bytes>>> {
        if way.ended {
            return Ok(None);
        }
        let (next, found) = portion(self.call(self.scan_command(&way.request)).await?)?;
        way.ended = next.as_ref() == b"0";
        way.request.cursor = next;
        Ok(Some(found))
    }

    /// A pattern over the store's keys that finds no less, so that the store need not send all it has. `None`: all of them.
    fn pushed(&self, pattern: Option<&[u8]>) -> Option<Vec<u8>> {
        let table = self.policies.table();
        let own = |domain: &str| {
            let live = table.get(domain)?;
            (live.description.key_scope == KeyScope::Domain).then(|| literal(self.keys.in_domain(live, "").as_bytes()))
        };
        let pattern = pattern.unwrap_or(b"*");
        let plain = pattern.iter().position(|byte| b"*?[\\".contains(byte)).unwrap_or(pattern.len());
        let (plain, separator) = (&pattern[..plain], self.keys.separator);
        if let Some(end) = memchr::memchr(separator, plain)
            && let Some(mut storage) =
                std::str::from_utf8(&plain[..end]).ok().filter(|&d| d != DEFAULT_DOMAIN).and_then(own)
        {
            storage.extend_from_slice(&pattern[end + 1..]);
            return Some(storage);
        }
        if may_begin_domain(&table, plain, separator) {
            return None;
        }
        match own(DEFAULT_DOMAIN) {
            Some(mut storage) => {
                storage.extend_from_slice(pattern);
                Some(storage)
            }
            None => Some(pattern.to_vec()),
        }
    }
}

/// How far a walk over all keys is.
struct Way {
    request: ScanRequest,
    ended: bool,
}

impl Way {
    fn new(pattern: Option<&[u8]>) -> Self {
        let options = vec![Bytes::from_static(b"COUNT"), SCAN_STEP_KEYS.to_string().into()];
        let pattern = pattern.map(Bytes::copy_from_slice);
        Self { request: ScanRequest { cursor: Bytes::from_static(b"0"), pattern, options }, ended: false }
    }
}

/// Nothing is emptied here.
pub(super) fn flush_is_off() -> Error {
    let message = "FLUSHDB and FLUSHALL are off, since others may share the store; `commands.flush = on` allows them, \
                   and LARDER.INVALIDATE DOMAIN empties one domain";
    Error::new(ErrorKind::Unsupported, message)
}

/// Whether keys that begin so may be of a domain under the prefix.
fn may_begin_domain(table: &PolicyTable, plain: &[u8], separator: u8) -> bool {
    !plain.contains(&separator)
        && table.iter().any(|live| {
            let is_own = live.description.key_scope == KeyScope::Domain && live.domain.as_ref() != DEFAULT_DOMAIN;
            is_own && live.domain.as_bytes().starts_with(plain)
        })
}

/// A portion of a scan: where the next one goes on, and what was found.
pub(super) fn portion(reply: Reply) -> Result<(Bytes, Vec<Bytes>)> {
    let Reply::Array(parts) = reply else { return Err(odd("SCAN")) };
    let Ok([Reply::Bulk(next), Reply::Array(found)]) = <[Reply; 2]>::try_from(parts) else { return Err(odd("SCAN")) };
    let key = |reply| if let Reply::Bulk(key) = reply { Ok(key) } else { Err(odd("SCAN")) };
    Ok((next, found.into_iter().map(key).collect::<Result<_>>()?))
}

pub(super) fn odd(command: &str) -> Error {
    Error::new(ErrorKind::StoreData, format!("the store gave an answer to {command} that makes no sense"))
}

/// Forgets the copies of a domain in L1 now and when dropped.
pub(super) struct Forgetting<'a>(&'a Domain);

impl<'a> Forgetting<'a> {
    pub(super) fn new(domain: &'a Domain) -> Self {
        domain.forget_copies();
        Self(domain)
    }
}

impl Drop for Forgetting<'_> {
    fn drop(&mut self) {
        self.0.forget_copies();
    }
}
