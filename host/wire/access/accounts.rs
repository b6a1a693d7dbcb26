//! The accounts: from a proof to who it is of. One immutable set, replaced as a whole.

use std::collections::BTreeMap;
use std::sync::Arc;

use rustls::client::verify_server_name;
use rustls::pki_types::{CertificateDer, ServerName};
use rustls::server::ParsedCertificate;
use subtle::{Choice, ConstantTimeEq};

use super::rate::Rate;
use crate::config::secret::Secret;
use crate::config::users::{DEFAULT_USER, Role, User};

/// Somebody who may be let in.
#[derive(Debug)]
pub struct Account {
    /// What it is called.
    pub name: Arc<str>,
    /// What it may do where nothing else is said.
    pub role: Role,
    /// What it may do in single domains.
    pub domains: BTreeMap<String, Role>,
    /// How fast all its connections together may ask.
    pub rate: Option<Rate>,
    secrets: Vec<Secret>,
    certificate: Option<ServerName<'static>>,
}

impl Account {
    fn new(user: &User) -> Self {
        Self {
            name: user.name.as_str().into(),
            role: user.role,
            domains: user.domains.clone(),
            rate: user.rate_max.map(Rate::new),
            secrets: user.secrets.clone(),
            // A name that no certificate could hold proves nobody.
            certificate: user.certificate.clone().and_then(|name| ServerName::try_from(name).ok()),
        }
    }

    /// Of whoever comes where nobody has to say who they are.
    fn everybody() -> Self {
        Self {
            name: DEFAULT_USER.into(),
            role: Role::Admin,
            domains: BTreeMap::new(),
            rate: None,
            secrets: Vec::new(),
            certificate: None,
        }
    }

    /// Looks at all secrets, whichever is right.
    fn has_secret(&self, guess: &Secret) -> Choice {
        self.secrets.iter().fold(Choice::from(0), |found, secret| found | secret.digest().ct_eq(guess.digest()))
    }

    /// Whether the same proofs lead to it as to the other.
    fn is_proved_as(&self, other: &Self) -> bool {
        self.secrets == other.secrets && self.certificate == other.certificate
    }
}

/// All accounts.
#[derive(Debug)]
pub(super) struct Accounts {
    all: Vec<Arc<Account>>,
    everybody: Option<Arc<Account>>,
}

impl Accounts {
    /// Of these users; of nobody, everybody may do everything.
    pub(super) fn new(users: &[User]) -> Self {
        let everybody = users.is_empty().then(|| Arc::new(Account::everybody()));
        Self { all: users.iter().map(|user| Arc::new(Account::new(user))).collect(), everybody }
    }

    /// Whether there is one of this name.
    pub(super) fn knows(&self, name: &[u8]) -> bool {
        self.all.iter().chain(&self.everybody).any(|account| account.name.as_bytes() == name)
    }

    /// Whose account it is when nobody has to say who they are.
    pub(super) const fn everybody(&self) -> Option<&Arc<Account>> {
        self.everybody.as_ref()
    }

    /// The account of this name, if the secret is one of its. An unknown name takes as long as a known one.
    pub(super) fn by_name(&self, name: &[u8], guess: &Secret) -> Option<&Arc<Account>> {
        let found = self.all.iter().find(|account| account.name.as_bytes() == name);
        let right = match found {
            Some(account) => account.has_secret(guess),
            None => Secret::of(b"").digest().ct_eq(guess.digest()) & Choice::from(0),
        };
        found.filter(|_| right.into())
    }

    /// The account whose secret this is. All are looked at, whichever is right.
    pub(super) fn by_secret(&self, guess: &Secret) -> Option<&Arc<Account>> {
        let looked = self.all.iter().map(|account| (account, bool::from(account.has_secret(guess))));
        looked.fold(None, |found, (account, right)| if right { Some(account) } else { found })
    }

    /// The account that a certificate names. The certificate itself was checked when the connection was made.
    pub(super) fn by_certificate(&self, certificate: &CertificateDer<'_>) -> Option<&Arc<Account>> {
        let parsed = ParsedCertificate::try_from(certificate).ok()?;
        let names = |account: &&Arc<Account>| {
            account.certificate.as_ref().is_some_and(|name| verify_server_name(&parsed, name).is_ok())
        };
        self.all.iter().find(names)
    }

    /// What has become of an account of other times: the one of its name, if what proved it then proves it now.
    pub(super) fn successor(&self, old: &Account) -> Option<&Arc<Account>> {
        self.all.iter().find(|account| account.name == old.name && account.is_proved_as(old))
    }
}
