//! The settings for people and scripts: each with its value and where it comes from. Secrets are `***`.

use serde::Serialize;

use super::layers::Layers;
use super::table::{SETTINGS, Setting};
use super::users::User;

/// One setting as it stands.
#[derive(Debug, Serialize)]
pub struct Shown {
    /// Its name.
    pub name: String,
    /// Its value as it was written; `***` for a secret.
    pub value: String,
    /// Where it was written.
    pub source: String,
    /// Whether SIGHUP takes a new value up.
    pub reloads: bool,
}

/// All settings, then the users.
#[must_use]
pub fn all(layers: &Layers, users: &[User]) -> Vec<Shown> {
    let mut shown: Vec<Shown> = SETTINGS.iter().map(|setting| one(setting, layers)).collect();
    for user in users {
        let text = layers.users().iter().find(|text| text.name() == user.name);
        shown.push(Shown {
            name: format!("users.{}", user.name),
            value: may(user),
            source: text.map_or_else(|| layers.get("auth.password").1.to_string(), |text| text.source().to_string()),
            reloads: true,
        });
    }
    shown
}

fn one(setting: &Setting, layers: &Layers) -> Shown {
    let (value, source) = layers.get(setting.name);
    let value = match setting.name {
        _ if setting.secret && !value.is_empty() => "***".to_owned(),
        "store.url" => without_password(value),
        _ => value.to_owned(),
    };
    Shown { name: setting.name.to_owned(), value, source: source.to_string(), reloads: setting.reloads }
}

/// What a user may do, and how it proves who it is.
fn may(user: &User) -> String {
    let domains = user.domains.iter().map(|(domain, role)| format!("{domain}={}", role.as_str()));
    let roles: Vec<String> = std::iter::once(user.role.as_str().to_owned()).chain(domains).collect();
    let secrets = (!user.secrets.is_empty()).then(|| "secret ***".to_owned());
    let certificate = user.certificate.as_ref().map(|name| format!("certificate {name}"));
    let proofs: Vec<String> = secrets.into_iter().chain(certificate).collect();
    format!("{}; {}", roles.join(" "), proofs.join(" or "))
}

/// A URL whose password is `***`. What follows the last `@` cannot be one.
#[must_use]
pub fn without_password(url: &str) -> String {
    let Some((scheme, rest)) = url.split_once("://") else { return url.to_owned() };
    let Some((account, host)) = rest.rsplit_once('@') else { return url.to_owned() };
    let user = account.split_once(':').map_or("", |(user, _)| user);
    format!("{scheme}://{user}:***@{host}")
}

#[cfg(test)]
mod tests {
    use super::without_password;

    #[test]
    fn a_password_is_not_shown() {
        for (url, expect) in [
            ("memory", "memory"),
            ("redis://h:1", "redis://h:1"),
            ("redis://:secret@h:1/2", "redis://:***@h:1/2"),
            ("redis://app:se@cret@h", "redis://app:***@h"),
            ("redis://secret@h", "redis://:***@h"),
        ] {
            assert_eq!(without_password(url), expect);
        }
    }
}
