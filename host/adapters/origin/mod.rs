//! Origins over HTTP: pooled connections, TLS, deadlines, bounds, a retry budget, and a breaker before each.
//!
//! Invariants: a load has one deadline over all that it does; dropping it gives back its place, its permit and its connection. What is
//! connected to was allowed by the operator, and is checked by its address each time. Deliberately absent: redirects, cookies, proxies,
//! HTTP/2, decompression: an answer is passed on as it came.

mod address;
mod client;
mod connect;
mod retry;
mod tls;

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;

use parking_lot::Mutex;
use rustls::ClientConfig;

use self::address::BaseUrl;
use self::client::HttpOrigin;
pub(super) use self::connect::{ConnectError, Connector};
pub(super) use self::tls::config as tls_config;
use super::breaker::BreakerBoard;
use crate::config::allowed::AllowedOrigins;
use crate::ports::breaker::BreakerSettings;
use crate::ports::clock::Clock;
use crate::ports::metrics::Metrics;
use crate::ports::origin::{Origin, OriginSettings, Origins};

/// An origin and the settings that it was made with.
type Known = (OriginSettings, Arc<HttpOrigin>);

/// The origins of all domains.
pub struct HttpOrigins {
    allowed: Arc<AllowedOrigins>,
    tls: Arc<ClientConfig>,
    breakers: Arc<BreakerBoard>,
    metrics: Arc<Metrics>,
    clock: Arc<dyn Clock>,
    open: Mutex<BTreeMap<Arc<str>, Known>>,
}

impl HttpOrigins {
    /// None yet.
    ///
    /// # Errors
    /// The file with certificate authorities cannot be used.
    pub fn new(
        allowed: AllowedOrigins,
        ca_file: Option<&Path>,
        breakers: Arc<BreakerBoard>,
        metrics: Arc<Metrics>,
        clock: Arc<dyn Clock>,
    ) -> anyhow::Result<Self> {
        let (allowed, tls) = (Arc::new(allowed), tls::config("origins.ca_file", ca_file)?);
        Ok(Self { allowed, tls, breakers, metrics, clock, open: Mutex::default() })
    }

    /// For who looks at policies without a host: which origins a host may ask is its operator's word, so all are taken that no list
    /// can allow. None is ever asked: no authority is believed.
    ///
    /// # Errors
    /// TLS cannot be set up here.
    pub fn for_checks(clock: Arc<dyn Clock>) -> anyhow::Result<Self> {
        let settings = BreakerSettings {
            failure_threshold: 1,
            recovery_ms: 1,
            monitoring_ms: 1_000,
            half_open_calls_max: 1,
            slow_ms: None,
        };
        let metrics = Arc::new(Metrics::default());
        let breakers = Arc::new(BreakerBoard::new(settings, Arc::clone(&clock), Arc::clone(&metrics)));
        let (allowed, tls) = (Arc::new(AllowedOrigins::any()), tls::without_authorities()?);
        Ok(Self { allowed, tls, breakers, metrics, clock, open: Mutex::default() })
    }
}

impl Origins for HttpOrigins {
    fn check(&self, settings: &OriginSettings) -> Result<(), String> {
        BaseUrl::parse(&settings.url, &self.allowed).map(drop)
    }

    fn open(&self, domain: &str, settings: &OriginSettings) -> Result<Arc<dyn Origin>, String> {
        let base = BaseUrl::parse(&settings.url, &self.allowed)?;
        let mut open = self.open.lock();
        if let Some((known, origin)) = open.get(domain)
            && known == settings
        {
            return Ok(Arc::clone(origin) as Arc<dyn Origin>);
        }
        let connector = Connector { allowed: Arc::clone(&self.allowed), tls: Arc::clone(&self.tls) };
        let breaker = self.breakers.origin(domain);
        let (metrics, clock) = (self.metrics.domain(domain), Arc::clone(&self.clock));
        let origin = Arc::new(HttpOrigin::new(domain.into(), base, settings, connector, breaker, metrics, clock));
        open.insert(domain.into(), (settings.clone(), Arc::clone(&origin)));
        Ok(origin)
    }
}

impl std::fmt::Debug for HttpOrigins {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("HttpOrigins").field("allowed", &self.allowed).finish_non_exhaustive()
    }
}
