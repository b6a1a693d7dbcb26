//! Who is there, `presence:{userId}`: gone thirty seconds after the last heartbeat. Each heartbeat is a write.
//!
//! Raw, so that other users of the store read it. Never stale: who is gone is gone.

use std::time::Duration;

use larder_policy::*;

struct Presence {
    ttl: Duration,
}

impl Rules for Presence {
    fn describe(settings: &mut Settings) -> Result<(Self, Description), String> {
        let policy = Self { ttl: settings.duration("ttl", seconds(30))? };
        let key_version = settings.text("key_version", "v1");
        Ok((policy, Description::new(env!("CARGO_PKG_VERSION")).key_version(key_version)))
    }

    fn plan(&self, request: &Request) -> Result<Plan, Refusal> {
        match parts(&request.key) {
            Some([_user]) => Ok(Plan::verbatim()),
            None => Err(Refusal::InvalidKey("the key of a presence must be `{userId}`, one part".into())),
        }
    }

    fn admit(&self, _request: &Request, candidate: &Candidate) -> Admission {
        Lifetime::fresh(self.ttl).at_most(candidate.asked_ttl()).never_stale().into()
    }
}

export!(Presence);

#[cfg(test)]
mod tests {
    use super::*;

    fn presence(settings: &[(&str, &str)]) -> Presence {
        let table = settings.iter().map(|(name, value)| (name.to_string(), value.to_string())).collect();
        Presence::describe(&mut Settings::new(table)).unwrap().0
    }

    fn request(key: &str) -> Request {
        Request { key: key.into(), operation: Operation::Write, shape: Shape::Value }
    }

    #[test]
    fn a_key_has_one_part() {
        assert_eq!(presence(&[]).plan(&request("42")), Ok(Plan::verbatim()));
        for key in ["", "42:phone", ":"] {
            assert!(matches!(presence(&[]).plan(&request(key)), Err(Refusal::InvalidKey(_))), "{key}");
        }
    }

    #[test]
    fn a_heartbeat_lasts_thirty_seconds_or_less_and_is_never_stale() {
        let fresh = |settings, asked_ttl_ms| {
            let candidate = Candidate {
                cause: Cause::Write,
                size_bytes: 1,
                asked_ttl_ms,
                origin_status: None,
                origin_headers: vec![],
                load_ms: 0,
                bytes: None,
            };
            match presence(settings).admit(&request("42"), &candidate) {
                Admission::Store(lifetime) if lifetime.max_stale_ms == Some(0) && !lifetime.sliding => {
                    lifetime.fresh_ms
                }
                other => panic!("{other:?}"),
            }
        };
        assert_eq!(fresh(&[], None), Some(30_000));
        assert_eq!(fresh(&[], Some(60_000)), Some(30_000));
        assert_eq!(fresh(&[], Some(10_000)), Some(10_000));
        assert_eq!(fresh(&[("ttl", "90")], None), Some(90_000));
    }
}
