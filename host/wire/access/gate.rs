//! Where callers prove who they are.
//!
//! Invariants: an address that guesses is refused for a while without a look at what it says; what somebody was let in with is never
//! logged. Deliberately absent: who listens where.

use std::net::IpAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use arc_swap::ArcSwap;
use rustls::pki_types::CertificateDer;

use super::Access;
use super::accounts::{Account, Accounts};
use super::guesses::Guesses;
use crate::config::secret::Secret;
use crate::config::users::User;
use crate::ports::metrics::Metrics;

/// Why somebody was not let in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Denied {
    /// Nothing was said.
    Silent,
    /// It is wrong.
    Wrong,
    /// Too much from this address was wrong; it is not looked at for so long.
    Paused {
        /// In milliseconds.
        wait_ms: u64,
    },
}

/// The accounts, and how callers come by one.
#[derive(Debug)]
pub struct Gate {
    accounts: ArcSwap<Accounts>,
    /// Grows when the accounts are replaced.
    epoch: AtomicU64,
    open: AtomicBool,
    guesses: Guesses,
    metrics: Arc<Metrics>,
}

impl Gate {
    /// A gate for these users; without any it stands open.
    #[must_use]
    pub fn new(users: &[User], metrics: Arc<Metrics>) -> Self {
        Self {
            accounts: ArcSwap::from_pointee(Accounts::new(users)),
            epoch: AtomicU64::new(0),
            open: AtomicBool::new(users.is_empty()),
            guesses: Guesses::default(),
            metrics,
        }
    }

    /// Replaces all users. Who was let in as one that is gone, or that is proved by something else now, is so no more.
    pub fn replace(&self, users: &[User]) {
        self.accounts.store(Arc::new(Accounts::new(users)));
        self.open.store(users.is_empty(), Ordering::Relaxed);
        self.epoch.fetch_add(1, Ordering::Release);
    }

    /// Whether there is an account of this name.
    #[must_use]
    pub fn knows(&self, name: &[u8]) -> bool {
        self.accounts.load().knows(name)
    }

    /// Which accounts these are.
    #[must_use]
    pub fn epoch(&self) -> u64 {
        self.epoch.load(Ordering::Acquire)
    }

    /// Whether nobody has to say who they are.
    #[must_use]
    pub fn is_open(&self) -> bool {
        self.open.load(Ordering::Relaxed)
    }

    /// What a connection may do that has said nothing yet, or nothing but its certificate.
    #[must_use]
    pub fn greet(&self, certificate: Option<&CertificateDer<'_>>) -> Option<Access> {
        let epoch = self.epoch();
        let accounts = self.accounts.load();
        let named = certificate.and_then(|certificate| accounts.by_certificate(certificate));
        let account = named.or_else(|| accounts.everybody())?;
        Some(Access { account: Arc::clone(account), epoch })
    }

    /// Lets in who says the name of an account and one of its secrets.
    ///
    /// # Errors
    /// Why not.
    pub fn login(&self, peer: IpAddr, name: &[u8], secret: &[u8], now_ms: u64) -> Result<Access, Denied> {
        self.admit(peer, now_ms, |accounts| accounts.by_name(name, &Secret::of(secret)).cloned())
    }

    /// Lets in who says the secret of an account.
    ///
    /// # Errors
    /// Why not.
    pub fn token(&self, peer: IpAddr, secret: &[u8], now_ms: u64) -> Result<Access, Denied> {
        self.admit(peer, now_ms, |accounts| accounts.by_secret(&Secret::of(secret)).cloned())
    }

    fn admit(
        &self,
        peer: IpAddr,
        now_ms: u64,
        find: impl FnOnce(&Accounts) -> Option<Arc<Account>>,
    ) -> Result<Access, Denied> {
        let guard = &self.metrics.guard;
        if let Some(wait_ms) = self.guesses.wait_ms(peer, now_ms) {
            guard.logins_paused.increment();
            return Err(Denied::Paused { wait_ms });
        }
        let epoch = self.epoch();
        let Some(account) = find(&self.accounts.load()) else {
            guard.logins_wrong.increment();
            if let Some(failures) = self.guesses.failed(peer, now_ms) {
                tracing::warn!(%peer, failures, "too many wrong passwords or tokens from an address; it has to wait");
            }
            return Err(Denied::Wrong);
        };
        guard.logins.increment();
        Ok(Access { account, epoch })
    }

