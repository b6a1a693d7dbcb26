//! A well-behaved policy that is ahead of the host: it exports an optional interface that the host does not serve yet, and must
//! be refused with a clear message instead of never being asked.

use larder_policy::*;

struct Ahead;

impl Rules for Ahead {
    fn describe(_settings: &mut Settings) -> Result<(Self, Description), String> {
        Ok((Self, Description::new(env!("CARGO_PKG_VERSION"))))
    }

    fn plan(&self, _request: &Request) -> Result<Plan, Refusal> {
        Ok(Plan::verbatim())
    }

    fn admit(&self, _request: &Request, candidate: &Candidate) -> Admission {
        Lifetime::forever().at_most(candidate.asked_ttl()).into()
    }
}

impl Revalidation for Ahead {
    fn revalidate(&self, _entry: &EntryState) -> Verdict {
        Verdict::AsStamped
    }
}

export!(Ahead with revalidation);
