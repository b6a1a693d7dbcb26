//! The open connections: who they are, and how one is told to end from outside.
//!
//! Invariant: a connection is in the list from its acceptance to its drop, by a guard; so the list is also the count that the
//! connection limit goes by. Deliberately absent: sockets, and what a connection is doing beyond its last command.

use std::collections::BTreeMap;
use std::fmt::Write;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU8, AtomicU64, Ordering};

use parking_lot::Mutex;
use tokio::sync::oneshot;

use super::reply::Protocol;
use crate::engine::tracking::Inbox;
use crate::ports::metrics::Metrics;
use crate::wire::places::{Full, Place, Places};

/// How a connection is told to end.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Ending {
    /// Not at all.
    None,
    /// After it has answered what it has read.
    Finish,
    /// At once.
    Kill,
}

/// One open connection.
#[derive(Debug)]
pub struct Client {
    /// Grows with every connection of this process.
    pub id: u64,
    /// Where it comes from.
    pub peer: SocketAddr,
    /// Where it came to.
    pub local: SocketAddr,
    /// The number of its socket in this process.
    fd: i32,
    /// When it was accepted, by the engine's wall clock.
    pub since_ms: u64,
    /// When it last sent something.
    active_ms: AtomicU64,
    /// Whether the host owes it an answer: then it has nothing to say.
    awaits: AtomicBool,
    label: Mutex<Label>,
    ending: AtomicU8,
    /// What it is yet to be told of copies that it keeps, or another one.
    pub told: Arc<Inbox>,
    /// Whether it waits for the end of a pause.
    paused: AtomicBool,
    /// Ends the command that waits for what others do, if there is one.
    blocked: Mutex<Option<oneshot::Sender<Unblock>>>,
}

/// What a command is answered that `CLIENT UNBLOCK` ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Unblock {
    /// What it is answered when its time is over.
    AsTimeout,
    /// An error.
    AsError,
}

/// What a client says of itself, and what it last did.
#[derive(Clone, Debug)]
pub struct Label {
    /// `CLIENT SETNAME`.
    pub name: String,
    /// `CLIENT SETINFO lib-name`.
    pub lib_name: String,
    /// `CLIENT SETINFO lib-ver`.
    pub lib_version: String,
    /// Who it is; empty: it has not said so.
    pub user: Arc<str>,
    /// The protocol it speaks.
    pub protocol: Protocol,
    /// The number of the database that it has selected.
    pub database: u32,
    /// Its last command other than a hit.
    pub command: &'static str,
    /// How it keeps copies of its own, if it does.
    pub tracking: Option<Tracks>,
}

/// How a client keeps copies of its own, for others to see.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Tracks {
    /// The client that is told in its place; 0: none.
    pub redirect: u64,
    /// Whether it hears of keys by what they begin with.
    pub by_prefix: bool,
}

impl Client {
    /// Its label, to read or to change.
    pub fn label<T>(&self, with: impl FnOnce(&mut Label) -> T) -> T {
        with(&mut self.label.lock())
    }

    /// It sent something.
    pub fn active(&self, now_ms: u64) {
        self.active_ms.store(now_ms, Ordering::Relaxed);
    }

    /// Whether the host owes it an answer from now on.
    pub fn awaits(&self, awaits: bool) {
        self.awaits.store(awaits, Ordering::Relaxed);
    }

    /// How long it has said nothing though it might have, in milliseconds.
    #[must_use]
    pub fn idle_ms(&self, now_ms: u64) -> u64 {
        if self.awaits.load(Ordering::Relaxed) {
            return 0;
        }
        now_ms.saturating_sub(self.active_ms.load(Ordering::Relaxed))
    }

    /// It waits for what others do, until then at most.
    pub fn blocks(&self) -> oneshot::Receiver<Unblock> {
        let (sender, receiver) = oneshot::channel();
        *self.blocked.lock() = Some(sender);
        receiver
    }

    /// Whether it waits for what others do.
    fn is_blocked(&self) -> bool {
        self.blocked.lock().as_ref().is_some_and(|sender| !sender.is_closed())
    }

    /// Whether it waits for the end of a pause from now on.
    pub fn pauses(&self, pauses: bool) {
        self.paused.store(pauses, Ordering::Relaxed);
    }

    /// Ends the command that waits. Whether there was one.
    pub fn unblock(&self, how: Unblock) -> bool {
        self.blocked.lock().take().is_some_and(|sender| sender.send(how).is_ok())
    }

