//! What went wrong, as HTTP says it: one table from kinds to status codes, and the problem document (RFC 9457).
//!
//! A document names the kind in `type` (`urn:larder:problem:…`, the word of logs and metrics), who can do something about it in
//! `blame`, and in `retry` whether the same request may succeed later by itself.

use axum::body::Body;
use axum::http::header::{CACHE_CONTROL, CONNECTION, CONTENT_TYPE, RETRY_AFTER, WWW_AUTHENTICATE};
use axum::http::{HeaderMap, HeaderName, HeaderValue, StatusCode};
use axum::response::{IntoResponse, Response};
use serde::Serialize;

use crate::error::{Blame, Error, ErrorKind};
use crate::ports::registry::RegistryError;

/// The media type of a problem document.
pub(super) const PROBLEM_JSON: &str = "application/problem+json";

/// What went wrong: the engine's kinds, and those that only HTTP has.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum ProblemKind {
    /// The engine's error.
    Error(ErrorKind),
    /// The key is absent.
    Absent,
    /// There is nothing to answer without a load, and the caller forbids that.
    NotCached,
    /// No route has this path.
    UnknownPath,
    /// The path does not know the method.
    MethodNotAllowed,
    /// `If-Match` or `If-None-Match` did not hold.
    Unmet,
    /// The body is larger than the bound.
    BodyTooLarge,
    /// The body did not come, or came too slowly.
    BodyTimeout,
    /// The body ended early or broke the framing.
    BodyBroken,
    /// The body has a content coding.
    Encoded,
    /// A web page of another site wants to change something.
    CrossSite,
    /// The domain has no earlier policy.
    NothingToRollBack,
    /// The domain has nothing in quarantine.
    NothingInQuarantine,
    /// The policy's file is still in the folder.
    FileExists,
    /// Somebody else holds the lock.
    Locked,
    /// The token does not hold the lock.
    NotHeld,
    /// Nobody holds the lock.
    NotLocked,
    /// There is no breaker of this name.
    UnknownBreaker,
    /// The host cannot serve yet, or not any more.
    NotReady,
    /// The host is going down.
    ShuttingDown,
    /// Nobody knows who the caller is.
    Unauthenticated,
    /// The caller may not.
    Forbidden,
    /// The caller asks too often, or guesses.
    TooManyRequests,
}

/// One row of the table.
#[derive(Clone, Copy, Debug)]
pub(super) struct Row {
    /// The last part of the type.
    pub(super) slug: &'static str,
    /// The status code.
    pub(super) status: StatusCode,
    /// In a few words, the same for every occurrence.
    pub(super) title: &'static str,
    /// Who can do something about it.
    pub(super) blame: Blame,
    /// Whether the same request may succeed later by itself.
    pub(super) retry: bool,
}

impl ProblemKind {
    /// All of them.
    pub(super) const ALL: [Self; 39] = [
        Self::Error(ErrorKind::InvalidKey),
        Self::Error(ErrorKind::InvalidValue),
        Self::Error(ErrorKind::InvalidArgument),
        Self::Error(ErrorKind::UnknownDomain),
        Self::Error(ErrorKind::Unsupported),
        Self::Error(ErrorKind::Refused),
        Self::Error(ErrorKind::StoreReply),
        Self::Error(ErrorKind::StoreUnavailable),
        Self::Error(ErrorKind::StoreTimeout),
        Self::Error(ErrorKind::StoreData),
        Self::Error(ErrorKind::OriginUnavailable),
        Self::Error(ErrorKind::OriginFailed),
        Self::Error(ErrorKind::OriginTimeout),
        Self::Error(ErrorKind::PolicyFailed),
        Self::Error(ErrorKind::PolicyUnavailable),
        Self::Error(ErrorKind::Overloaded),
        Self::Error(ErrorKind::Internal),
        Self::Absent,
        Self::NotCached,
        Self::UnknownPath,
        Self::MethodNotAllowed,
        Self::Unmet,
        Self::BodyTooLarge,
        Self::BodyTimeout,
        Self::BodyBroken,
        Self::Encoded,
        Self::CrossSite,
        Self::NothingToRollBack,
        Self::NothingInQuarantine,
        Self::FileExists,
        Self::Locked,
        Self::NotHeld,
        Self::NotLocked,
        Self::UnknownBreaker,
        Self::NotReady,
        Self::ShuttingDown,
        Self::Unauthenticated,
        Self::Forbidden,
        Self::TooManyRequests,
    ];

