//! Who is typing, `typing:{conversationId}:{userId}`: gone after five seconds, unless the next keystroke writes it again.
//!
//! Raw, so that other users of the store read it. Never stale: an indicator that lags is worse than none.

use std::time::Duration;

use larder_policy::*;

struct Typing {
    ttl: Duration,
}

impl Rules for Typing {
    fn describe(settings: &mut Settings) -> Result<(Self, Description), String> {
        let policy = Self { ttl: settings.duration("ttl", seconds(5))? };
        let key_version = settings.text("key_version", "v1");
        Ok((policy, Description::new(env!("CARGO_PKG_VERSION")).key_version(key_version)))
    }

    fn plan(&self, request: &Request) -> Result<Plan, Refusal> {
        match parts(&request.key) {
            Some([_conversation, _user]) => Ok(Plan::verbatim()),
            None => Err(Refusal::InvalidKey("the key must be `{conversationId}` and `{userId}`, two parts".into())),
        }
    }

    fn admit(&self, _request: &Request, candidate: &Candidate) -> Admission {
        Lifetime::fresh(self.ttl).at_most(candidate.asked_ttl()).never_stale().into()
    }
}

export!(Typing);

#[cfg(test)]
mod tests {
    use super::*;

    fn typing() -> Typing {
        Typing::describe(&mut Settings::new(vec![])).unwrap().0
    }

    fn request(key: &str) -> Request {
        Request { key: key.into(), operation: Operation::Write, shape: Shape::Value }
    }

    #[test]
    fn a_key_has_two_parts() {
        assert_eq!(typing().plan(&request("general:42")), Ok(Plan::verbatim()));
        for key in ["", "general", "general:", ":42", "general:42:x"] {
            assert!(matches!(typing().plan(&request(key)), Err(Refusal::InvalidKey(_))), "{key}");
        }
    }

    #[test]
    fn it_lasts_five_seconds_and_is_never_stale() {
        let candidate = Candidate {
            cause: Cause::Write,
            size_bytes: 1,
            asked_ttl_ms: None,
            origin_status: None,
            origin_headers: vec![],
            load_ms: 0,
            bytes: None,
        };
        let admission = typing().admit(&request("general:42"), &candidate);
        assert_eq!(admission, Lifetime::fresh(seconds(5)).never_stale().into());
    }
}
