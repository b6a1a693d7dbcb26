//! What a connection knows of its client between commands, and what all connections of the front end share.
//!
//! Deliberately absent: the socket, and the commands in flight.

use std::net::SocketAddr;
use std::sync::{Arc, OnceLock};

use bytes::Bytes;
use parking_lot::Mutex;
use rustls::pki_types::CertificateDer;
use tokio::sync::mpsc::Receiver;

use super::RespConfig;
use super::args::Args;
use super::clients::{Client, Clients, Registered};
use super::monitor::Monitors;
use super::pause::Pauses;
use super::reply::Protocol;
use super::tracked::Tracking;
use super::transaction::{Transaction, Watching};
use crate::config::users::Role;
use crate::engine::Engine;
use crate::engine::fill::LeaseBook;
use crate::engine::forward::Database;
use crate::ports::store::Reply;
use crate::ports::trace::Tracer;
use crate::wire::access::{Access, Denied, Rate};
use crate::wire::front::Front;

/// What all connections share.
pub struct Shared {
    /// The cache.
    pub engine: Arc<Engine>,
    /// Who is connected.
    pub clients: Arc<Clients>,
    /// Where the front end listens.
    pub local: SocketAddr,
    /// Monotonic time at which it began to.
    pub started_ns: u64,
    /// Whether clients speak TLS.
    pub tls: bool,
    /// Who is let in, and how many.
    pub front: Arc<Front>,
    /// Who is told what is said.
    pub monitors: Monitors,
    /// Whether clients have to wait.
    pub pauses: Pauses,
}

impl Shared {
    /// What the connections of a listener at `local` share.
    #[must_use]
    pub fn new(config: &RespConfig, engine: Arc<Engine>, local: SocketAddr) -> Self {
        let front = Arc::clone(&config.front);
        let clients = Clients::new(Arc::clone(&front.resp.places), Arc::clone(engine.metrics()));
        Self {
            started_ns: engine.monotonic_ns(),
            clients,
            local,
            tls: config.tls,
            front,
            engine,
            monitors: Monitors::default(),
            pauses: Pauses::default(),
        }
    }
}

/// Which answers a client wants (`CLIENT REPLY`).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Replies {
    /// All.
    #[default]
    On,
    /// All but the next one.
    SkipNext,
    /// None.
    Off,
}

/// What a command that concerns the connection answers.
#[derive(Debug)]
pub enum Output {
    /// An answer.
    Reply(Reply),
    /// Text for people.
    Text(String),
    /// An answer that is sent though answers were off: it is the one that tells that they are on again.
    Always(Reply),
    /// Nothing at all.
    Nothing,
}

/// One connection's state.
pub struct Session {
    shared: Arc<Shared>,
    registered: Registered,
    /// What was shown when the connection was made.
    certificate: Option<Arc<CertificateDer<'static>>>,
    /// What the client may do; `None`: it has yet to say who it is.
    access: Option<Access>,
    /// Whether every hit may be answered without asking for whom.
    reads_everything: bool,
    /// How fast this connection may ask.
    rate: Rate,
    /// Whether it or its user has such a bound.
    paced: bool,
    /// The protocol of the answers from now on.
    protocol: Protocol,
    /// Which answers are wanted.
    pub replies: Replies,
    /// What came since `MULTI`.
    pub transaction: Option<Box<Transaction>>,
    /// Changed by commands that are at work, one at a time: each runs alone.
    watching: Option<Arc<Mutex<Watching>>>,
    /// The database that the client has selected, if not that of the policies.
    database: Option<Arc<Database>>,
    /// The one that it is about to have, filled by a command at work.
    selected: Option<Arc<OnceLock<Option<Arc<Database>>>>>,
    /// What others say, if the client monitors.
    pub monitored: Option<Receiver<Bytes>>,
    /// Set by a command after whose answer the connection ends.
    pub closing: bool,
    /// How the client keeps copies of its own, if it does.
    pub(super) tracking: Option<Box<Tracking>>,
    /// The keys that the client may fill.
    leases: Arc<LeaseBook>,
    /// Which commands are traced, if any are.
    tracer: Option<Arc<Tracer>>,
}

impl Session {
    /// The state of a new connection.
    #[must_use]
    pub fn new(shared: Arc<Shared>, registered: Registered, certificate: Option<Arc<CertificateDer<'static>>>) -> Self {
        let rate = Rate::new(shared.front.resp.rate_max());
        let access = shared.front.gate.greet(certificate.as_deref());
        let tracer = shared.front.tracer.clone();
        let mut session = Self {
            shared,
            tracer,
            registered,
            certificate,
            access: None,
            reads_everything: false,
            rate,
            paced: false,
            protocol: Protocol::default(),
            replies: Replies::On,
            transaction: None,
            watching: None,
            database: None,
            selected: None,
            monitored: None,
            closing: false,
            tracking: None,
            leases: Arc::default(),
        };
        session.set_access(access);
        session
    }

    /// What all connections share.
    #[must_use]
    pub const fn shared(&self) -> &Arc<Shared> {
        &self.shared
    }

    /// The cache.
    #[must_use]
    pub fn engine(&self) -> &Arc<Engine> {
        &self.shared.engine
    }

    /// The leases of this connection; they end with it.
    #[must_use]
    pub const fn leases(&self) -> &Arc<LeaseBook> {
        &self.leases
    }

    /// Which commands are traced, if any are.
    #[must_use]
    pub const fn tracer(&self) -> Option<&Arc<Tracer>> {
        self.tracer.as_ref()
    }

    /// This connection in the list of all.
    #[must_use]
    pub const fn client(&self) -> &Arc<Client> {
        self.registered.client()
    }

    /// What the client may do; `None`: it has yet to say who it is.
    #[must_use]
    pub const fn access(&self) -> Option<&Access> {
        self.access.as_ref()
    }