    /// What HTTP makes of it: the table.
    #[must_use]
    pub(super) const fn row(self) -> Row {
        use StatusCode as S;
        let (slug, status, title) = match self {
            Self::Error(kind) => {
                let (status, title) = engine_row(kind);
                return Row { slug: kind.as_str(), status, title, blame: kind.blame(), retry: kind.retry() };
            }
            Self::NotReady => return unavailable("not-ready", "The host is not ready"),
            Self::Locked => {
                let (status, title) = (S::CONFLICT, "Somebody else holds the lock");
                return Row { slug: "locked", status, title, blame: Blame::Caller, retry: true };
            }
            Self::TooManyRequests => {
                let (status, title) = (S::TOO_MANY_REQUESTS, "Too many requests");
                return Row { slug: "too-many-requests", status, title, blame: Blame::Caller, retry: true };
            }
            Self::ShuttingDown => return unavailable("shutting-down", "The host is going down"),
            Self::Unauthenticated => ("unauthenticated", S::UNAUTHORIZED, "It is not known who you are"),
            Self::Forbidden => ("forbidden", S::FORBIDDEN, "You may not do this"),
            Self::Absent => ("absent", S::NOT_FOUND, "There is no such key"),
            Self::NotCached => ("not-cached", S::GATEWAY_TIMEOUT, "Nothing that may be given is cached"),
            Self::UnknownPath => ("unknown-path", S::NOT_FOUND, "There is no such path"),
            Self::MethodNotAllowed => {
                ("method-not-allowed", S::METHOD_NOT_ALLOWED, "The path does not know the method")
            }
            Self::Unmet => ("unmet", S::PRECONDITION_FAILED, "The condition does not hold"),
            Self::BodyTooLarge => ("body-too-large", S::PAYLOAD_TOO_LARGE, "The body is too large"),
            Self::BodyTimeout => ("body-timeout", S::REQUEST_TIMEOUT, "The body did not come in time"),
            Self::BodyBroken => ("body-broken", S::BAD_REQUEST, "The body is not complete"),
            Self::Encoded => ("encoded", S::UNSUPPORTED_MEDIA_TYPE, "The body has a content coding"),
            Self::CrossSite => ("cross-site", S::FORBIDDEN, "A page of another site may not change anything"),
            Self::NothingToRollBack => ("nothing-to-roll-back", S::CONFLICT, "There is no earlier policy"),
            Self::NothingInQuarantine => ("nothing-in-quarantine", S::CONFLICT, "Nothing is in quarantine"),
            Self::FileExists => ("file-exists", S::CONFLICT, "The policy's file is still in the folder"),
            Self::NotHeld => ("not-held", S::CONFLICT, "The token does not hold the lock"),
            Self::UnknownBreaker => ("unknown-breaker", S::NOT_FOUND, "There is no such breaker"),
            Self::NotLocked => ("not-locked", S::NOT_FOUND, "Nobody holds the lock"),
        };
        Row { slug, status, title, blame: Blame::Caller, retry: false }
    }
}

/// The host's own state stands against it, for now.
const fn unavailable(slug: &'static str, title: &'static str) -> Row {
    Row { slug, status: StatusCode::SERVICE_UNAVAILABLE, title, blame: Blame::Host, retry: true }
}

