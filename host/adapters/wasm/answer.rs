//! What a policy answered, checked for what the engine need not see: too large, or no sense in it.

use super::bindings::types as wit;
use super::fault::failed;
use super::imports::one_line;
use crate::limits;
use crate::ports::hooks::{Abilities, Ability};
use crate::ports::policy::{Admission, Description, Encoding, Fault, KeyScope, Plan, PolicyError, Refusal, Selector};
use crate::ports::table::DEFAULT_DOMAIN;

/// A plan or a refusal. The suffix's characters are the engine's to check.
///
/// # Errors
/// A refusal; an answer that is too large.
pub(super) fn plan(answer: Result<wit::Plan, wit::Refusal>) -> Result<Plan, PolicyError> {
    let plan = answer.map_err(|it| PolicyError::Refused(refusal(it.into())))?;
    match &plan.suffix {
        Some(suffix) if suffix.len() > limits::SUFFIX_BYTES_MAX => {
            Err(bad(format!("its suffix has {} bytes; {} are allowed", suffix.len(), limits::SUFFIX_BYTES_MAX)))
        }
        _ => Ok(plan.into()),
    }
}

/// An admission.
///
/// # Errors
/// An answer that is too large or makes no sense.
pub(super) fn admission(answer: wit::Admission, encoding: Encoding) -> Result<Admission, PolicyError> {
    let tags = match &answer {
        wit::Admission::Store(lifetime) => {
            let beta = lifetime.early_refresh_beta;
            if !beta.is_finite() || beta < 0.0 {
                return Err(bad(format!("its early-refresh-beta is {beta}")));
            }
            if lifetime.jitter_percent > 100 {
                return Err(bad(format!("its jitter-percent is {}", lifetime.jitter_percent)));
            }
            &lifetime.tags
        }
        wit::Admission::Absent(absence) => &absence.tags,
        wit::Admission::Pass(_) => return Ok(answer.into()),
        wit::Admission::Refuse(_) => {
            return Ok(match answer.into() {
                Admission::Refuse(it) => Admission::Refuse(refusal(it)),
                other => other,
            });
        }
    };
    check_tags(tags, encoding)?;
    Ok(answer.into())
}

/// What an event makes out of date, or why the policy will not have it.
///
/// # Errors
/// An answer that is too large.
pub(super) fn selectors(
    answer: Result<Vec<wit::Selector>, String>,
) -> Result<Result<Vec<Selector>, String>, PolicyError> {
    let selectors: Vec<Selector> = match answer {
        Ok(selectors) => selectors.into_iter().map(Selector::from).collect(),
        Err(text) => return Ok(Err(one_line(text, limits::REFUSAL_BYTES_MAX))),
    };
    if selectors.len() > limits::EVENT_SELECTORS_MAX {
        return Err(bad(format!(
            "it gave {} selectors for one event; {} are allowed",
            selectors.len(),
            limits::EVENT_SELECTORS_MAX
        )));
    }
    let long = |selector: &&Selector| match selector {
        Selector::Key(text) | Selector::Tag(text) | Selector::Prefix(text) | Selector::Pattern(text) => {
            text.is_empty() || text.len() > limits::SUFFIX_BYTES_MAX
        }
        Selector::Domain => false,
    };
    match selectors.iter().find(long) {
        Some(_) => Err(bad(format!("it gave a selector that is empty or over {} bytes", limits::SUFFIX_BYTES_MAX))),
        None => Ok(Ok(selectors)),
    }
}

/// Keys to load before anybody asks.
///
/// # Errors
/// An answer that is too large.
pub(super) fn warm_keys(keys: Vec<String>) -> Result<Vec<String>, PolicyError> {
    if keys.len() > limits::WARM_KEYS_MAX {
        return Err(bad(format!("it gave {} keys to warm; {} are allowed", keys.len(), limits::WARM_KEYS_MAX)));
    }
    Ok(keys)
}

/// What a policy says of itself, or why it makes no sense.
///
/// # Errors
/// In words for the policy's author.
pub(super) fn description(
    description: wit::Description,
    domain: &str,
    abilities: Abilities,
) -> Result<Description, String> {
    let description: Description = description.into();
    for (what, word) in [("version", &description.version), ("key-version", &description.key_version)] {
        let plain = |c: u8| matches!(c, b'a'..=b'z' | b'0'..=b'9' | b'.' | b'_' | b'-');
        if word.is_empty() || word.len() > limits::DOMAIN_BYTES_MAX || !word.bytes().all(plain) {
            return Err(format!(
                "its {what} is '{}'; it is made of a-z, 0-9, '.', '_' and '-', 1 to {} of them",
                word.escape_debug(),
                limits::DOMAIN_BYTES_MAX
            ));
        }
    }
    if description.key_scope == KeyScope::Verbatim && domain != DEFAULT_DOMAIN {
        return Err(format!("its key-scope is verbatim, which only the domain `{DEFAULT_DOMAIN}` may ask for"));
    }
    if description.shapes == crate::ports::policy::Shapes::default() {
        return Err("it serves no shape at all".to_owned());
    }
    if description.encoding == Encoding::Raw && description.wants_all_origin_headers {
        return Err(
            "it wants the origin's headers, which raw values cannot keep; use the encoding enveloped".to_owned()
        );
    }
    match description.tick_ms {
        Some(_) if !abilities.contains(Ability::Workflow) => {
            Err("it asks for ticks, but exports no workflow that would get them".to_owned())
        }
        Some(ms) if ms < limits::TICK_PERIOD_MS_MIN => {
            Err(format!("it asks for a tick every {ms} ms; every {} ms is the most often", limits::TICK_PERIOD_MS_MIN))
        }
        _ => Ok(()),
    }?;
    Ok(description)
}