    fn set_access(&mut self, access: Option<Access>) {
        self.reads_everything = access.as_ref().is_some_and(Access::reads_everything);
        let user = access.as_ref().map_or_else(|| "".into(), |access| Arc::clone(access.name()));
        self.client().label(|label| label.user = user);
        let of_user = access.as_ref().is_some_and(|access| access.account().rate.is_some());
        self.paced = self.rate.per_second() > 0 || of_user;
        self.access = access;
    }

    /// Notices that the users were replaced since the client said who it is. To be called before what was read is carried out.
    pub fn look_again(&mut self) {
        self.settle_database();
        let gate = &self.shared.front.gate;
        if self.access.as_ref().is_some_and(|access| access.epoch() != gate.epoch()) {
            let access = self.access.as_ref().and_then(|access| gate.renew(access));
            let access = access.or_else(|| gate.greet(self.certificate.as_deref()));
            self.set_access(access);
        } else if self.access.is_none() && gate.is_open() {
            let access = gate.greet(None);
            self.set_access(access);
        }
    }

    /// Whether one more command may be carried out now.
    ///
    /// # Errors
    /// The rate that is reached, and how long until one may, in milliseconds.
    pub fn pace(&self) -> Result<(), (u32, u64)> {
        if !self.paced {
            return Ok(());
        }
        let of_user = self.access.as_ref().and_then(|access| access.account().rate.as_ref());
        let now_ns = self.shared.engine.monotonic_ns();
        for rate in std::iter::once(&self.rate).chain(of_user) {
            rate.take(now_ns).map_err(|wait_ms| (rate.per_second(), wait_ms))?;
        }
        Ok(())
    }

    /// The protocol of the answers from now on.
    #[must_use]
    pub const fn protocol(&self) -> Protocol {
        self.protocol
    }

    /// Changes it.
    pub fn set_protocol(&mut self, protocol: Protocol) {
        self.protocol = protocol;
        self.client().label(|label| label.protocol = protocol);
    }

    /// Whether a hit on this key may be written without a further look at the session.
    #[must_use]
    pub fn may_hit(&self, key: &[u8]) -> bool {
        let may_read =
            || self.access.as_ref().is_some_and(|access| access.on_key(&self.shared.engine, key) >= Role::Read);
        self.replies == Replies::On
            && self.transaction.is_none()
            && self.database.is_none()
            && self.tracking.is_none()
            && (self.reads_everything || may_read())
    }

    /// Checks a user and a password. What is wrong changes nothing, as in Redis.
    ///
    /// # Errors
    /// Why the client is not let in.
    pub fn login(&mut self, user: &[u8], password: &[u8]) -> Result<(), Denied> {
        let (peer, now_ms) = (self.client().peer.ip(), self.shared.engine.now_ms());
        let access = self.shared.front.gate.login(peer, user, password, now_ms)?;
        self.set_access(Some(access));
        Ok(())
    }

    /// The database that the client has selected; `None` for that of the policies.
    #[must_use]
    pub const fn database(&self) -> Option<&Arc<Database>> {
        self.database.as_ref()
    }

    /// Its number.
    #[must_use]
    pub fn database_number(&self) -> u32 {
        self.database.as_ref().map_or(0, |database| database.number())
    }

    /// Where the database is put that the client selects, by a command after which [`Self::settle_database`] is called.
    pub fn selecting(&mut self) -> Arc<OnceLock<Option<Arc<Database>>>> {
        Arc::clone(self.selected.insert(Arc::default()))
    }

    /// Has what was selected, if it is there.
    pub fn settle_database(&mut self) {
        let Some(selected) = self.selected.as_ref().and_then(|selected| selected.get()).cloned() else { return };
        self.selected = None;
        self.set_database(selected);
    }

    /// Has another database from now on.
    pub fn set_database(&mut self, database: Option<Arc<Database>>) {
        self.database = database;
        let number = self.database_number();
        self.client().label(|label| label.database = number);
    }

    /// Whether keys are watched.
    #[must_use]
    pub fn watches(&self) -> bool {
        self.watching.as_ref().is_some_and(|watching| !matches!(*watching.lock(), Watching::Nothing))
    }

    /// Where the keys are that are watched.
    pub fn watching(&mut self) -> Arc<Mutex<Watching>> {
        Arc::clone(self.watching.get_or_insert_default())
    }

    /// Watches nothing any more; what was watched.
    pub fn unwatch(&mut self) -> Watching {
        self.watching.take().map(|watching| std::mem::take(&mut *watching.lock())).unwrap_or_default()
    }

    /// Back to what a new connection has (`RESET`).
    pub fn reset(&mut self) {
        let access = self.shared.front.gate.greet(self.certificate.as_deref());
        self.set_access(access);
        self.replies = Replies::On;
        self.leases.clear();
        self.transaction = None;
        self.monitored = None;
        self.untrack();
        self.unwatch();
        self.selected = None;
        self.set_database(None);
        self.set_protocol(Protocol::default());
        self.client().label(|label| label.name.clear());
    }

    /// Whether the next command's answer is unwanted; counts a skipped one.
    pub fn next_is_muted(&mut self) -> bool {
        match self.replies {
            Replies::On => false,
            Replies::Off => true,
            Replies::SkipNext => {
                self.replies = Replies::On;
                true
            }
        }
    }

    /// Carries out a command that concerns the connection.
    pub fn run(&mut self, run: super::commands::SessionFn, args: &Args) -> Output {
        let muted = self.next_is_muted();
        match run(self, args).unwrap_or_else(Output::Reply) {
            Output::Always(reply) => Output::Reply(reply),
            _ if muted => Output::Nothing,
            output => output,
        }
    }
}