/// What HTTP makes of an error of the engine.
const fn engine_row(kind: ErrorKind) -> (StatusCode, &'static str) {
    use StatusCode as S;
    match kind {
        ErrorKind::InvalidKey => (S::BAD_REQUEST, "The key is invalid"),
        ErrorKind::InvalidValue => (S::BAD_REQUEST, "The value is invalid"),
        ErrorKind::InvalidArgument => (S::BAD_REQUEST, "An argument is invalid"),
        ErrorKind::UnknownDomain => (S::NOT_FOUND, "No policy serves the domain"),
        ErrorKind::Unsupported => (S::UNPROCESSABLE_ENTITY, "The domain does not serve this"),
        ErrorKind::Refused => (S::UNPROCESSABLE_ENTITY, "The policy refused"),
        ErrorKind::StoreReply => (S::CONFLICT, "The store answered with an error"),
        ErrorKind::StoreUnavailable => (S::SERVICE_UNAVAILABLE, "The store cannot be reached"),
        ErrorKind::StoreTimeout => (S::GATEWAY_TIMEOUT, "The store did not answer in time"),
        ErrorKind::StoreData => (S::BAD_GATEWAY, "The stored bytes are not of this host"),
        ErrorKind::OriginUnavailable => (S::SERVICE_UNAVAILABLE, "The origin cannot be asked now"),
        ErrorKind::OriginFailed => (S::BAD_GATEWAY, "The origin failed"),
        ErrorKind::OriginTimeout => (S::GATEWAY_TIMEOUT, "The origin did not answer in time"),
        ErrorKind::PolicyFailed => (S::INTERNAL_SERVER_ERROR, "The policy failed"),
        ErrorKind::PolicyUnavailable => (S::SERVICE_UNAVAILABLE, "The policy cannot do it now"),
        ErrorKind::Overloaded => (S::SERVICE_UNAVAILABLE, "A bound of the host is reached"),
        ErrorKind::Internal => (S::INTERNAL_SERVER_ERROR, "A defect of the host"),
    }
}

/// An answer that says what went wrong.
#[derive(Debug)]
pub(super) struct Problem {
    /// What went wrong.
    pub(super) kind: ProblemKind,
    /// What exactly, and what to do.
    pub(super) detail: String,
    more: Vec<(HeaderName, HeaderValue)>,
}

/// The document (RFC 9457 §3.1 and two members of our own).
#[derive(Serialize)]
struct Document<'a> {
    r#type: String,
    title: &'a str,
    status: u16,
    detail: &'a str,
    blame: &'a str,
    retry: bool,
}

impl Problem {
    /// A problem of this kind; `detail` says what exactly and what to do.
    pub(super) fn new(kind: ProblemKind, detail: impl Into<String>) -> Self {
        Self { kind, detail: detail.into(), more: Vec::new() }
    }

    /// With one more header.
    #[must_use]
    pub(super) fn with_header(mut self, name: HeaderName, value: HeaderValue) -> Self {
        self.more.push((name, value));
        self
    }

    fn headers(&self, row: &Row) -> HeaderMap {
        let mut headers = HeaderMap::with_capacity(5);
        headers.insert(CONTENT_TYPE, HeaderValue::from_static(PROBLEM_JSON));
        // A 404 may be stored by heuristics (RFC 9110 §15.5.5), and the next PUT would not be seen.
        headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
        if row.retry {
            headers.insert(RETRY_AFTER, HeaderValue::from_static("1"));
        }
        // The rest of the body is not read, so the connection ends: say so, or the client's next request is lost.
        if matches!(self.kind, ProblemKind::BodyTooLarge | ProblemKind::BodyTimeout | ProblemKind::BodyBroken) {
            headers.insert(CONNECTION, HeaderValue::from_static("close"));
        }
        if self.kind == ProblemKind::Unauthenticated {
            // RFC 9110 §15.5.2: a 401 says how to do better.
            headers
                .insert(WWW_AUTHENTICATE, HeaderValue::from_static("Bearer realm=\"larder\", Basic realm=\"larder\""));
        }
        for (name, value) in &self.more {
            headers.insert(name.clone(), value.clone());
        }
        headers
    }
}

impl From<Error> for Problem {
    fn from(error: Error) -> Self {
        Self::new(ProblemKind::Error(error.kind), error.message)
    }
}

impl From<RegistryError> for Problem {
    fn from(error: RegistryError) -> Self {
        let kind = match &error {
            RegistryError::UnknownDomain(_) => ProblemKind::Error(ErrorKind::UnknownDomain),
            RegistryError::NoPrevious(_) => ProblemKind::NothingToRollBack,
            RegistryError::NotQuarantined(_) => ProblemKind::NothingInQuarantine,
            RegistryError::FileExists(_) => ProblemKind::FileExists,
            RegistryError::Closed => ProblemKind::ShuttingDown,
        };
        Self::new(kind, error.to_string())
    }
}

