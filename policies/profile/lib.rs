//! Profiles of users, `profile:user:{userId}`: fresh for a day, then served stale for five minutes while one caller
//! refreshes them. Read-through if `profile.toml` names an origin, cache-aside under a lease if not.
//!
//! Deliberately absent: other forms of keys. A service that asks for one has a bug, and is told so.

use std::time::Duration;

use larder_policy::*;

struct Profile {
    ttl: Duration,
    stale: Duration,
    stale_if_error: Duration,
    keep: Duration,
    absent_ttl: Duration,
    early_refresh_percent: u16,
    jitter_percent: u8,
    collapse_wait: Duration,
    tag_user: bool,
}

impl Rules for Profile {
    fn describe(settings: &mut Settings) -> Result<(Self, Description), String> {
        let policy = Self {
            ttl: settings.duration("ttl", hours(24))?,
            stale: settings.duration("stale", minutes(5))?,
            stale_if_error: settings.duration("stale_if_error", minutes(5))?,
            keep: settings.duration("keep", Duration::ZERO)?,
            absent_ttl: settings.duration("absent_ttl", seconds(30))?,
            early_refresh_percent: settings.number("early_refresh_percent", 0, 0..=1000)?,
            jitter_percent: settings.number("jitter_percent", 0, 0..=100)?,
            collapse_wait: settings.duration("collapse_wait", seconds(1))?,
            tag_user: settings.flag("tag_user", false)?,
        };
        let key_version = settings.text("key_version", "v1");
        Ok((policy, Description::new(env!("CARGO_PKG_VERSION")).key_version(key_version).enveloped()))
    }

    fn plan(&self, request: &Request) -> Result<Plan, Refusal> {
        user_of(&request.key)?;
        Ok(Plan::verbatim().load(self.collapse_wait))
    }

    fn admit(&self, request: &Request, candidate: &Candidate) -> Admission {
        let user = match user_of(&request.key) {
            Ok(user) => user,
            Err(refusal) => return Admission::Refuse(refusal),
        };
        if matches!(candidate.origin_status, Some(404 | 410)) {
            return Absence::remembered(self.absent_ttl).into();
        }
        let lifetime = Lifetime::fresh(self.ttl)
            .at_most(candidate.asked_ttl())
            .stale_while_revalidate(self.stale)
            .stale_if_error(self.stale_if_error)
            .keep(self.keep)
            .early_refresh(f32::from(self.early_refresh_percent) / 100.0)
            .jitter(self.jitter_percent);
        if self.tag_user { lifetime.tag(format!("user:{user}")).into() } else { lifetime.into() }
    }
}

fn user_of(key: &str) -> Result<&str, Refusal> {
    match parts(key) {
        Some(["user", user]) => Ok(user),
        _ => Err(Refusal::InvalidKey(format!("`{key}` is not the key of a profile; it must be `user:{{userId}}`"))),
    }
}

export!(Profile);

#[cfg(test)]
mod tests {
    use super::*;

    fn profile(settings: &[(&str, &str)]) -> Profile {
        let table = settings.iter().map(|(name, value)| (name.to_string(), value.to_string())).collect();
        Profile::describe(&mut Settings::new(table)).unwrap().0
    }

    fn request(key: &str) -> Request {
        Request { key: key.into(), operation: Operation::Write, shape: Shape::Value }
    }

    fn candidate(asked_ttl_ms: Option<u64>, origin_status: Option<u16>) -> Candidate {
        Candidate {
            cause: Cause::Write,
            size_bytes: 100,
            asked_ttl_ms,
            origin_status,
            origin_headers: vec![],
            load_ms: 0,
            bytes: None,
        }
    }

    #[test]
    fn only_keys_of_users_are_served() {
        let policy = profile(&[]);
        assert_eq!(policy.plan(&request("user:42")), Ok(Plan::verbatim().load(seconds(1))));
        for key in ["42", "user:", "user:42:name", "users:42", ""] {
            assert!(matches!(policy.plan(&request(key)), Err(Refusal::InvalidKey(_))), "{key}");
        }
    }

    #[test]
    fn a_profile_is_fresh_for_a_day_then_stale_for_five_minutes() {
        let Admission::Store(lifetime) = profile(&[]).admit(&request("user:42"), &candidate(None, None)) else {
            panic!("not stored")
        };
        assert_eq!(lifetime.fresh_ms, Some(86_400_000));
        assert_eq!(lifetime.stale_while_revalidate_ms, 300_000);
        assert!(lifetime.tags.is_empty());
    }

    #[test]
    fn the_shorter_of_the_asked_and_the_set_lifetime_wins() {
        let fresh = |policy: &Profile, asked| match policy.admit(&request("user:42"), &candidate(asked, None)) {
            Admission::Store(lifetime) => lifetime.fresh_ms,
            other => panic!("{other:?}"),
        };
        let policy = profile(&[("ttl", "60")]);
        assert_eq!(fresh(&policy, None), Some(60_000));
        assert_eq!(fresh(&policy, Some(5_000)), Some(5_000));
        assert_eq!(fresh(&policy, Some(90_000)), Some(60_000));
    }

    #[test]
    fn a_user_that_does_not_exist_is_remembered_for_a_while() {
        let admission = profile(&[]).admit(&request("user:0"), &candidate(None, Some(404)));
        assert_eq!(admission, Absence::remembered(seconds(30)).into());
    }

    #[test]
    fn the_tag_names_the_user() {
        let admission = profile(&[("tag_user", "true")]).admit(&request("user:42"), &candidate(None, None));
        assert!(matches!(admission, Admission::Store(lifetime) if lifetime.tags == ["user:42"]));
    }
}
