//! One server and this host's connections to it: for each thread one that all its callers share, one more in RESP2 if a client
//! needs its answers so, and those that one caller has for itself.
//!
//! Invariants: a call that is given up leaks nothing; a connection of one caller's own ends with what it was doing, and is used
//! again only after it answered everything.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::time::Duration;

use async_trait::async_trait;
use parking_lot::Mutex;
use redis::{Pipeline, RedisResult, Value};
use thread_local::ThreadLocal;
use tokio::runtime;
use tokio::sync::mpsc::UnboundedSender;
use tokio::time::{Instant, timeout_at};

use super::endpoint::Manner;
use super::link::Link;
use super::slot::Slot;
use super::target::Target;
use super::watch::Spares;
use super::{command, error, value};
use crate::limits::STORE_OWN_IDLE_MAX;
use crate::ports::budget;
use crate::ports::clock::Clock;
use crate::ports::metrics::Metrics;
use crate::ports::store::{Command, Reply, StoreError, StoreResult};
use crate::ports::upstream::{Dedicated, Heard, Types};

/// What all nodes of a store share.
pub(super) struct Common {
    pub(super) store_ms: u64,
    pub(super) clock: Arc<dyn Clock>,
    pub(super) metrics: Arc<Metrics>,
    /// How often any thread connected.
    pub(super) epoch: Arc<AtomicU64>,
    /// Connections that callers have for themselves.
    /// Calls that are under way, of all databases.
    pub(super) inflight: AtomicUsize,
    pub(super) inflight_max: usize,
    pub(super) own: AtomicUsize,
    pub(super) own_max: usize,
    /// Connections that watch keys.
    pub(super) watches: Arc<AtomicUsize>,
}

impl Common {
    /// An error line of Redis: if it concerns the store and not the caller, the operator is told.
    pub(super) fn heard(&self, line: &str) {
        self.metrics.store_refusals.note(line, self.clock.wall_ms(), self.clock.monotonic_ns());
    }

    /// When a call that begins now has to be over: it has its own deadline, and what is left of the operation's budget.
    pub(super) fn deadline(&self) -> Instant {
        self.deadline_from(Instant::now())
    }

    fn deadline_from(&self, now: Instant) -> Instant {
        let own = Duration::from_millis(self.store_ms);
        now + budget::left_ns().map_or(own, |left_ns| own.min(Duration::from_nanos(left_ns)))
    }

    /// Lets a call have what is left of the operation's budget, and takes from that what it took.
    pub(super) async fn within<T, F: Future<Output = StoreResult<T>> + Send>(
        &self,
        call: impl FnOnce(Instant) -> F + Send,
    ) -> StoreResult<T> {
        if budget::is_spent() {
            return Err(StoreError::Timeout(self.store_ms));
        }
        let began = Instant::now();
        let answer = call(self.deadline_from(began)).await;
        budget::spend_ns(u64::try_from(began.elapsed().as_nanos()).unwrap_or(u64::MAX));
        answer
    }
}

/// A server.
pub(super) struct Node {
    pub(super) target: Arc<Target>,
    pub(super) common: Arc<Common>,
    rich: ThreadLocal<Arc<Slot>>,
    flat: ThreadLocal<Arc<Slot>>,
    /// Connections that nobody has now.
    idle: Mutex<Vec<(Types, Link)>>,
    /// Connections with which nobody watches now.
    pub(super) spares: Arc<Spares>,
}

impl Node {
    pub(super) fn new(target: Arc<Target>, common: Arc<Common>) -> Arc<Self> {
        let spares = Spares::new(&common.watches);
        let (rich, flat) = (ThreadLocal::new(), ThreadLocal::new());
        Arc::new(Self { target, common, rich, flat, idle: Mutex::default(), spares })
    }

    /// Sends something over the shared connection and waits for the answer until the deadline.
    pub(super) async fn exchange<V, F: Future<Output = RedisResult<V>> + Send>(
        &self,
        types: Types,
        deadline: Instant,
        send: impl FnOnce(Arc<Link>) -> F + Send,
    ) -> StoreResult<(V, Arc<Link>)> {
        let Common { clock, metrics, .. } = &*self.common;
        let slots = match types {
            Types::Rich => &self.rich,
            Types::Flat => &self.flat,
        };
        let slot = slots
            .get_or(|| Slot::new(Arc::clone(&self.target), types, Arc::clone(clock), Arc::clone(&self.common.epoch)));
        let link = slot.link(deadline).await?;
        let sent_ns = clock.monotonic_ns();
        let answer = timeout_at(deadline, send(Arc::clone(&link))).await;
        let now_ns = clock.monotonic_ns();
        metrics.store_latency.observe_ns(now_ns.saturating_sub(sent_ns));
        match answer {
            Ok(Ok(answer)) => {
                link.heard(now_ns);
                Ok((answer, link))
            }
            Ok(Err(error)) => Err(error::in_flight(&*self.target, &error)),
            Err(_) => {
                link.timed_out(sent_ns, now_ns);
                Err(StoreError::Timeout(self.common.store_ms))
            }
        }
    }

