//! One origin: what a load does, from its permit to the last byte of the answer.

use std::error::Error as _;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use bytes::{Bytes, BytesMut};
use http_body_util::{BodyExt as _, Empty};
use hyper::body::{Body as _, Incoming};
use hyper::header::{self, HeaderMap, HeaderName, HeaderValue};
use hyper::{Request, Response};
use hyper_util::client::legacy::{Client, Error as ClientError};
use hyper_util::rt::{TokioExecutor, TokioTimer};
use tokio::sync::Semaphore;

use super::address::BaseUrl;
use super::connect::{ConnectError, Connector};
use super::retry::RetryBudget;
use crate::adapters::breaker::CircuitBreaker;
use crate::limits;
use crate::ports::breaker::{Mode, Outcome, State};
use crate::ports::clock::Clock;
use crate::ports::metrics::{DomainMetrics, Gauge};
use crate::ports::origin::{
    Origin, OriginError, OriginRequest, OriginResponse, OriginSettings, Patience, is_hop_by_hop,
};
use crate::ports::trace::{self, Layer};

/// What the host says of itself.
const USER_AGENT: &str = concat!("larder/", env!("CARGO_PKG_VERSION"));

/// An origin over HTTP.
pub(super) struct HttpOrigin {
    domain: Arc<str>,
    base: BaseUrl,
    patience: Patience,
    body_bytes_max: usize,
    loads_max: usize,
    places: Semaphore,
    client: Client<Connector, Empty<Bytes>>,
    retries: RetryBudget,
    breaker: Arc<CircuitBreaker>,
    metrics: Arc<DomainMetrics>,
    clock: Arc<dyn Clock>,
}

/// A load that is under way, in the metrics; given back when dropped.
struct UnderWay<'a>(&'a Gauge);

impl Drop for UnderWay<'_> {
    fn drop(&mut self) {
        self.0.decrement();
    }
}

/// Why one attempt failed, and whether nothing of an answer had come.
struct Failed {
    error: OriginError,
    again: bool,
}

impl From<OriginError> for Failed {
    fn from(error: OriginError) -> Self {
        Self { error, again: false }
    }
}

impl HttpOrigin {
    pub(super) fn new(
        domain: Arc<str>,
        base: BaseUrl,
        settings: &OriginSettings,
        connector: Connector,
        breaker: Arc<CircuitBreaker>,
        metrics: Arc<DomainMetrics>,
        clock: Arc<dyn Clock>,
    ) -> Self {
        let client = Client::builder(TokioExecutor::new())
            .pool_timer(TokioTimer::new())
            .timer(TokioTimer::new())
            .pool_idle_timeout(Duration::from_millis(limits::ORIGIN_IDLE_MS_MAX))
            .pool_max_idle_per_host(settings.loads_max)
            .http1_max_headers(limits::ORIGIN_HEADERS_MAX)
            .http1_max_buf_size(limits::ORIGIN_HEADER_BYTES_MAX)
            // Retries have a budget, and it is kept here.
            .retry_canceled_requests(false)
            .build(connector);
        let &OriginSettings { patience, body_bytes_max, loads_max, .. } = settings;
        let (places, retries) = (Semaphore::new(loads_max), RetryBudget::default());
        Self { domain, base, patience, body_bytes_max, loads_max, places, client, retries, breaker, metrics, clock }
    }

    /// The text of an error, with the origin's name before it.
    fn words(&self, what: impl std::fmt::Display) -> String {
        format!("the origin of '{}' ({}) {what}", self.domain, self.base.as_str())
    }

    fn request(&self, asked: &OriginRequest) -> Result<Request<Empty<Bytes>>, OriginError> {
        let not_allowed = |what: String| OriginError::NotAllowed(self.words(format_args!("is not asked: {what}")));
        let mut request = Request::new(Empty::new());
        *request.uri_mut() = self.base.below(&asked.path).map_err(not_allowed)?;
        let headers = request.headers_mut();
        headers.insert(header::USER_AGENT, HeaderValue::from_static(USER_AGENT));
        headers.insert(header::ACCEPT_ENCODING, HeaderValue::from_static("identity"));
        for (name, value) in &asked.headers {
            let wrong = || not_allowed(format!("the header '{}' cannot be sent", name.escape_debug()));
            let name = HeaderName::from_bytes(name.as_bytes()).map_err(|_| wrong())?;
            if is_hop_by_hop(name.as_str()) || name == header::HOST {
                return Err(wrong());
            }
            headers.append(name.clone(), HeaderValue::from_str(value).map_err(|_| wrong())?);
        }
        tell_trace(headers);
        Ok(request)
    }

