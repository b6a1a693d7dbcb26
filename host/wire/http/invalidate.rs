//! `POST /v1/invalidate`: several selectors in one request, or a step of one that looks through the store.

use std::sync::Arc;

use axum::extract::{Request, State as Of};
use axum::response::Response;
use serde::{Deserialize, Serialize};

use super::app::Shared;
use super::body;
use super::caller::Caller;
use super::entry::{json, json_of};
use super::errors::{Problem, ProblemKind};
use super::locks::{present, whole_number};
use crate::config::users::Role;
use crate::engine::scan::{InvalidateStep, Invalidated};
use crate::error::ErrorKind;
use crate::limits::{SELECTORS_BYTES_MAX, SELECTORS_MAX};
use crate::ports::invalidation::{Mode, SelectorKind};
use crate::ports::policy::Selector;
use crate::ports::table::DEFAULT_DOMAIN;

/// What is asked.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Asked {
    selectors: Vec<AskedSelector>,
    #[serde(default, deserialize_with = "present")]
    mode: Option<Mode>,
    /// Makes it a step of so many keys of the store, about.
    #[serde(default, deserialize_with = "whole_number")]
    count: Option<u64>,
    #[serde(default, deserialize_with = "present")]
    cursor: Option<String>,
}

/// All that is asked, understood.
#[derive(Debug)]
struct Wanted {
    targets: Vec<Target>,
    mode: Mode,
    /// Then there is one target.
    step: Option<InvalidateStep>,
}

/// One selector: a domain, and at most one of the others; or a key alone.
#[derive(Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
struct AskedSelector {
    #[serde(deserialize_with = "present")]
    domain: Option<String>,
    #[serde(deserialize_with = "present")]
    key: Option<String>,
    #[serde(deserialize_with = "present")]
    tag: Option<String>,
    #[serde(deserialize_with = "present")]
    prefix: Option<String>,
    #[serde(deserialize_with = "present")]
    pattern: Option<String>,
}

/// What is to be invalidated.
#[derive(Debug)]
enum Target {
    /// A key, as applications say it.
    Name(String),
    /// Something within a domain.
    Within(String, Selector),
}

/// What became of one selector.
#[derive(Serialize)]
pub(super) struct Done {
    /// The domain.
    pub(super) domain: String,
    /// What was selected.
    pub(super) kind: &'static str,
    /// How hard.
    pub(super) mode: &'static str,
    /// How many keys it concerned, where that is known.
    pub(super) keys: Option<u64>,
}

/// What became of a step.
#[derive(Serialize)]
struct Stepped {
    invalidated: [Done; 1],
    seen: u64,
    total: Option<u64>,
    cursor: Option<String>,
}

/// `POST /v1/invalidate`.
pub(super) async fn invalidate(Of(shared): Of<Arc<Shared>>, request: Request) -> Result<Response, Problem> {
    let caller = Caller::of(&request);
    let bytes = body::read(request.into_body(), &shared.bodies).await?;
    let Wanted { targets, mode, step } = parse(&bytes)?;
    for target in &targets {
        target.check(&shared, &caller)?;
    }
    if let (Some(step), [Target::Within(domain, selector)]) = (&step, &targets[..]) {
        let Invalidated { keys, seen, total, cursor } =
            shared.engine.invalidate_step(domain, selector, mode, step).await?;
        let done = Done { domain: domain.clone(), kind: selector.kind().as_str(), mode: mode.as_str(), keys };
        return json(&Stepped { invalidated: [done], seen, total, cursor });
    }
    let mut invalidated = Vec::with_capacity(targets.len());
    let count = targets.len();
    for (n, target) in targets.into_iter().enumerate() {
        let (domain, kind) = (target.domain(&shared), target.kind().as_str());
        let outcome = match &target {
            Target::Name(key) => shared.engine.invalidate_name(key.as_bytes(), mode).await,
            Target::Within(domain, selector) => shared.engine.invalidate(domain, selector, mode).await,
        };
        let outcome = outcome.map_err(|error| {
            let place = format!("selector {} of {count} ({kind} of '{domain}'), those before it are done: ", n + 1);
            let mut problem = Problem::from(error);
            problem.detail.insert_str(0, &place);
            problem
        })?;
        invalidated.push(Done { domain, kind, mode: mode.as_str(), keys: outcome.keys });
    }
    json_of("invalidated", &invalidated)
}

impl Target {
    /// # Errors
    /// The caller may not.
    fn check(&self, shared: &Shared, caller: &Caller) -> Result<(), Problem> {
        match self {
            Self::Name(key) => caller.may_on_key(shared, Role::Write, key.as_bytes()),
            Self::Within(domain, Selector::Domain) => caller.may_in(shared, Role::Admin, Some(domain)),
            Self::Within(domain, _) => caller.may_in(shared, Role::Write, Some(domain)),
        }
    }

    const fn kind(&self) -> SelectorKind {
        match self {
            Self::Name(_) => SelectorKind::Key,
            Self::Within(_, selector) => selector.kind(),
        }
    }

    /// The domain; of a key that which serves it.
    fn domain(&self, shared: &Shared) -> String {
        match self {
            Self::Within(domain, _) => domain.clone(),
            Self::Name(key) => {
                let first = key.split_once(char::from(shared.separator)).map(|(first, _)| first);
                first.filter(|first| shared.engine.is_served(first)).unwrap_or(DEFAULT_DOMAIN).to_owned()
            }
        }
    }
}