    /// Looks at an answer: a server that has become a replica is left, if another may be found.
    ///
    /// # Errors
    /// It has, and has done nothing.
    pub(super) fn watch(&self, link: &Link, answer: &Value) -> StoreResult<()> {
        match answer {
            Value::ServerError(error) if error::is_replica(error) && self.target.may_move() => {
                link.give_up("it is no longer the primary");
                Err(error::unavailable(&*self.target, &error::line(error)))
            }
            _ => Ok(()),
        }
    }

    /// A connection for one caller.
    pub(super) async fn own(
        self: &Arc<Self>,
        types: Types,
        heard: Option<UnboundedSender<Heard>>,
    ) -> StoreResult<Box<dyn Dedicated>> {
        let place = Place::take(&self.common)?;
        let listens = heard.is_some();
        let idle = if listens { None } else { self.idle_link(types) };
        let link = match (idle, heard) {
            (Some(link), _) => Ok(link),
            (None, None) => Link::open(&self.target, Manner::plain(types)).await,
            (None, Some(heard)) => {
                let pushes =
                    move |info: redis::PushInfo| heard.send(value::heard(info)).map_err(|_| redis::aio::SendError);
                Link::open(&self.target, Manner { types: Types::Rich, pushes: Some(pushes) }).await
            }
        };
        let link = link.map_err(|cause| error::unavailable(&*self.target, &cause))?;
        Ok(Box::new(Own { link: Some(link), node: Arc::clone(self), types, listens, calm: true, _place: place }))
    }

    fn idle_link(&self, types: Types) -> Option<Link> {
        let runtime = runtime::Handle::current().id();
        let mut idle = self.idle.lock();
        idle.retain(|(_, link)| link.is_alive());
        let found = idle.iter().position(|(other, link)| *other == types && link.is_usable(runtime))?;
        Some(idle.swap_remove(found).1)
    }

    fn keep(&self, types: Types, link: Link) {
        let mut idle = self.idle.lock();
        if link.is_alive() && idle.len() < STORE_OWN_IDLE_MAX {
            idle.push((types, link));
        }
    }
}

/// The right to a connection of one's own.
struct Place(Arc<Common>);

impl Place {
    fn take(common: &Arc<Common>) -> StoreResult<Self> {
        let before = common.own.fetch_add(1, Ordering::Relaxed);
        let place = Self(Arc::clone(common));
        if before < common.own_max {
            return Ok(place);
        }
        let max = common.own_max;
        Err(StoreError::Busy(format!(
            "{max} connections for blocking commands and subscriptions are allowed (forward.connections_max)"
        )))
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        self.0.own.fetch_sub(1, Ordering::Relaxed);
    }
}

/// A connection that one caller has.
struct Own {
    link: Option<Link>,
    node: Arc<Node>,
    types: Types,
    listens: bool,
    /// Whether everything that was sent is answered.
    calm: bool,
    _place: Place,
}

#[async_trait]
impl Dedicated for Own {
    async fn call(&mut self, command: Command) -> StoreResult<Reply> {
        let target = &*self.node.target;
        let Some(link) = &self.link else { return Err(error::unavailable(target, "the connection is gone")) };
        self.calm = false;
        // As a pipeline of one: so the library counts the confirmations of a subscription.
        let mut sent = Pipeline::with_capacity(1);
        sent.add_command(command::raw(&command));
        let answer = match self.listens {
            true => link.many(&sent).await.map(|mut answers| answers.pop().unwrap_or(Value::Nil)),
            false => link.one(&command::raw(&command)).await,
        };
        let answer = answer.map_err(|error| error::in_flight(target, &error))?;
        self.node.watch(link, &answer)?;
        self.calm = true;
        value::reply(target, answer)
    }
}

impl Drop for Own {
    fn drop(&mut self) {
        if let Some(link) = self.link.take()
            && self.calm
            && !self.listens
        {
            self.node.keep(self.types, link);
        }
    }
}
