//! What a connection knows of its client between commands, and what all connections of the front end share.
//!
//! Deliberately absent: the socket, the commands in flight, and databases other than 0.

use std::net::SocketAddr;
use std::sync::Arc;

use parking_lot::Mutex;
use sha2::{Digest, Sha256};

use super::RespConfig;
use super::args::Args;
use super::clients::{Client, Clients, Registered};
use super::reply::Protocol;
use super::transaction::{Transaction, Watching};
use crate::engine::Engine;
use crate::ports::store::Reply;

/// The one user there is, as Redis calls it.
pub const USER: &str = "default";

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
    password: Option<Password>,
}

impl Shared {
    /// What the connections of a listener at `local` share.
    #[must_use]
    pub fn new(config: &RespConfig, engine: Arc<Engine>, local: SocketAddr) -> Self {
        let clients = Clients::new(config.connections_max, Arc::clone(engine.metrics()));
        let password = config.password.as_deref().map(Password::new);
        Self { started_ns: engine.monotonic_ns(), clients, local, password, engine }
    }

    /// Whether clients have to say a password.
    #[must_use]
    pub const fn has_password(&self) -> bool {
        self.password.is_some()
    }
}

/// A password, as a digest: so every guess is compared over the same length.
struct Password([u8; 32]);

impl Password {
    fn new(password: &str) -> Self {
        Self(Sha256::digest(password.as_bytes()).into())
    }

    /// Takes the same time wherever the guess is wrong.
    fn is(&self, guess: &[u8]) -> bool {
        let guess: [u8; 32] = Sha256::digest(guess).into();
        let difference = self.0.iter().zip(guess).fold(0, |difference, (a, b)| difference | (a ^ b));
        std::hint::black_box(difference) == 0
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

/// What `AUTH` found.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Login {
    /// It is right.
    Done,
    /// It is wrong.
    Wrong,
    /// There is no password to say.
    NotNeeded,
}

/// One connection's state.
pub struct Session {
    shared: Arc<Shared>,
    registered: Registered,
    authenticated: bool,
    /// The protocol of the answers from now on.
    protocol: Protocol,
    /// Which answers are wanted.
    pub replies: Replies,
    /// What came since `MULTI`.
    pub transaction: Option<Box<Transaction>>,
    /// Changed by commands that are at work, one at a time: each runs alone.
    watching: Option<Arc<Mutex<Watching>>>,
    /// Set by a command after whose answer the connection ends.
    pub closing: bool,
}

impl Session {
    /// The state of a new connection.
    #[must_use]
    pub fn new(shared: Arc<Shared>, registered: Registered) -> Self {
        let authenticated = !shared.has_password();
        Self {
            shared,
            registered,
            authenticated,
            protocol: Protocol::default(),
            replies: Replies::On,
            transaction: None,
            watching: None,
            closing: false,
        }
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

    /// This connection in the list of all.
    #[must_use]
    pub const fn client(&self) -> &Arc<Client> {
        self.registered.client()
    }

    /// Whether the password was said or none is needed.
    #[must_use]
    pub const fn authenticated(&self) -> bool {
        self.authenticated
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

    /// Whether a hit may be written without a further look at the session.
    #[must_use]
    pub fn is_plain(&self) -> bool {
        self.authenticated && self.replies == Replies::On && self.transaction.is_none()
    }

    /// Checks a user and a password. A wrong one changes nothing, as in Redis.
    pub fn login(&mut self, user: &[u8], password: &[u8]) -> Login {
        let known = user == USER.as_bytes();
        match &self.shared.password {
            None => return if known { Login::NotNeeded } else { Login::Wrong },
            Some(expected) => {
                // Both are looked at, whatever the first says.
                if !(expected.is(password) & known) {
                    return Login::Wrong;
                }
            }
        }
        self.authenticated = true;
        Login::Done
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
        self.authenticated = !self.shared.has_password();
        self.replies = Replies::On;
        self.transaction = None;
        self.unwatch();
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

#[cfg(test)]
mod tests {
    use super::Password;

    #[test]
    fn passwords() {
        let password = Password::new("secret");
        assert!(password.is(b"secret"));
        for wrong in ["", "secre", "secrets", "Secret"] {
            assert!(!password.is(wrong.as_bytes()), "{wrong}");
        }
    }
}