    /// Tells it to end, and wakes it up.
    pub fn end(&self, ending: Ending) {
        self.ending.fetch_max(ending as u8, Ordering::Release);
        self.told.waker.wake();
    }

    /// How it is told to end; its task is woken when that changes.
    pub fn poll_ending(&self, cx: &std::task::Context<'_>) -> Ending {
        self.told.waker.register(cx.waker());
        match self.ending.load(Ordering::Acquire) {
            0 => Ending::None,
            1 => Ending::Finish,
            _ => Ending::Kill,
        }
    }

    /// A line of `CLIENT LIST`, with the fields that Redis 7.0 and clients know.
    #[must_use]
    pub fn line(&self, now_ms: u64) -> String {
        let Label { name, lib_name, lib_version, user, protocol, database, command, tracking } =
            self.label(|label| label.clone());
        let (id, peer, local, fd, resp) = (self.id, self.peer, self.local, self.fd, protocol.number());
        let age = now_ms.saturating_sub(self.since_ms) / 1000;
        let idle = now_ms.saturating_sub(self.active_ms.load(Ordering::Relaxed)) / 1000;
        let mut line = format!(
            "id={id} addr={peer} laddr={local} fd={fd} name={name} age={age} idle={idle} flags={} db={database} ",
            self.flags(tracking)
        );
        let redirect = tracking.map_or(-1, |tracks| i64::try_from(tracks.redirect).unwrap_or(i64::MAX));
        // Clients look for the sizes of buffers; a connection at rest has none. Writing to a string does not fail.
        let _written = write!(
            line,
            "sub=0 psub=0 ssub=0 multi=-1 qbuf=0 qbuf-free=0 argv-mem=0 multi-mem=0 rbs=0 rbp=0 obl=0 oll=0 omem=0 tot-mem=0 \
             events=r cmd={command} user={user} redir={redirect} resp={resp} lib-name={lib_name} lib-ver={lib_version}"
        );
        line
    }

    /// The letters of `CLIENT LIST`, as far as something is known of them.
    fn flags(&self, tracking: Option<Tracks>) -> String {
        let letters = [
            (self.is_blocked() || self.paused.load(Ordering::Relaxed), 'b'),
            (tracking.is_some(), 't'),
            (tracking.is_some() && self.told.is_broken(), 'R'),
            (tracking.is_some_and(|tracks| tracks.by_prefix), 'B'),
        ];
        let letters: String = letters.into_iter().filter_map(|(is_so, letter)| is_so.then_some(letter)).collect();
        if letters.is_empty() { "N".to_owned() } else { letters }
    }
}

/// All open connections.
#[derive(Debug)]
pub struct Clients {
    open: Mutex<Open>,
    places: Arc<Places>,
    metrics: Arc<Metrics>,
}

#[derive(Debug, Default)]
struct Open {
    by_id: BTreeMap<u64, Arc<Client>>,
    last_id: u64,
    /// Set when no more may come.
    ending: bool,
}

/// Keeps a connection in the list.
#[derive(Debug)]
pub struct Registered {
    clients: Arc<Clients>,
    client: Arc<Client>,
    _place: Place,
}

impl Registered {
    /// The connection.
    #[must_use]
    pub const fn client(&self) -> &Arc<Client> {
        &self.client
    }
}

impl Drop for Registered {
    fn drop(&mut self) {
        self.client.told.close();
        self.clients.open.lock().by_id.remove(&self.client.id);
        self.clients.metrics.resp_connections.decrement();
    }
}

impl Clients {
    /// An empty list that takes as many as there are places.
    #[must_use]
    pub fn new(places: Arc<Places>, metrics: Arc<Metrics>) -> Arc<Self> {
        Arc::new(Self { open: Mutex::default(), places, metrics })
    }