impl IntoResponse for Problem {
    fn into_response(self) -> Response {
        let row = self.kind.row();
        let document = Document {
            r#type: format!("urn:larder:problem:{}", row.slug),
            title: row.title,
            status: row.status.as_u16(),
            detail: &self.detail,
            blame: row.blame.as_str(),
            retry: row.retry,
        };
        // Strings and numbers cannot fail to be JSON.
        let body = serde_json::to_vec(&document).unwrap_or_default();
        let mut response = Response::new(Body::from(body));
        *response.status_mut() = row.status;
        *response.headers_mut() = self.headers(&row);
        response
    }
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;
    use std::fmt::Write;

    use expect_test::expect;
    use http_body_util::BodyExt;

    use super::*;

    #[test]
    fn the_table() {
        let mut text = String::new();
        for kind in ProblemKind::ALL {
            let Row { slug, status, blame, retry, .. } = kind.row();
            writeln!(text, "{slug} {} {}{}", status.as_u16(), blame.as_str(), if retry { " retry" } else { "" })
                .unwrap();
        }
        expect![[r#"
            invalid-key 400 caller
            invalid-value 400 caller
            invalid-argument 400 caller
            unknown-domain 404 caller
            unsupported 422 caller
            refused 422 caller
            store-reply 409 caller
            store-unavailable 503 store retry
            store-timeout 504 store retry
            store-data 502 store
            origin-unavailable 503 origin retry
            origin-failed 502 origin retry
            origin-timeout 504 origin retry
            policy-failed 500 policy
            policy-unavailable 503 policy retry
            overloaded 503 host retry
            internal 500 host
            absent 404 caller
            not-cached 504 caller
            unknown-path 404 caller
            method-not-allowed 405 caller
            unmet 412 caller
            body-too-large 413 caller
            body-timeout 408 caller
            body-broken 400 caller
            encoded 415 caller
            cross-site 403 caller
            nothing-to-roll-back 409 caller
            nothing-in-quarantine 409 caller
            file-exists 409 caller
            locked 409 caller retry
            not-held 409 caller
            not-locked 404 caller
            unknown-breaker 404 caller
            not-ready 503 host retry
            shutting-down 503 host retry
            unauthenticated 401 caller
            forbidden 403 caller
            too-many-requests 429 caller retry
        "#]]
        .assert_eq(&text);
    }

    #[test]
    fn every_kind_has_its_own_word() {
        let slugs: HashSet<_> = ProblemKind::ALL.iter().map(|kind| kind.row().slug).collect();
        assert_eq!(slugs.len(), ProblemKind::ALL.len());
    }

    #[tokio::test]
    async fn a_document() {
        let response = Problem::from(Error::new(ErrorKind::StoreUnavailable, "say \"x\"")).into_response();
        assert_eq!(response.status(), StatusCode::SERVICE_UNAVAILABLE);
        assert_eq!(response.headers()[CONTENT_TYPE], PROBLEM_JSON);
        assert_eq!(response.headers()[RETRY_AFTER], "1");
        let body = response.into_body().collect().await.unwrap().to_bytes();
        let expected = expect![[
            r#"{"type":"urn:larder:problem:store-unavailable","title":"The store cannot be reached","status":503,"detail":"say \"x\"","blame":"store","retry":true}"#
        ]];
        expected.assert_eq(std::str::from_utf8(&body).unwrap());
    }

    #[test]
    fn what_the_registry_says() {
        let kind = |error| Problem::from(error).kind;
        assert_eq!(kind(RegistryError::UnknownDomain("x".into())), ProblemKind::Error(ErrorKind::UnknownDomain));
        assert_eq!(kind(RegistryError::NoPrevious("x".into())), ProblemKind::NothingToRollBack);
        assert_eq!(kind(RegistryError::NotQuarantined("x".into())), ProblemKind::NothingInQuarantine);
        assert_eq!(kind(RegistryError::FileExists("x".into())), ProblemKind::FileExists);
        assert_eq!(kind(RegistryError::Closed), ProblemKind::ShuttingDown);
    }
}
