//! A server that is looked for anew with each connection: one at a fixed place, or whichever the sentinels call the primary.
//!
//! Invariant: behind sentinels only a server that says itself that it is a primary is used. What sentinels say may be older than
//! a failover.

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use redis::aio::AsyncPushSender;
use redis::{Cmd, Value};

use super::address::{Form, RedisAddress};
use super::endpoint::{Access, Endpoint, Manner, NoPushes, Opened};
use super::error;
use crate::ports::upstream::Types;

/// Where connections go.
pub(super) struct Target {
    place: Place,
    access: Access,
}

enum Place {
    At(Endpoint),
    Sentinels(Sentinels),
}

/// Who knows where the primary is.
struct Sentinels {
    endpoints: Vec<Endpoint>,
    name: String,
    access: Access,
    /// The one that answered last.
    first: AtomicUsize,
}

/// One target, or the nodes of a cluster from which the others are found.
pub(super) enum Where {
    One(Arc<Target>),
    Cluster(Vec<Endpoint>),
}

impl Where {
    /// As an address says.
    pub(super) fn of(address: &RedisAddress) -> Self {
        let place = match &address.form {
            Form::One(endpoint) => Place::At(endpoint.clone()),
            Form::Sentinel(endpoints, name) => Place::Sentinels(Sentinels {
                endpoints: endpoints.clone(),
                name: name.clone(),
                access: address.sentinel_access.clone(),
                first: AtomicUsize::new(0),
            }),
            Form::Cluster(seeds) => return Self::Cluster(seeds.clone()),
        };
        Self::One(Arc::new(Target { place, access: address.access.clone() }))
    }
}

impl Target {
    /// One server of a cluster.
    pub(super) fn at(endpoint: Endpoint, access: Access) -> Arc<Self> {
        Arc::new(Self { place: Place::At(endpoint), access })
    }

    /// Where it is, if it always is there.
    pub(super) const fn endpoint(&self) -> Option<&Endpoint> {
        match &self.place {
            Place::At(endpoint) => Some(endpoint),
            Place::Sentinels(_) => None,
        }
    }

    /// Whether another server may be found when this one is no longer the primary.
    pub(super) const fn may_move(&self) -> bool {
        matches!(self.place, Place::Sentinels(_))
    }

    /// Finds, connects and greets. The error says why not, in words.
    pub(super) async fn open<P: AsyncPushSender>(&self, manner: Manner<P>) -> Result<Opened, String> {
        match &self.place {
            Place::At(endpoint) => self.access.connect(endpoint, manner).await,
            Place::Sentinels(sentinels) => {
                let endpoint = sentinels.primary().await?;
                let opened = self.access.connect(&endpoint, manner).await;
                let (connection, mut driver) = opened.map_err(|cause| format!("{endpoint}: {cause}"))?;
                let mut role = Cmd::new();
                role.arg("ROLE");
                let answer = tokio::select! {
                    answer = connection.one(&role) => answer,
                    () = &mut driver => return Err(format!("{endpoint}: the connection broke")),
                };
                match answer {
                    Ok(answer) if is_primary(&answer) => Ok((connection, driver)),
                    Ok(Value::ServerError(error)) => Err(format!("{endpoint}: {}", error::line(&error))),
                    Ok(_) => Err(format!("{endpoint} is no primary; the sentinels have not agreed on another yet")),
                    Err(error) => Err(format!("{endpoint}: {error}")),
                }
            }
        }
    }
}

fn is_primary(role: &Value) -> bool {
    matches!(role, Value::Array(parts) if matches!(parts.first(), Some(Value::BulkString(word)) if word == b"master"))
}

impl Sentinels {
    /// Where the primary is, as the first sentinel that answers says.
    async fn primary(&self) -> Result<Endpoint, String> {
        let first = self.first.load(Ordering::Relaxed);
        let mut causes = Vec::new();
        for step in 0..self.endpoints.len() {
            let index = (first + step) % self.endpoints.len();
            let sentinel = &self.endpoints[index];
            match self.ask(sentinel).await {
                Ok(endpoint) => {
                    self.first.store(index, Ordering::Relaxed);
                    return Ok(endpoint);
                }
                Err(cause) => causes.push(format!("{sentinel}: {cause}")),
            }
        }
        Err(format!("no sentinel tells where the primary is: {}", causes.join("; ")))
    }

    async fn ask(&self, sentinel: &Endpoint) -> Result<Endpoint, String> {
        let opened = self.access.connect::<NoPushes>(sentinel, Manner::plain(Types::Rich)).await;
        let (connection, mut driver) = opened?;
        let mut question = Cmd::new();
        question.arg("SENTINEL").arg("GET-MASTER-ADDR-BY-NAME").arg(&self.name);
        let answer = tokio::select! {
            answer = connection.one(&question) => answer.map_err(|error| error.to_string())?,
            () = &mut driver => return Err("the connection broke".to_owned()),
        };
        let odd = || "it gives an answer that makes no sense".to_owned();
        match answer {
            Value::Nil => Err(format!("it knows no primary '{}'", self.name)),
            Value::ServerError(error) => Err(error::line(&error)),
            Value::Array(parts) => match parts.as_slice() {
                [Value::BulkString(host), Value::BulkString(port)] => {
                    let host = String::from_utf8(host.clone()).map_err(|_| odd())?;
                    let port = std::str::from_utf8(port).ok().and_then(|port| port.parse().ok()).ok_or_else(odd)?;
                    Ok(Endpoint::Tcp(host, port))
                }
                _ => Err(odd()),
            },
            _ => Err(odd()),
        }
    }
}

impl fmt::Display for Target {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.place {
            Place::At(endpoint) => endpoint.fmt(f),
            Place::Sentinels(sentinels) => write!(f, "the primary '{}'", sentinels.name),
        }
    }
}
