//! Calls of a subject in a window, `rate-limit:{subject}`: a counter that begins with the first call and is gone with its window.
//!
//! `check subject [limit] [cost]` answers whether a call is allowed, and counts it if it is. Never more is allowed than the limit,
//! however many ask at the same time. What is denied costs nothing; only where several calls race for the last of a
//! window does a loser's cost stay counted until the window ends. To take it back could reach into the next window and
//! allow too much there.
//!
//! A subject is any text, with separators too: addresses of IPv6 have them.

use std::time::Duration;

use larder_policy::host::redis;
use larder_policy::*;

struct RateLimit {
    window: Duration,
    limit: u32,
    /// Other limits, by the first part of the subject.
    limits: Vec<(String, u32)>,
}

impl Rules for RateLimit {
    fn describe(settings: &mut Settings) -> Result<(Self, Description), String> {
        let policy = Self {
            window: settings.duration("ttl", seconds(60))?,
            limit: settings.number("limit", 100, 0..=u32::MAX)?,
            limits: limits(&settings.text("limits", ""))?,
        };
        let key_version = settings.text("key_version", "v1");
        let description = Description::new(env!("CARGO_PKG_VERSION"))
            .key_version(key_version)
            .shapes(Shapes::COUNTER)
            .wants(Wants::CANDIDATE_BYTES);
        Ok((policy, description))
    }

    fn plan(&self, _request: &Request) -> Result<Plan, Refusal> {
        Ok(Plan::verbatim())
    }

    fn admit(&self, request: &Request, candidate: &Candidate) -> Admission {
        if request.operation == Operation::Write && !candidate.is_whole_number() {
            return Admission::Refuse(Refusal::InvalidValue("a count is a whole number".into()));
        }
        Lifetime::fresh(self.window).at_most(candidate.asked_ttl()).never_stale().into()
    }
}

impl Workflow for RateLimit {
    fn on_command(&self, command: &str, arguments: &[Vec<u8>]) -> Result<Reply, CommandError> {
        let (subject, limit, cost) = match (command, arguments) {
            ("check", [subject]) => (subject, None, None),
            ("check", [subject, limit]) => (subject, Some(limit), None),
            ("check", [subject, limit, cost]) => (subject, Some(limit), Some(cost)),
            ("check", _) => return argument::usage("check subject [limit] [cost]"),
            _ => return Err(CommandError::Unknown),
        };
        let subject = argument::text(subject)?;
        let limit = limit.map_or(Ok(self.limit_of(subject)), |limit| argument::number(limit, 0..=u32::MAX))?;
        let cost = cost.map_or(Ok(1), |cost| argument::number(cost, 1..=u32::MAX))?;
        self.check(subject, limit.into(), cost.into())
    }
}

impl RateLimit {
    fn check(&self, subject: &str, limit: i64, cost: i64) -> Result<Reply, CommandError> {
        let window_ms = Some(in_ms(self.window));
        let mut used = redis::get(subject)?.map_or(Ok(0), |count| argument::number(&count, i64::MIN..=i64::MAX))?;
        let mut allowed = used.saturating_add(cost) <= limit;
        if allowed {
            used = redis::increment(subject, cost, window_ms)?;
            allowed = used <= limit;
        }
        let reset_ms = match redis::ttl_ms(subject)? {
            None if redis::expire(subject, window_ms)? => window_ms,
            left_ms => left_ms,
        };
        Ok(Reply::fields(&[
            ("allowed", &allowed),
            ("limit", &limit),
            ("remaining", &limit.saturating_sub(used).clamp(0, limit)),
            ("reset_ms", &reset_ms.unwrap_or(0)),
        ]))
    }

    fn limit_of(&self, subject: &str) -> u32 {
        let class = first_part(subject);
        self.limits.iter().find(|(known, _)| known == class).map_or(self.limit, |(_, limit)| *limit)
    }
}

/// `login=5, search=30`.
fn limits(text: &str) -> Result<Vec<(String, u32)>, String> {
    let pairs = text.split(',').map(str::trim).filter(|pair| !pair.is_empty());
    let read = |pair: &str| {
        let (class, limit) = pair.split_once('=')?;
        Some((class.trim().to_owned(), limit.trim().parse().ok()?))
    };
    pairs.map(|pair| read(pair).ok_or_else(|| format!("in `limits`, `{pair}` must be like `login=5`"))).collect()
}

export!(RateLimit with workflow);

#[cfg(test)]
mod tests {
    use super::*;

    fn rate_limit(settings: &[(&str, &str)]) -> Result<RateLimit, String> {
        let table = settings.iter().map(|(name, value)| (name.to_string(), value.to_string())).collect();
        RateLimit::describe(&mut Settings::new(table)).map(|(policy, _)| policy)
    }

    fn admitted(operation: Operation, bytes: &[u8]) -> Admission {
        let candidate = Candidate {
            cause: Cause::Write,
            size_bytes: 1,
            asked_ttl_ms: None,
            origin_status: None,
            origin_headers: vec![],
            load_ms: 0,
            bytes: Some(bytes.into()),
        };
        let request = Request { key: "login:::1".into(), operation, shape: Shape::Counter };
        rate_limit(&[]).unwrap().admit(&request, &candidate)
    }

    #[test]
    fn a_window_is_a_minute_and_holds_counts_alone() {
        let window = Lifetime::fresh(seconds(60)).never_stale();
        assert_eq!(admitted(Operation::Write, b"7"), window.clone().into());
        assert_eq!(admitted(Operation::Update, b""), window.into());
        assert!(matches!(admitted(Operation::Write, b"seven"), Admission::Refuse(Refusal::InvalidValue(_))));
    }

    #[test]
    fn the_first_part_of_a_subject_chooses_its_limit() {
        let policy = rate_limit(&[("limit", "10"), ("limits", "login=5, search=30,")]).unwrap();
        for (subject, limit) in [("login:::1", 5), ("login", 5), ("search:42", 30), ("42", 10), ("logins:1", 10)] {
            assert_eq!(policy.limit_of(subject), limit, "{subject}");
        }
        let refused = rate_limit(&[("limits", "login:5")]).err();
        assert_eq!(refused.as_deref(), Some("in `limits`, `login:5` must be like `login=5`"));
    }

    #[test]
    fn wrong_commands_are_refused_before_anything_is_counted() {
        let policy = rate_limit(&[]).unwrap();
        let refused = |command: &str, arguments: &[&str]| {
            let arguments: Vec<Vec<u8>> = arguments.iter().map(|argument| argument.as_bytes().into()).collect();
            policy.on_command(command, &arguments).unwrap_err()
        };
        assert_eq!(refused("chekc", &["42"]), CommandError::Unknown);
        for arguments in [&[][..], &["42", "many"], &["42", "-1"], &["42", "5", "0"], &["42", "5", "1", "x"]] {
            let error = refused("check", arguments);
            assert!(matches!(error, CommandError::InvalidArguments(_)), "{arguments:?}");
        }
    }
}
