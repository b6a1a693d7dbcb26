//! Any key without a domain of its own: what Redis would do. Every shape, the lifetime that was asked for, no
//! waiting, nothing stale.

use larder_policy::*;

struct Default;

impl Rules for Default {
    fn describe(settings: &mut Settings) -> Result<(Self, Description), String> {
        let scopes = [("verbatim", KeyScope::Verbatim), ("domain", KeyScope::Domain)];
        let scope = settings.choice("scope", KeyScope::Verbatim, &scopes)?;
        let description = Description::new(env!("CARGO_PKG_VERSION"))
            .key_version(settings.text("key_version", "v1"))
            .key_scope(scope)
            .shapes(Shapes::all());
        Ok((Self, description))
    }

    fn plan(&self, _request: &Request) -> Result<Plan, Refusal> {
        Ok(Plan::verbatim())
    }

    fn admit(&self, _request: &Request, candidate: &Candidate) -> Admission {
        Lifetime::forever().at_most(candidate.asked_ttl()).never_stale().into()
    }
}

export!(Default);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_value_lives_as_long_as_was_asked() {
        let request = Request { key: "any:key at all".into(), operation: Operation::Write, shape: Shape::Value };
        for asked_ttl_ms in [None, Some(1), Some(u64::MAX)] {
            let candidate = Candidate {
                cause: Cause::Write,
                size_bytes: 1,
                asked_ttl_ms,
                origin_status: None,
                origin_headers: vec![],
                load_ms: 0,
                bytes: None,
            };
            let Admission::Store(lifetime) = Default.admit(&request, &candidate) else { panic!("not stored") };
            assert_eq!(lifetime.fresh_ms, asked_ttl_ms);
        }
    }

    #[test]
    fn the_scope_is_a_setting() {
        let describe =
            |table: Vec<(String, String)>| Default::describe(&mut Settings::new(table)).map(|it| it.1.key_scope);
        assert_eq!(describe(vec![]), Ok(KeyScope::Verbatim));
        assert_eq!(describe(vec![("scope".into(), "domain".into())]), Ok(KeyScope::Domain));
        assert!(describe(vec![("scope".into(), "mine".into())]).is_err());
    }
}
