//! Who may do what: the `[[users]]` of `larder.toml`.
//!
//! A user proves who it is with a secret, with a client certificate, or with either. What it may do is a role for everything, and
//! roles for single domains that replace it there. Invariants: a user that could prove nothing, or that may do nothing, is an error;
//! names and certificates are not used twice. Deliberately absent: groups, and secrets in clear text in the file.

use std::collections::BTreeMap;

use toml::Spanned;
use toml::de::{DeTable, DeValue};

use super::ConfigError;
use super::layers::{Document, Source, scalar};
use super::secret::{self, Secret};
use super::table::nearest;
use crate::limits::{DOMAIN_BYTES_MAX, USER_NAME_BYTES_MAX, USER_SECRETS_MAX, USERS_MAX};

/// How all users together are called where settings are listed.
pub const NAME: &str = "users";
/// The user of `auth.password`, as Redis calls it.
pub const DEFAULT_USER: &str = "default";

/// What somebody may do; each role may do what those before it may.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, serde::Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Role {
    /// Nothing. Of use for a domain, where another role holds for all others.
    None,
    /// Read entries, and see how the host stands.
    Read,
    /// Write and invalidate entries, take locks, call commands, tell events.
    Write,
    /// Change how the host works: policies, breakers, other people's locks, the log.
    Admin,
}

impl Role {
    /// All of them.
    pub const ALL: [Self; 4] = [Self::None, Self::Read, Self::Write, Self::Admin];

    /// The word in settings, logs and answers.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::None => "none",
            Self::Read => "read",
            Self::Write => "write",
            Self::Admin => "admin",
        }
    }
}

/// A user as it is written in the file.
#[derive(Clone, Debug)]
pub struct UserText {
    name: String,
    secrets: Vec<String>,
    certificate: Option<String>,
    role: Option<Role>,
    domains: BTreeMap<String, Role>,
    rate_max: Option<u32>,
    source: Source,
}

impl UserText {
    /// Whether both say the same, wherever they stand.
    pub(super) fn is_same(&self, other: &Self) -> bool {
        let parts = |user: &Self| {
            let Self { name, secrets, certificate, role, domains, rate_max, source: _ } = user.clone();
            (name, secrets, certificate, role, domains, rate_max)
        };
        parts(self) == parts(other)
    }

    /// What it is called.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Where it stands.
    #[must_use]
    pub const fn source(&self) -> &Source {
        &self.source
    }
}

/// A user whose secrets were found.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct User {
    /// What it is called.
    pub name: String,
    /// Any of these proves it.
    pub secrets: Vec<Secret>,
    /// A name in its client certificate that proves it.
    pub certificate: Option<String>,
    /// What it may do where nothing else is said.
    pub role: Role,
    /// What it may do in single domains.
    pub domains: BTreeMap<String, Role>,
    /// Requests per second of all its connections; `None`: no bound.
    pub rate_max: Option<u32>,
}

impl User {
    /// The user of `auth.password`, who may do everything.
    #[must_use]
    pub fn all_powerful(secret: Secret) -> Self {
        Self {
            name: DEFAULT_USER.to_owned(),
            secrets: vec![secret],
            certificate: None,
            role: Role::Admin,
            domains: BTreeMap::new(),
            rate_max: None,
        }
    }
}

/// Reads the users of a file.
pub(super) fn read(document: &Document<'_>, value: &Spanned<DeValue<'_>>) -> Result<Vec<UserText>, ConfigError> {
    let wrong = |at: usize, what: &str| ConfigError::new(&document.at(at), what);
    let DeValue::Array(items) = value.get_ref() else {
        return Err(wrong(value.span().start, "users are written as [[users]] with name, secret and role"));
    };
    if items.len() > USERS_MAX {
        return Err(wrong(value.span().start, &format!("{} users; {USERS_MAX} are allowed", items.len())));
    }
    let mut users: Vec<UserText> = Vec::new();
    for item in items.iter() {
        let at = item.span().start;
        let DeValue::Table(table) = item.get_ref() else {
            return Err(wrong(at, "a user is a table with name, secret and role"));
        };
        let user = one(document, at, table)?;
        if users.iter().any(|other| other.name == user.name) {
            return Err(ConfigError::new(&user.source, &format!("there are two users '{}'", user.name)));
        }
        let same = |other: &UserText| other.certificate.is_some() && other.certificate == user.certificate;
        if let Some(other) = users.iter().find(|other| same(other)) {
            let what = format!("the users '{}' and '{}' have the same certificate", other.name, user.name);
            return Err(ConfigError::new(&user.source, &what));
        }
        users.push(user);
    }
    Ok(users)
}

