//! How the exporter asks: the same connections as to origins, to whatever address the operator names.

use std::fmt;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use anyhow::Result;
use async_trait::async_trait;
use bytes::Bytes;
use http_body_util::{BodyExt as _, Full, Limited};
use hyper::{Request, Response};
use hyper_util::client::legacy::Client;
use hyper_util::rt::{TokioExecutor, TokioTimer};
use opentelemetry_http::{HttpClient, HttpError};
use parking_lot::Mutex;

use crate::adapters::origin::{ConnectError, Connector, tls_config};
use crate::config::allowed::AllowedOrigins;
use crate::limits::{ORIGIN_IDLE_MS_MAX, SPANS_ANSWER_BYTES_MAX};

/// Why a collector did not take spans.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Cause {
    /// No connection, or one that broke.
    Unreachable,
    /// It speaks no TLS, or is not believed to be whom it should be.
    Tls,
    /// No answer in time.
    TimedOut,
    /// It answered, and not that it has them.
    Refused,
}

impl Cause {
    pub(super) const COUNT: usize = 4;

    pub(super) const fn as_str(self) -> &'static str {
        match self {
            Self::Unreachable => "unreachable",
            Self::Tls => "tls",
            Self::TimedOut => "timed-out",
            Self::Refused => "refused",
        }
    }
}

/// Asks the collector. Cheap to clone.
#[derive(Clone)]
pub(super) struct CollectorClient {
    client: Client<Connector, Full<Bytes>>,
    /// The exporter tells nobody what it was told.
    failure: Arc<Mutex<Option<(Cause, String)>>>,
}

impl CollectorClient {
    /// # Errors
    /// The file with certificate authorities cannot be used.
    pub(super) fn new(ca_file: Option<&Path>) -> Result<Self> {
        let connector =
            Connector { allowed: Arc::new(AllowedOrigins::any()), tls: tls_config("tracing.otlp_ca_file", ca_file)? };
        let client = Client::builder(TokioExecutor::new())
            .pool_timer(TokioTimer::new())
            .pool_idle_timeout(Duration::from_millis(ORIGIN_IDLE_MS_MAX))
            .pool_max_idle_per_host(1)
            .build(connector);
        Ok(Self { client, failure: Arc::default() })
    }

    /// Why the latest request failed, if it did and nobody asked yet.
    pub(super) fn last_failure(&self) -> Option<(Cause, String)> {
        self.failure.lock().take()
    }

    async fn send(&self, request: Request<Bytes>) -> Result<Response<Bytes>, HttpError> {
        let response = self.client.request(request.map(Full::new)).await?;
        let (head, body) = response.into_parts();
        let body = Limited::new(body, SPANS_ANSWER_BYTES_MAX).collect().await?.to_bytes();
        Ok(Response::from_parts(head, body))
    }
}

#[async_trait]
impl HttpClient for CollectorClient {
    async fn send_bytes(&self, request: Request<Bytes>) -> Result<Response<Bytes>, HttpError> {
        let answer = self.send(request).await;
        let failure = match &answer {
            Ok(response) if response.status().is_success() => None,
            Ok(response) => Some((Cause::Refused, format!("it answered {}", response.status()))),
            Err(error) => Some(match tls_advice(&**error) {
                Some(advice) => (Cause::Tls, format!("{}; {advice}", in_full(&**error))),
                None => (Cause::Unreachable, in_full(&**error)),
            }),
        };
        *self.failure.lock() = failure;
        answer
    }
}

type Failed = dyn std::error::Error + 'static;

fn causes(error: &Failed) -> impl Iterator<Item = &Failed> {
    std::iter::successors(Some(error), |&cause| cause.source())
}

/// An error with its causes.
fn in_full(error: &Failed) -> String {
    causes(error).map(ToString::to_string).collect::<Vec<_>>().join(": ")
}

/// What to do about an error of TLS, if it is one.
fn tls_advice(error: &Failed) -> Option<&'static str> {
    use rustls::CertificateError::{
        BadSignature, Expired, ExpiredContext, NotValidForName, NotValidForNameContext, UnknownIssuer,
    };
    let failed = causes(error).find_map(|cause| match cause.downcast_ref::<ConnectError>() {
        Some(ConnectError::Tls(error)) => Some(error),
        _ => None,
    })?;
    let reason = failed.get_ref().and_then(|inner| inner.downcast_ref::<rustls::Error>());
    Some(match reason {
        // Another authority of the same name: the signature is not that one's.
        Some(rustls::Error::InvalidCertificate(UnknownIssuer | BadSignature)) => {
            "nobody is believed who signed its certificate: name the authority in tracing.otlp_ca_file"
        }
        Some(rustls::Error::InvalidCertificate(NotValidForName | NotValidForNameContext { .. })) => {
            "tracing.otlp_endpoint must name it as its certificate does"
        }
        Some(rustls::Error::InvalidCertificate(Expired | ExpiredContext { .. })) => {
            "the collector needs a new certificate"
        }
        Some(rustls::Error::InvalidCertificate(_)) => "the collector needs another certificate",
        _ => "does it speak TLS? if not, tracing.otlp_endpoint begins with http://",
    })
}

impl fmt::Debug for CollectorClient {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("CollectorClient")
    }
}