    /// Asks, and once more if the connection broke before any answer, while the budget lasts.
    async fn ask(&self, asked: &OriginRequest) -> Result<OriginResponse, OriginError> {
        self.retries.earn();
        match self.attempt(asked).await {
            Err(failed) if failed.again => {
                if !self.retries.spend() {
                    self.metrics.origin.retries_refused.increment();
                    return Err(failed.error);
                }
                self.metrics.origin.retries.increment();
                self.attempt(asked).await.map_err(|failed| failed.error)
            }
            answer => answer.map_err(|failed| failed.error),
        }
    }

    async fn attempt(&self, asked: &OriginRequest) -> Result<OriginResponse, Failed> {
        let request = self.request(asked)?;
        let response = self.client.request(request).await.map_err(|error| self.no_answer(&error))?;
        Ok(self.answer(response).await?)
    }

    async fn answer(&self, response: Response<Incoming>) -> Result<OriginResponse, OriginError> {
        let status = response.status().as_u16();
        if status < 200 {
            return Err(OriginError::NotUnderstood(self.words(format_args!("answered {status}, which is no answer"))));
        }
        // What is read ahead may hold more than that, and the parser looks at it as a whole.
        let head_bytes: usize = response.headers().iter().map(|(name, value)| name.as_str().len() + value.len()).sum();
        if head_bytes > limits::ORIGIN_HEADER_BYTES_MAX {
            return Err(OriginError::TooLarge(self.words("answered with more headers than are read")));
        }
        let headers = heard(response.headers());
        let body = self.body(response.into_body()).await?;
        Ok(OriginResponse { status, headers, body })
    }

    /// All of the body. What is too long is left unread, and its connection closed.
    async fn body(&self, mut body: Incoming) -> Result<Bytes, OriginError> {
        let most = self.body_bytes_max;
        let too_large = || OriginError::TooLarge(self.words(format_args!("answered with more than {most} bytes")));
        if body.size_hint().lower() > most as u64 {
            return Err(too_large());
        }
        let (mut first, mut more) = (Bytes::new(), BytesMut::new());
        while let Some(frame) = body.frame().await {
            let frame = frame
                .map_err(|error| OriginError::Broken(self.words(format_args!("broke off its answer: {error}"))))?;
            let Ok(data) = frame.into_data() else { continue };
            if first.len() + more.len() + data.len() > most {
                return Err(too_large());
            }
            // Most answers come in one piece, which needs no copy.
            if first.is_empty() && more.is_empty() {
                first = data;
                continue;
            }
            more.extend_from_slice(&std::mem::take(&mut first));
            more.extend_from_slice(&data);
        }
        Ok(if more.is_empty() { first } else { more.freeze() })
    }

    /// What it means that no head of an answer came.
    fn no_answer(&self, error: &ClientError) -> Failed {
        let mut causes = std::iter::successors(error.source(), |&cause| cause.source());
        if error.is_connect() {
            let cause = causes.find_map(|cause| cause.downcast_ref::<ConnectError>());
            return match cause {
                Some(ConnectError::NotAllowed(why)) => {
                    OriginError::NotAllowed(self.words(format_args!("is not asked: {why}"))).into()
                }
                Some(why @ (ConnectError::Failed(_) | ConnectError::Tls(_))) => {
                    OriginError::Unreachable(self.words(format_args!("cannot be reached: {why}"))).into()
                }
                None => OriginError::Unreachable(self.words(format_args!("cannot be reached: {error}"))).into(),
            };
        }
        match causes.find_map(|cause| cause.downcast_ref::<hyper::Error>()) {
            Some(it) if it.is_parse_too_large() => {
                OriginError::TooLarge(self.words("answered with more headers than are read")).into()
            }
            Some(it) if it.is_parse() => {
                OriginError::NotUnderstood(self.words(format_args!("answered with what is no HTTP: {it}"))).into()
            }
            cause => {
                let why = cause.map_or_else(|| error.to_string(), ToString::to_string);
                let error = OriginError::Broken(self.words(format_args!("broke the connection: {why}")));
                Failed { error, again: true }
            }
        }
    }