fn check_tags(tags: &[String], encoding: Encoding) -> Result<(), PolicyError> {
    if tags.len() > limits::TAGS_MAX {
        return Err(bad(format!("it gave {} tags; {} are allowed", tags.len(), limits::TAGS_MAX)));
    }
    if !tags.is_empty() && encoding == Encoding::Raw {
        return Err(bad("it gave tags, which raw values cannot keep; use the encoding enveloped"));
    }
    if let Some(tag) = tags.iter().find(|tag| tag.is_empty() || tag.len() > limits::TAG_BYTES_MAX) {
        return Err(bad(format!("a tag has {} bytes; 1 to {} are allowed", tag.len(), limits::TAG_BYTES_MAX)));
    }
    Ok(())
}

fn refusal(refusal: Refusal) -> Refusal {
    let line = |text| one_line(text, limits::REFUSAL_BYTES_MAX);
    match refusal {
        Refusal::InvalidKey(text) => Refusal::InvalidKey(line(text)),
        Refusal::Unsupported(text) => Refusal::Unsupported(line(text)),
        Refusal::InvalidValue(text) => Refusal::InvalidValue(line(text)),
        Refusal::Other(text) => Refusal::Other(line(text)),
    }
}

fn bad(message: impl Into<String>) -> PolicyError {
    failed(Fault::BadAnswer, message)
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;

    fn described(change: impl FnOnce(&mut wit::Description)) -> Result<Description, String> {
        let mut it = wit::Description {
            version: "1.2.3-rc_1".into(),
            key_version: "v1".into(),
            key_scope: wit::KeyScope::Domain,
            encoding: wit::Encoding::Raw,
            shapes: wit::Shapes::VALUE,
            wants: wit::Wants::empty(),
            tick_ms: None,
        };
        change(&mut it);
        description(it, "profile", Abilities::default())
    }

    #[test]
    fn a_description_must_make_sense() {
        assert!(described(|_| ()).is_ok());
        for (change, words) in [
            ((|it| it.version = "1.0 beta".into()) as fn(&mut wit::Description), "its version is '1.0 beta'"),
            (|it| it.key_version = String::new(), "its key-version is ''"),
            (|it| it.key_version = "a:b".into(), "its key-version is 'a:b'"),
            (|it| it.key_scope = wit::KeyScope::Verbatim, "only the domain `default`"),
            (|it| it.shapes = wit::Shapes::empty(), "no shape"),
            (|it| it.wants = wit::Wants::ALL_ORIGIN_HEADERS, "enveloped"),
            (|it| it.tick_ms = Some(1), "ticks"),
        ] {
            let error = described(change).expect_err(words);
            assert!(error.contains(words), "{error}");
        }
    }

    fn stored(change: impl FnOnce(&mut wit::Lifetime), encoding: Encoding) -> Result<Admission, PolicyError> {
        let mut lifetime = wit::Lifetime {
            fresh_ms: None,
            stale_while_revalidate_ms: 0,
            stale_if_error_ms: 0,
            keep_ms: 0,
            max_stale_ms: None,
            early_refresh_beta: 0.0,
            jitter_percent: 0,
            l1_ms: None,
            sliding: false,
            list_max: None,
            compression: wit::Compression::Automatic,
            weight_percent: 100,
            tags: Vec::new(),
        };
        change(&mut lifetime);
        admission(wit::Admission::Store(lifetime), encoding)
    }

    #[track_caller]
    pub(in crate::adapters::wasm) fn is_bad<T: std::fmt::Debug>(answer: Result<T, PolicyError>, words: &str) {
        match answer {
            Err(PolicyError::Failed { fault: Fault::BadAnswer, message }) => {
                assert!(message.contains(words), "{message}");
            }
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn answers_are_bounded() {
        assert!(stored(|it| it.tags = vec!["a".into(); limits::TAGS_MAX], Encoding::Enveloped).is_ok());
        is_bad(stored(|it| it.tags = vec!["a".into(); limits::TAGS_MAX + 1], Encoding::Enveloped), "tags");
        is_bad(stored(|it| it.tags = vec!["a".into()], Encoding::Raw), "raw");
        is_bad(stored(|it| it.tags = vec!["a".repeat(limits::TAG_BYTES_MAX + 1)], Encoding::Enveloped), "bytes");
        is_bad(stored(|it| it.early_refresh_beta = f32::NAN, Encoding::Raw), "NaN");
        is_bad(stored(|it| it.early_refresh_beta = -1.0, Encoding::Raw), "-1");
        is_bad(stored(|it| it.jitter_percent = 101, Encoding::Raw), "101");
        let long = wit::Plan {
            suffix: Some("x".repeat(limits::SUFFIX_BYTES_MAX + 1)),
            miss: wit::Miss::Answer,
            collapse_wait_ms: 0,
        };
        is_bad(plan(Ok(long)), "suffix");
    }

    #[test]
    fn a_refusal_is_one_bounded_line() {
        let said = wit::Refusal::Other(format!("a\nb{}", "x".repeat(limits::REFUSAL_BYTES_MAX)));
        match plan(Err(said)) {
            Err(PolicyError::Refused(Refusal::Other(text))) => {
                assert!(text.starts_with("a b") && text.len() <= limits::REFUSAL_BYTES_MAX + '…'.len_utf8());
            }
            other => panic!("{other:?}"),
        }
    }
}