    /// Takes a connection in.
    ///
    /// # Errors
    /// There are too many, or the host is closing.
    pub fn register(
        self: &Arc<Self>,
        (peer, local): (SocketAddr, SocketAddr),
        fd: i32,
        now_ms: u64,
    ) -> Result<Registered, Full> {
        let mut open = self.open.lock();
        let place = if open.ending { Err(Full::All) } else { self.places.take(peer.ip()) };
        let place = place.inspect_err(|_| self.metrics.resp_connections_refused.increment())?;
        open.last_id += 1;
        let client = Arc::new(Client {
            id: open.last_id,
            peer,
            local,
            fd,
            since_ms: now_ms,
            active_ms: AtomicU64::new(now_ms),
            awaits: AtomicBool::new(false),
            label: Mutex::new(Label {
                name: String::new(),
                lib_name: String::new(),
                lib_version: String::new(),
                user: "".into(),
                protocol: Protocol::default(),
                database: 0,
                command: "NULL",
                tracking: None,
            }),
            ending: AtomicU8::new(Ending::None as u8),
            told: Arc::default(),
            paused: AtomicBool::new(false),
            blocked: Mutex::default(),
        });
        open.by_id.insert(client.id, Arc::clone(&client));
        self.metrics.resp_connections.increment();
        self.metrics.resp_connections_total.increment();
        Ok(Registered { clients: Arc::clone(self), client, _place: place })
    }

    /// All of them, the oldest first.
    #[must_use]
    pub fn list(&self) -> Vec<Arc<Client>> {
        self.open.lock().by_id.values().cloned().collect()
    }

    /// The one of this number.
    #[must_use]
    pub fn find(&self, id: u64) -> Option<Arc<Client>> {
        self.open.lock().by_id.get(&id).cloned()
    }

    /// How many there are.
    #[must_use]
    pub fn count(&self) -> usize {
        self.open.lock().by_id.len()
    }

    /// How many of them wait for what others do, and how many for the end of a pause.
    #[must_use]
    pub fn waiting(&self) -> (usize, usize) {
        let open = self.open.lock();
        let count = |waits: fn(&Client) -> bool| open.by_id.values().filter(|client| waits(client)).count();
        (count(Client::is_blocked), count(|client| client.paused.load(Ordering::Relaxed)))
    }

    /// How many there may be.
    #[must_use]
    pub fn max(&self) -> usize {
        self.places.max()
    }

    /// Lets every connection finish, and takes no more.
    pub fn finish_all(&self) {
        let clients: Vec<_> = {
            let mut open = self.open.lock();
            open.ending = true;
            open.by_id.values().cloned().collect()
        };
        for client in clients {
            client.end(Ending::Finish);
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;
    use std::task::{Context, Waker};

    use super::{Clients, Ending};
    use crate::ports::metrics::Metrics;
    use crate::wire::places::Places;

    #[test]
    fn connections_are_counted_and_told_to_end() {
        let metrics = Arc::new(Metrics::default());
        let clients = Clients::new(Places::new(2), Arc::clone(&metrics));
        let address = "127.0.0.1:1".parse().unwrap();
        let open = || clients.register((address, address), 7, 5_000);
        let (first, second) = (open().unwrap(), open().unwrap());
        assert!(open().is_err());
        drop(first);
        let third = open().unwrap();
        assert_eq!(clients.list().iter().map(|client| client.id).collect::<Vec<_>>(), [2, 3]);
        assert_eq!((metrics.resp_connections.get(), metrics.resp_connections_total.get()), (2, 3));
        assert_eq!(metrics.resp_connections_refused.get(), 1);

        let ending = |client: &super::Registered| client.client().poll_ending(&Context::from_waker(Waker::noop()));
        assert_eq!(ending(&second), Ending::None);
        second.client().end(Ending::Kill);
        clients.finish_all();
        assert_eq!((ending(&second), ending(&third)), (Ending::Kill, Ending::Finish));
        drop((second, third));
        assert!(open().is_err(), "the host is closing");
        assert_eq!(metrics.resp_connections.get(), 0);
    }

    #[test]
    fn a_line_as_clients_read_it() {
        let clients = Clients::new(Places::new(1), Arc::default());
        let open =
            clients.register(("127.0.0.1:5".parse().unwrap(), "127.0.0.1:6".parse().unwrap()), 7, 1_000).unwrap();
        open.client().label(|label| {
            label.name.push_str("worker");
            label.user = "ada".into();
        });
        open.client().active(3_000);
        assert_eq!(
            open.client().line(9_500),
            "id=1 addr=127.0.0.1:5 laddr=127.0.0.1:6 fd=7 name=worker age=8 idle=6 flags=N db=0 sub=0 psub=0 ssub=0 multi=-1 \
             qbuf=0 qbuf-free=0 argv-mem=0 multi-mem=0 rbs=0 rbp=0 obl=0 oll=0 omem=0 tot-mem=0 events=r cmd=NULL user=ada redir=-1 resp=2 lib-name= lib-ver="
        );
    }
}