fn one(document: &Document<'_>, at: usize, table: &DeTable<'_>) -> Result<UserText, ConfigError> {
    const KEYS: [&str; 6] = ["name", "secret", "certificate", "role", "domains", "rate_max"];
    let mut user = UserText {
        name: String::new(),
        secrets: Vec::new(),
        certificate: None,
        role: None,
        domains: BTreeMap::new(),
        rate_max: None,
        source: document.at(at),
    };
    for (key, value) in table {
        let wrong = |what: &str| ConfigError::new(&document.at(key.span().start), what);
        let text = || scalar(value.get_ref()).ok_or_else(|| wrong(&format!("{} is a text", key.get_ref())));
        match key.get_ref().as_ref() {
            "name" => user.name = name(text()?).map_err(|what| wrong(&what))?,
            "secret" => user.secrets = secrets(value.get_ref()).map_err(|what| wrong(&what))?,
            "certificate" => user.certificate = Some(text()?),
            "role" => user.role = Some(role(&text()?).map_err(|what| wrong(&what))?),
            "rate_max" => {
                let max = super::value::number(&text()?, 1, u32::MAX.into()).map_err(|what| wrong(&what))?;
                user.rate_max = u32::try_from(max).ok();
            }
            "domains" => user.domains = domains(document, value).map_err(|error| error.into_config(wrong))?,
            other => {
                let hint =
                    nearest(other, KEYS.into_iter()).map_or_else(String::new, |it| format!("; did you mean '{it}'?"));
                return Err(wrong(&format!("a user has no '{other}'{hint}")));
            }
        }
    }
    whole(user)
}

/// A user that can prove itself and may do something.
fn whole(user: UserText) -> Result<UserText, ConfigError> {
    let what = if user.name.is_empty() {
        "a user needs a name"
    } else if user.secrets.is_empty() && user.certificate.is_none() {
        "needs a secret or a certificate; nobody could be it"
    } else if user.role.is_none_or(|role| role == Role::None) && user.domains.values().all(|role| *role == Role::None) {
        "may do nothing: give it a role (read, write, admin), or roles in domains"
    } else {
        return Ok(user);
    };
    Err(ConfigError::new(&user.source, format!("the user '{}' {what}", user.name).as_str()))
}

fn name(text: String) -> Result<String, String> {
    let fits = (1..=USER_NAME_BYTES_MAX).contains(&text.len());
    if fits && text.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-_.@".contains(&byte)) {
        return Ok(text);
    }
    Err(format!("a user's name has 1 to {USER_NAME_BYTES_MAX} letters, digits, '-', '_', '.' or '@'"))
}

fn role(text: &str) -> Result<Role, String> {
    let found = Role::ALL.into_iter().find(|role| role.as_str() == text);
    found.ok_or_else(|| format!("'{text}' is no role; write read, write, admin or none"))
}

fn secrets(value: &DeValue<'_>) -> Result<Vec<String>, String> {
    let what = format!("secret is a text, or a list of up to {USER_SECRETS_MAX}");
    let texts = match value {
        DeValue::Array(items) => items.iter().map(|item| scalar(item.get_ref())).collect::<Option<Vec<_>>>(),
        one => scalar(one).map(|one| vec![one]),
    };
    let texts = texts.filter(|texts| (1..=USER_SECRETS_MAX).contains(&texts.len())).ok_or(what)?;
    match texts.iter().all(|text| secret::is_reference(text)) {
        true => Ok(texts),
        false => Err(format!("a secret is not written in clear; {}", secret::HOW)),
    }
}

/// What is wrong with a table of domains: at its own line, or at one within it.
enum Wrong {
    Here(String),
    There(ConfigError),
}

impl Wrong {
    fn into_config(self, here: impl Fn(&str) -> ConfigError) -> ConfigError {
        match self {
            Self::Here(what) => here(&what),
            Self::There(error) => error,
        }
    }
}

fn domains(document: &Document<'_>, value: &Spanned<DeValue<'_>>) -> Result<BTreeMap<String, Role>, Wrong> {
    let DeValue::Table(table) = value.get_ref() else {
        return Err(Wrong::Here("domains is a table: { profile = \"write\" }".to_owned()));
    };
    let mut domains = BTreeMap::new();
    for (domain, word) in table {
        let there = |what: &str| Wrong::There(ConfigError::new(&document.at(domain.span().start), what));
        let name = domain.get_ref().to_string();
        if name.is_empty() || name.len() > DOMAIN_BYTES_MAX {
            return Err(there(&format!("a domain has 1 to {DOMAIN_BYTES_MAX} bytes")));
        }
        let word = scalar(word.get_ref()).ok_or_else(|| there("a role is a text"))?;
        domains.insert(name, role(&word).map_err(|what| there(&what))?);
    }
    Ok(domains)
}

/// The users with their secrets, which are in files and in the environment.
///
/// # Errors
/// A secret that cannot be found or is too short.
pub(super) fn resolve(
    texts: &[UserText],
    environment: &impl Fn(&str) -> Option<String>,
) -> Result<Vec<User>, ConfigError> {
    let one = |text: &UserText| {
        let find = |secret: &String| secret::resolve(secret, environment);
        let wrong = |what: String| ConfigError::new(&text.source, &format!("the user '{}': {what}", text.name));
        Ok(User {
            name: text.name.clone(),
            secrets: text.secrets.iter().map(find).collect::<Result<_, _>>().map_err(wrong)?,
            certificate: text.certificate.clone(),
            role: text.role.unwrap_or(Role::None),
            domains: text.domains.clone(),
            rate_max: text.rate_max,
        })
    };
    texts.iter().map(one).collect()
}
