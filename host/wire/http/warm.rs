//! `POST /v1/warm`: one step of a warming.

use std::sync::Arc;

use axum::extract::{Request, State as Of};
use axum::response::Response;
use serde::Deserialize;

use super::app::Shared;
use super::body;
use super::caller::Caller;
use super::entry::json;
use super::errors::{Problem, ProblemKind};
use crate::config::users::Role;
use crate::engine::warm::{WarmSource, WarmStep};
use crate::error::ErrorKind;
use crate::limits::{SELECTORS_BYTES_MAX, WARM_STEP_KEYS_MAX};

/// What is asked.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Asked {
    domain: String,
    keys: Option<Vec<String>>,
    version: Option<String>,
    pattern: Option<String>,
    cursor: Option<String>,
    count: Option<usize>,
}

/// `POST /v1/warm`.
pub(super) async fn warm(Of(shared): Of<Arc<Shared>>, request: Request) -> Result<Response, Problem> {
    let caller = Caller::of(&request);
    let bytes = body::read(request.into_body(), &shared.bodies).await?;
    let (domain, step) = parse(&bytes)?;
    caller.may_in(&shared, Role::Admin, Some(&domain))?;
    json(&shared.engine.warm(&domain, &step).await?)
}

/// # Errors
/// The body is not what the route describes.
fn parse(bytes: &[u8]) -> Result<(String, WarmStep), Problem> {
    let invalid = |detail: String| Problem::new(ProblemKind::Error(ErrorKind::InvalidArgument), detail);
    if bytes.len() > SELECTORS_BYTES_MAX {
        let detail = format!("{} bytes of keys; {SELECTORS_BYTES_MAX} are allowed", bytes.len());
        return Err(Problem::new(ProblemKind::BodyTooLarge, detail));
    }
    let asked: Asked = serde_json::from_slice(bytes).map_err(|error| invalid(format!("the body: {error}")))?;
    let mut count = asked.count.unwrap_or(500);
    let source = match (asked.keys, asked.version, asked.pattern) {
        (Some(keys), None, None) if (1..=WARM_STEP_KEYS_MAX).contains(&keys.len()) => {
            count = WARM_STEP_KEYS_MAX;
            WarmSource::Keys(keys)
        }
        (Some(keys), None, None) => {
            return Err(invalid(format!("{} keys; 1 to {WARM_STEP_KEYS_MAX} are allowed", keys.len())));
        }
        (None, Some(version), pattern) => {
            WarmSource::Version { version, pattern: pattern.unwrap_or_else(|| "*".to_owned()) }
        }
        (None, None, None) => WarmSource::Policy,
        _ => return Err(invalid("it has either `keys`, or `version` and `pattern`, or none of them".to_owned())),
    };
    Ok((asked.domain, WarmStep { source, cursor: asked.cursor, count }))
}

#[cfg(test)]
mod tests {
    use super::parse;

    #[track_caller]
    fn check(body: &str, expect: &str) {
        let found = parse(body.as_bytes()).map_or_else(|problem| problem.detail, |found| format!("{found:?}"));
        assert!(found.contains(expect), "{body}: {found}");
    }

    #[test]
    fn bodies() {
        check(r#"{"domain":"d"}"#, r#"("d", WarmStep { source: Policy, cursor: None, count: 500 })"#);
        check(r#"{"domain":"d","keys":["a"]}"#, r#"source: Keys(["a"])"#);
        check(
            r#"{"domain":"d","version":"v1","cursor":"7","count":9}"#,
            r#"pattern: "*" }, cursor: Some("7"), count: 9"#,
        );
        check(r#"{"domain":"d","pattern":"*"}"#, "either `keys`");
        check(r#"{"domain":"d","keys":["a"],"version":"v1"}"#, "either `keys`");
        check(r#"{"domain":"d","keys":[]}"#, "0 keys; 1 to 1000");
        check(r#"{"keys":[]}"#, "missing field `domain`");
        check("", "the body: EOF");
        check(&" ".repeat(3 << 20), "bytes of keys");
    }
}
