//! Sessions, `session:{sessionId}`: the application's own bytes or fields, gone an hour after their last use.
//!
//! Never stale: a session that is over must not let anybody in. Raw, so that other users of the store read them.
//! There is one lifetime for all: a raw value cannot say which one it was written with, so a shorter one that a
//! write asks for would be stretched by the first read.

use std::time::Duration;

use larder_policy::*;

struct Session {
    ttl: Duration,
}

impl Rules for Session {
    fn describe(settings: &mut Settings) -> Result<(Self, Description), String> {
        let policy = Self { ttl: settings.duration("ttl", hours(1))? };
        let key_version = settings.text("key_version", "v1");
        let description = Description::new(env!("CARGO_PKG_VERSION"))
            .key_version(key_version)
            .shapes(Shapes::VALUE | Shapes::HASH)
            .wants(Wants::RAW_READS);
        Ok((policy, description))
    }

    fn plan(&self, request: &Request) -> Result<Plan, Refusal> {
        match parts(&request.key) {
            Some([_session]) => Ok(Plan::verbatim()),
            None => Err(Refusal::InvalidKey("the key of a session must be `{sessionId}`, one part".into())),
        }
    }

    fn admit(&self, _request: &Request, _candidate: &Candidate) -> Admission {
        Lifetime::fresh(self.ttl).sliding().never_stale().into()
    }
}

export!(Session);

#[cfg(test)]
mod tests {
    use super::*;

    fn session() -> Session {
        Session::describe(&mut Settings::new(vec![])).unwrap().0
    }

    fn request(key: &str) -> Request {
        Request { key: key.into(), operation: Operation::Write, shape: Shape::Value }
    }

    #[test]
    fn a_key_has_one_part() {
        assert_eq!(session().plan(&request("f3a9")), Ok(Plan::verbatim()));
        for key in ["", "a:b", ":"] {
            assert!(matches!(session().plan(&request(key)), Err(Refusal::InvalidKey(_))), "{key}");
        }
    }

    #[test]
    fn a_session_slides_for_an_hour_whatever_was_asked_and_is_never_stale() {
        for asked_ttl_ms in [None, Some(60_000), Some(7_200_000)] {
            let candidate = Candidate {
                cause: Cause::Write,
                size_bytes: 1,
                asked_ttl_ms,
                origin_status: None,
                origin_headers: vec![],
                load_ms: 0,
                bytes: None,
            };
            let wanted = Lifetime { max_stale_ms: Some(0), ..Lifetime::fresh(hours(1)).sliding() };
            assert_eq!(session().admit(&request("f3a9"), &candidate), wanted.into());
        }
    }
}
