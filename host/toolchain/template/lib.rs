//! The rules of `NAME:{id}`: fresh for an hour, then served stale for five minutes.
//!
//! `plan` and `admit` are asked when something changes (a miss, a write, new rules), never for a hit. Both are pure: the same
//! question has the same answer. `larder policy test` asks them the cases of `NAME.cases.toml`.

use std::time::Duration;

use larder_policy::*;

struct Policy {
    ttl: Duration,
    stale: Duration,
}

impl Rules for Policy {
    /// Reads the settings of `NAME.toml` and says what this policy is. A setting that is not read here is refused.
    fn describe(settings: &mut Settings) -> Result<(Self, Description), String> {
        let policy = Self { ttl: settings.duration("ttl", hours(1))?, stale: settings.duration("stale", minutes(5))? };
        Ok((policy, Description::new(env!("CARGO_PKG_VERSION")).enveloped()))
    }

    /// Where a key is kept, and what a miss does: here, one caller loads the value while others wait for it.
    fn plan(&self, request: &Request) -> Result<Plan, Refusal> {
        match parts(&request.key) {
            Some([_id]) => Ok(Plan::verbatim().lease(seconds(1))),
            None => Err(Refusal::InvalidKey("the key must be `{id}`, one part without `:`".into())),
        }
    }

    /// Whether a value is stored, and how long it lives.
    fn admit(&self, _request: &Request, candidate: &Candidate) -> Admission {
        Lifetime::fresh(self.ttl).at_most(candidate.asked_ttl()).stale_while_revalidate(self.stale).into()
    }
}

export!(Policy);
