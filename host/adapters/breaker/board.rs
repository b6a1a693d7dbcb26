//! All breakers of the host, by name.

use std::collections::BTreeMap;
use std::sync::Arc;

use parking_lot::RwLock;

use super::CircuitBreaker;
use crate::error::{Error, ErrorKind, Result};
use crate::limits::{BREAKERS_MAX, BREAKERS_PER_DOMAIN_MAX};
use crate::ports::breaker::{
    BreakerSettings, BreakerStatus, Breakers, Mode, Permit, STORE_BREAKER, State, Transition, origin_breaker,
    policy_breaker,
};
use crate::ports::clock::Clock;
use crate::ports::metrics::Metrics;

/// All of them.
pub struct BreakerBoard {
    settings: BreakerSettings,
    clock: Arc<dyn Clock>,
    metrics: Arc<Metrics>,
    breakers: RwLock<BTreeMap<Arc<str>, Arc<CircuitBreaker>>>,
}

impl BreakerBoard {
    /// None yet; what is made will have these settings.
    #[must_use]
    pub fn new(settings: BreakerSettings, clock: Arc<dyn Clock>, metrics: Arc<Metrics>) -> Self {
        Self { settings, clock, metrics, breakers: RwLock::default() }
    }

    /// The store's, made if it is not there; a call is slow from `slow_ms` on.
    pub fn store(&self, slow_ms: u64) -> Arc<CircuitBreaker> {
        let settings = BreakerSettings { slow_ms: Some(slow_ms), ..self.settings };
        let mut breakers = self.breakers.write();
        let made = breakers.entry(STORE_BREAKER.into()).or_insert_with(|| self.make(STORE_BREAKER, settings));
        Arc::clone(made)
    }

    /// The one before a domain's origin, made if it is not there. How slow is too slow is for who calls to say: it may change.
    pub fn origin(&self, domain: &str) -> Arc<CircuitBreaker> {
        let name = origin_breaker(domain);
        let mut breakers = self.breakers.write();
        Arc::clone(breakers.entry(name.as_str().into()).or_insert_with(|| self.make(&name, self.settings)))
    }

    fn make(&self, name: &str, settings: BreakerSettings) -> Arc<CircuitBreaker> {
        CircuitBreaker::new(name.into(), settings, Arc::clone(&self.clock), self.metrics.breaker(name))
    }

    fn get(&self, name: &str) -> Option<Arc<CircuitBreaker>> {
        self.breakers.read().get(name).cloned()
    }

    fn get_or_make(&self, domain: &str, name: &str) -> Result<Arc<CircuitBreaker>> {
        if let Some(found) = self.get(name) {
            return Ok(found);
        }
        let mut breakers = self.breakers.write();
        let is_own = |known: &Arc<str>| known.strip_prefix(domain).is_some_and(|rest| rest.starts_with('/'));
        let own = breakers.keys().filter(|known| is_own(known)).count();
        if !breakers.contains_key(name) && (own >= BREAKERS_PER_DOMAIN_MAX || breakers.len() >= BREAKERS_MAX) {
            let message = format!(
                "domain '{domain}' has {own} breakers, of {BREAKERS_PER_DOMAIN_MAX}, and the host {}, of {BREAKERS_MAX}; use fewer names",
                breakers.len()
            );
            return Err(Error::new(ErrorKind::Overloaded, message));
        }
        Ok(Arc::clone(breakers.entry(name.into()).or_insert_with(|| self.make(name, self.settings))))
    }
}

impl Breakers for BreakerBoard {
    fn list(&self) -> Vec<BreakerStatus> {
        self.breakers.read().values().map(|breaker| breaker.status()).collect()
    }

    fn status(&self, name: &str) -> Option<BreakerStatus> {
        self.get(name).map(|breaker| breaker.status())
    }

    fn history(&self, name: &str) -> Option<Vec<Transition>> {
        self.get(name).map(|breaker| breaker.history())
    }

    fn force(&self, name: &str, mode: Mode) -> Option<BreakerStatus> {
        let breaker = self.get(name)?;
        breaker.force(mode);
        Some(breaker.status())
    }

    fn current(&self, domain: &str, name: &str) -> Result<(Mode, State)> {
        let found = if name == STORE_BREAKER { self.get(name) } else { self.get(&policy_breaker(domain, name)?) };
        Ok(found.map_or((Mode::Auto, State::Closed), |breaker| breaker.current()))
    }

    fn acquire(&self, domain: &str, name: &str) -> Result<Option<Box<dyn Permit>>> {
        let breaker = self.get_or_make(domain, &policy_breaker(domain, name)?)?;
        Ok(breaker.acquire().ok().map(|permit| Box::new(permit) as Box<dyn Permit>))
    }
}

impl std::fmt::Debug for BreakerBoard {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("BreakerBoard").field("breakers", &self.list()).finish_non_exhaustive()
    }
}