    /// What the breaker is told.
    fn outcome(&self, answer: &Result<OriginResponse, OriginError>, took_ns: u64) -> Outcome {
        let hard_ns = u64::try_from(self.patience.hard.as_nanos()).unwrap_or(u64::MAX);
        let long = took_ns >= hard_ns / 100 * limits::ORIGIN_SLOW_PERCENT;
        match answer {
            Ok(response) if response.status >= 500 => Outcome::Failure,
            Ok(_) | Err(OriginError::TooLarge(_)) if long => Outcome::Slow,
            Ok(_) | Err(OriginError::TooLarge(_)) => Outcome::Success,
            // A caller in a greater hurry than the operator says nothing of the origin.
            Err(OriginError::TimedOut(_)) if !long => Outcome::Ignored,
            Err(OriginError::Refused(_) | OriginError::Busy(_) | OriginError::NotAllowed(_)) => Outcome::Ignored,
            Err(
                OriginError::TimedOut(_)
                | OriginError::Unreachable(_)
                | OriginError::Broken(_)
                | OriginError::NotUnderstood(_),
            ) => Outcome::Failure,
        }
    }

    async fn guarded(&self, asked: &OriginRequest, deadline: Duration) -> Result<OriginResponse, OriginError> {
        let busy = || OriginError::Busy(self.words(format_args!("has {} loads under way already", self.loads_max)));
        let _place = self.places.try_acquire().map_err(|_| busy())?;
        let permit = self.breaker.acquire().map_err(|rejection| OriginError::Refused(rejection.to_string()))?;
        let metrics = &self.metrics.origin;
        metrics.in_flight.increment();
        let _under_way = UnderWay(&metrics.in_flight);
        let began_ns = self.clock.monotonic_ns();
        let within = deadline.min(self.patience.hard);
        let answer = tokio::time::timeout(within, self.ask(asked)).await.unwrap_or_else(|_| {
            let ms = within.as_millis();
            Err(OriginError::TimedOut(self.words(format_args!("gave no complete answer within {ms} ms"))))
        });
        let took_ns = self.clock.monotonic_ns().saturating_sub(began_ns);
        metrics.time.observe_ns(took_ns);
        let outcome = self.outcome(&answer, took_ns);
        if let (Outcome::Failure, Err(error)) = (outcome, &answer) {
            permit.met(error);
        }
        permit.report_untimed(outcome);
        answer
    }
}

/// Says for which trace is asked, if for any: W3C Trace Context. What a policy says of it is not the host's.
fn tell_trace(headers: &mut HeaderMap) {
    let Some(context) = trace::outgoing() else { return };
    let state = context.state.as_deref().map(HeaderValue::from_str);
    headers.remove(trace::TRACESTATE);
    if let Ok(parent) = HeaderValue::from_str(&context.traceparent()) {
        headers.insert(trace::TRACEPARENT, parent);
    }
    if let Some(Ok(state)) = state {
        headers.insert(trace::TRACESTATE, state);
    }
}

/// The headers that are passed on.
fn heard(headers: &HeaderMap) -> Vec<(String, String)> {
    let passed = headers.iter().filter(|(name, _)| !is_hop_by_hop(name.as_str()));
    passed.filter_map(|(name, value)| Some((name.as_str().to_owned(), value.to_str().ok()?.to_owned()))).collect()
}

#[async_trait]
impl Origin for HttpOrigin {
    fn name(&self) -> &str {
        &self.domain
    }

    fn is_healthy(&self) -> bool {
        match self.breaker.current() {
            (Mode::ForcedOpen, _) => false,
            // Once its time is over it lets a call through, but only a call changes its state.
            (Mode::Auto, State::Open) => self.breaker.status().retry_in_ms == Some(0),
            _ => true,
        }
    }

    fn patience(&self) -> Patience {
        self.patience
    }

    async fn load(&self, request: &OriginRequest, deadline: Duration) -> Result<OriginResponse, OriginError> {
        let span = trace::span(Layer::Origin, "GET");
        let answer = span.within(self.guarded(request, deadline)).await;
        self.metrics.origin.count(&answer);
        if span.is_recorded() {
            span.note("larder.domain", Arc::clone(&self.domain));
            match &answer {
                Ok(response) => span.note("http.response.status_code", response.status),
                Err(error) => span.fail(error.as_str()),
            }
        }
        if let Err(error) = &answer {
            tracing::debug!(target: "larder::origin", domain = &*self.domain, outcome = error.as_str(), "{error}");
        }
        answer
    }
}
