//! A policy with the optional interface `revalidation`, which decides as the key says. What it admits is fresh for a moment, then
//! stale for an hour.

use larder_policy::*;

struct Reviser {
    max_stale: bool,
}

impl Rules for Reviser {
    fn describe(settings: &mut Settings) -> Result<(Self, Description), String> {
        let policy = Self { max_stale: settings.flag("max_stale", false)? };
        Ok((policy, Description::new(env!("CARGO_PKG_VERSION")).enveloped()))
    }

    fn plan(&self, _request: &Request) -> Result<Plan, Refusal> {
        Ok(Plan::verbatim())
    }

    fn admit(&self, _request: &Request, _candidate: &Candidate) -> Admission {
        let lifetime = Lifetime::fresh(milliseconds(1)).stale_while_revalidate(hours(1)).stale_if_error(hours(2));
        if self.max_stale { lifetime.never_stale().into() } else { lifetime.into() }
    }
}

impl Revalidation for Reviser {
    fn revalidate(&self, entry: &EntryState) -> Verdict {
        match entry.request.key.as_str() {
            "serve" => Verdict::ServeAndRefresh,
            "extend" => Verdict::Extend(3_600_000),
            "first" => Verdict::LoadFirst,
            "drop" => Verdict::Drop,
            "trap" => panic!("a trap in a verdict, as asked"),
            _ => Verdict::AsStamped,
        }
    }
}

export!(Reviser with revalidation);
