//! Who a caller is, and what it may do: the same for RESP and HTTP.
//!
//! A [`Gate`] knows the accounts and lets callers prove who they are; what they get is an [`Access`], which answers for one domain after
//! the other. Every command and every route says in its table what it needs ([`Need`]). Without any account everybody may do
//! everything, and nothing of this is asked on a hit but one flag.
//!
//! Invariants: secrets are compared by their digests, in the same time wherever they differ, and all of them whichever is right; an
//! account that is taken away is gone with the next request of whoever has it. Deliberately absent: what a transport asks of a client
//! before it speaks (`wire/tls`).

mod accounts;
mod gate;
mod guesses;
mod need;
mod rate;

pub use accounts::Account;
pub use gate::{Denied, Gate};
pub use need::{Need, Of};
pub use rate::Rate;

use std::sync::Arc;

use crate::config::users::Role;
use crate::engine::Engine;
use crate::ports::table::DEFAULT_DOMAIN;

/// What one caller may do.
#[derive(Clone, Debug)]
pub struct Access {
    account: Arc<Account>,
    /// The accounts of which it is one.
    epoch: u64,
}

impl Access {
    /// The caller's name.
    #[must_use]
    pub fn name(&self) -> &Arc<str> {
        &self.account.name
    }

    /// Its account.
    #[must_use]
    pub const fn account(&self) -> &Arc<Account> {
        &self.account
    }

    /// Which accounts it was found among; [`Gate::epoch`] says whether they still are those.
    #[must_use]
    pub const fn epoch(&self) -> u64 {
        self.epoch
    }

    /// What it may do to the host itself.
    #[must_use]
    pub fn on_host(&self) -> Role {
        self.account.role
    }

    /// What it may do to all domains together: the least of what it may anywhere.
    #[must_use]
    pub fn on_everything(&self) -> Role {
        self.account.domains.values().copied().fold(self.account.role, Role::min)
    }

    /// The most that it may do in any domain.
    #[must_use]
    pub fn anywhere(&self) -> Role {
        self.account.domains.values().copied().fold(self.account.role, Role::max)
    }

    /// What it may do in a domain.
    #[must_use]
    pub fn in_domain(&self, domain: &[u8]) -> Role {
        let said = std::str::from_utf8(domain).ok().and_then(|domain| self.account.domains.get(domain));
        said.copied().unwrap_or(self.account.role)
    }

    /// What it may do with a key. A domain that is named in the account counts even while no policy serves it: what is kept from
    /// somebody does not open up because a policy is gone.
    #[must_use]
    pub fn on_key(&self, engine: &Engine, key: &[u8]) -> Role {
        if self.account.domains.is_empty() {
            return self.account.role;
        }
        let domain = memchr::memchr(engine.separator(), key).and_then(|end| std::str::from_utf8(&key[..end]).ok());
        match domain {
            Some(domain) if self.account.domains.contains_key(domain) => self.in_domain(domain.as_bytes()),
            Some(domain) if engine.is_served(domain) => self.account.role,
            _ => self.in_domain(DEFAULT_DOMAIN.as_bytes()),
        }
    }

    /// What it may do with a lock. Those of applications belong to the domain `default`, those of a policy to its own.
    #[must_use]
    pub fn on_lock(&self, name: &[u8]) -> Role {
        let of_policy = name.strip_prefix(b"@").and_then(|name| name.split(|&byte| byte == b'/').next());
        self.in_domain(of_policy.unwrap_or(DEFAULT_DOMAIN.as_bytes()))
    }

    /// Whether every domain may be read: then no hit has to be asked about.
    #[must_use]
    pub fn reads_everything(&self) -> bool {
        self.on_everything() >= Role::Read
    }
}