    /// The access of somebody who was let in when the accounts were others: what it is now, or `None` if it has to say anew who it is.
    #[must_use]
    pub fn renew(&self, access: &Access) -> Option<Access> {
        let epoch = self.epoch();
        let accounts = self.accounts.load();
        let account = accounts.everybody().or_else(|| accounts.successor(&access.account))?;
        Some(Access { account: Arc::clone(account), epoch })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::users::Role;
    use crate::limits::{LOGIN_FAILURES_MAX, LOGIN_PAUSE_MS_MIN};

    fn user(name: &str, secret: &[u8], role: Role) -> User {
        User { name: name.into(), role, ..User::all_powerful(Secret::of(secret)) }
    }

    const PEER: IpAddr = IpAddr::V4(std::net::Ipv4Addr::LOCALHOST);

    fn name(access: Result<Access, Denied>) -> Result<String, Denied> {
        access.map(|access| access.name().to_string())
    }

    #[test]
    fn who_proves_it_is_let_in() {
        let gate = Gate::new(&[user("a", b"one", Role::Read), user("b", b"two", Role::Admin)], Arc::default());
        assert!(gate.greet(None).is_none() && !gate.is_open());
        assert_eq!(name(gate.login(PEER, b"a", b"one", 0)), Ok("a".into()));
        assert_eq!(name(gate.token(PEER, b"two", 0)), Ok("b".into()));
        for (user, secret) in [("a", "two"), ("c", "one"), ("", ""), ("a", "")] {
            assert_eq!(name(gate.login(PEER, user.as_bytes(), secret.as_bytes(), 0)), Err(Denied::Wrong), "{user}");
        }
        assert_eq!(name(gate.token(PEER, b"", 0)), Err(Denied::Wrong));
    }

    #[test]
    fn who_guesses_has_to_wait_even_if_right() {
        let metrics = Arc::new(Metrics::default());
        let gate = Gate::new(&[user("a", b"one", Role::Read)], Arc::clone(&metrics));
        for _ in 0..LOGIN_FAILURES_MAX {
            assert_eq!(name(gate.token(PEER, b"x", 5)), Err(Denied::Wrong));
        }
        let paused = Denied::Paused { wait_ms: LOGIN_PAUSE_MS_MIN };
        assert_eq!(name(gate.token(PEER, b"one", 5)), Err(paused));
        let other = IpAddr::V4(std::net::Ipv4Addr::new(10, 0, 0, 1));
        assert_eq!(name(gate.token(other, b"one", 5)), Ok("a".into()));
        assert_eq!(name(gate.token(PEER, b"one", 5 + LOGIN_PAUSE_MS_MIN)), Ok("a".into()));
        let counted = &metrics.guard;
        assert_eq!((counted.logins.get(), counted.logins_paused.get()), (2, 1));
        assert_eq!(counted.logins_wrong.get(), u64::from(LOGIN_FAILURES_MAX));
    }

    #[test]
    fn who_is_taken_away_is_out() {
        let gate = Gate::new(&[user("a", b"one", Role::Read), user("b", b"two", Role::Read)], Arc::default());
        let (a, b) = (gate.token(PEER, b"one", 0).unwrap(), gate.token(PEER, b"two", 0).unwrap());
        gate.replace(&[user("a", b"one", Role::Admin), user("b", b"three", Role::Read)]);
        assert_ne!(gate.epoch(), a.epoch());
        assert_eq!(gate.renew(&a).map(|access| (access.on_host(), access.epoch())), Some((Role::Admin, 1)));
        assert!(gate.renew(&b).is_none(), "another secret proves it now");
        gate.replace(&[]);
        assert!(gate.is_open() && gate.renew(&b).is_some() && gate.greet(None).is_some());
    }
}