fn invalid(detail: impl Into<String>) -> Problem {
    Problem::new(ProblemKind::Error(ErrorKind::InvalidArgument), detail)
}

/// # Errors
/// The body is not what the route describes.
fn parse(bytes: &[u8]) -> Result<Wanted, Problem> {
    if bytes.len() > SELECTORS_BYTES_MAX {
        let detail = format!("{} bytes of selectors; {SELECTORS_BYTES_MAX} are allowed", bytes.len());
        return Err(Problem::new(ProblemKind::BodyTooLarge, detail));
    }
    let asked: Asked = serde_json::from_slice(bytes).map_err(|error| invalid(format!("the body: {error}")))?;
    let count = asked.selectors.len();
    if !(1..=SELECTORS_MAX).contains(&count) {
        return Err(invalid(format!("{count} selectors; 1 to {SELECTORS_MAX} are allowed")));
    }
    let targets = asked.selectors.into_iter().map(AskedSelector::selector).collect::<Result<_, _>>()?;
    let step = match (asked.count, asked.cursor) {
        (None, None) => None,
        (Some(_), _) if count != 1 => return Err(invalid("a step is of one selector")),
        // More than a machine can count is more than a step may be, either way.
        (Some(count), cursor) => Some(InvalidateStep { cursor, count: usize::try_from(count).unwrap_or(usize::MAX) }),
        (None, Some(_)) => return Err(invalid("a step with a cursor says with `count` how many keys it looks at")),
    };
    Ok(Wanted { targets, mode: asked.mode.unwrap_or(Mode::Hard), step })
}

impl AskedSelector {
    fn selector(self) -> Result<Target, Problem> {
        let selector = match (self.key, self.tag, self.prefix, self.pattern) {
            (Some(key), None, None, None) => match self.domain {
                Some(domain) => return Ok(Target::Within(domain, Selector::Key(key))),
                None => return Ok(Target::Name(key)),
            },
            (None, Some(tag), None, None) => Selector::Tag(tag),
            (None, None, Some(prefix), None) => Selector::Prefix(prefix),
            (None, None, None, Some(pattern)) => Selector::Pattern(pattern),
            (None, None, None, None) => Selector::Domain,
            _ => return Err(invalid("a selector has one of key, tag, prefix and pattern, or none of them")),
        };
        let missing = || invalid("a selector names a domain, or a key as applications say it");
        Ok(Target::Within(self.domain.ok_or_else(missing)?, selector))
    }
}

#[cfg(test)]
mod tests {
    use super::{Wanted, parse};

    #[track_caller]
    fn check(body: &str, expect: &str) {
        let found = match parse(body.as_bytes()) {
            Ok(Wanted { targets, mode, step: None }) => format!("{} {targets:?}", mode.as_str()),
            Ok(wanted) => format!("{wanted:?}"),
            Err(problem) => problem.detail,
        };
        assert!(found.contains(expect), "{body}: {found}");
    }

    #[test]
    fn bodies() {
        check(r#"{"selectors":[{"domain":"d","tag":"t"}]}"#, r#"hard [Within("d", Tag("t"))]"#);
        check(
            r#"{"selectors":[{"domain":"d"},{"domain":"e","key":"k"}],"mode":"soft"}"#,
            r#"soft [Within("d", Domain), Within("e", Key("k"))]"#,
        );
        check(
            r#"{"selectors":[{"domain":"d","prefix":"p"},{"domain":"d","pattern":"*"}]}"#,
            r#"Prefix("p")), Within("d", Pattern("*")"#,
        );
        check(r#"{"selectors":[{"domain":"d","tag":"t","key":"k"}]}"#, "one of key, tag");
        check(r#"{"selectors":[{"key":"e:k"}]}"#, r#"hard [Name("e:k")]"#);
        check(r#"{"selectors":[{"tag":"t"}]}"#, "names a domain, or a key");
        check(r#"{"selectors":[{"domain":null,"key":"k"}]}"#, "invalid type: null");
        check(r#"{"selectors":[{"domain":"d","tags":"t"}]}"#, "unknown field `tags`");
        check(r#"{"selectors":[{"domain":"d"}],"count":9}"#, "step: Some(InvalidateStep { cursor: None, count: 9 })");
        check(r#"{"selectors":[{"domain":"d"}],"count":9,"cursor":"c"}"#, r#"{ cursor: Some("c"), count: 9 })"#);
        check(r#"{"selectors":[{"domain":"d"}],"cursor":"c"}"#, "says with `count`");
        check(r#"{"selectors":[{"domain":"d"},{"domain":"e"}],"count":9}"#, "of one selector");
        check(r#"{"selectors":[{"domain":"d"}],"count":9.0}"#, "count: 9 })");
        check(r#"{"selectors":[{"domain":"d"}],"count":-1}"#, "not a whole number");
        check(r#"{"selectors":[{"domain":"d"}],"count":null}"#, "null is not a whole number");
        check(r#"{"selectors":[]}"#, "0 selectors");
        check(r#"{"selectors":[{"domain":"d"}],"mode":"softly"}"#, "unknown variant `softly`");
        check("", "the body: EOF");
        check(&" ".repeat(3 << 20), "3145728 bytes of selectors");
        check(&format!(r#"{{"selectors":[{}]}}"#, vec![r#"{"domain":"d"}"#; 1001].join(",")), "1001 selectors");
    }
}
