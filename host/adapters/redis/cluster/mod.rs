//! A cluster: a map of its slots, and a node with its connections for each primary.
//!
//! A command goes where the map says; the node that gets it knows better. `MOVED` and `ASK` are followed, `TRYAGAIN` and
//! `CLUSTERDOWN` are asked again within the call's deadline. Each of them, and a node that cannot be reached, makes the map be read
//! anew, by one task at a time and not too often.
//!
//! Invariants: how often a command is sent elsewhere is bounded; what a node may have done is never repeated; a call waits for the
//! map only while there is none. Deliberately absent: reading from replicas, which are behind.

mod join;
mod map;
mod own;
mod pipeline;
mod route;
mod scan;

use std::collections::HashMap;
use std::sync::{Arc, Weak};
use std::time::Duration;

use arc_swap::ArcSwapOption;
use parking_lot::Mutex;
use redis::{Cmd, Pipeline, RedisResult, Value};
use tokio::sync::watch;
use tokio::time::{Instant, sleep, timeout_at};

use self::map::Map;
pub(super) use self::map::Served;
pub(super) use self::route::slot;
use self::route::{Redirect, Route};
use super::address::endpoint;
use super::endpoint::{Access, Endpoint, Manner, NoPushes};
use super::error;
use super::node::{Common, Node};
use super::target::Target;
use crate::limits::{CLUSTER_LOOK_MS_MIN, CLUSTER_REDIRECTS_MAX, CLUSTER_RETRY_MS_MIN};
use crate::ports::store::{StoreError, StoreResult};
use crate::ports::upstream::Types;

/// A cluster.
pub(super) struct Cluster {
    me: Weak<Self>,
    seeds: Vec<Endpoint>,
    access: Access,
    common: Arc<Common>,
    map: ArcSwapOption<Map>,
    nodes: Mutex<HashMap<Endpoint, Arc<Node>>>,
    looking: Mutex<Looking>,
}

/// Where reading the map stands.
#[derive(Default)]
struct Looking {
    /// The attempt that is under way; the channel closes when it is over.
    attempt: Option<watch::Receiver<()>>,
    /// When the last one was over.
    over: Option<Instant>,
    /// Why it failed, if it did.
    cause: Option<Arc<str>>,
}

impl Cluster {
    pub(super) fn new(seeds: Vec<Endpoint>, access: Access, common: Arc<Common>) -> Arc<Self> {
        Arc::new_cyclic(|me| Self {
            me: me.clone(),
            seeds,
            access,
            common,
            map: ArcSwapOption::empty(),
            nodes: Mutex::default(),
            looking: Mutex::default(),
        })
    }

    /// Sends one command and waits for its answer.
    pub(super) async fn one(&self, command: &Cmd, types: Types, deadline: Instant) -> StoreResult<Value> {
        match route::of(command) {
            Route::Slot(slot) => self.ask(command, Some(slot), types, deadline).await,
            Route::Any => self.ask(command, None, types, deadline).await,
            Route::Scan => self.scan(command, types, deadline).await,
            Route::All(how) => {
                let map = self.map(deadline).await?;
                let asked =
                    map.primaries.iter().map(|node| self.ask_at(command, Arc::clone(node), None, types, deadline));
                let answers = futures_util::future::join_all(asked).await;
                join::join(how, answers.into_iter().collect::<StoreResult<_>>()?)
            }
            Route::Split(..) => {
                let mut commands = Pipeline::with_capacity(1);
                commands.add_command(command.clone());
                let answers = self.pieces(&commands, types, deadline).await?;
                answers.into_iter().next().ok_or_else(super::missing_answer)
            }
            Route::Nowhere => Err(StoreError::Reply(
                "ERR this command concerns one node, and behind it there is a cluster".to_owned(),
            )),
        }
    }

    /// Sends a command to the node of a slot, or to any, and wherever it is sent from there.
    async fn ask(&self, command: &Cmd, slot: Option<u16>, types: Types, deadline: Instant) -> StoreResult<Value> {
        let node = self.node_of(slot, deadline).await?;
        self.ask_at(command, node, slot, types, deadline).await
    }

    async fn ask_at(
        &self,
        command: &Cmd,
        mut node: Arc<Node>,
        slot: Option<u16>,
        types: Types,
        deadline: Instant,
    ) -> StoreResult<Value> {
        let (mut asking, mut redirects, mut pause_ms) = (false, 0, CLUSTER_RETRY_MS_MIN);
        loop {
            let send = |link: Arc<super::link::Link>| async move { sent(&link, command, asking).await };
            let answer = match node.exchange(types, deadline, send).await {
                Ok((answer, _)) => answer,
                Err(error) => {
                    self.look();
                    return Err(error);
                }
            };
            let Some(redirect) = route::redirect(&answer) else { return Ok(answer) };
            self.look();
            match redirect {
                Redirect::Later => {
                    // It waits for the cluster to agree, and asks again while there is time.
                    if timeout_at(deadline, sleep(Duration::from_millis(pause_ms))).await.is_err() {
                        return Ok(answer);
                    }
                    pause_ms *= 2;
                    asking = false;
                    node = self.node_of(slot, deadline).await?;
                }
                Redirect::Moved(place) | Redirect::Ask(place) if redirects >= CLUSTER_REDIRECTS_MAX => {
                    let cause = format!("it is sent on for ever, at last to {place}");
                    return Err(error::unavailable(&*node.target, &cause));
                }
                Redirect::Moved(place) => {
                    (asking, redirects) = (false, redirects + 1);
                    node = self.at(&place, &node)?;
                }
                Redirect::Ask(place) => {
                    (asking, redirects) = (true, redirects + 1);
                    node = self.at(&place, &node)?;
                }
            }
        }
    }

    /// The node at a place that another node named; without a host it is that one's own.
    fn at(&self, place: &str, by: &Node) -> StoreResult<Arc<Node>> {
        let named = match (place.rsplit_once(':'), by.target.endpoint().and_then(map::host_of)) {
            (Some(("", port)), Some(host)) => port.parse().ok().map(|port| Endpoint::Tcp(host.to_owned(), port)),
            // A bare address of IPv6 is written without brackets there.
            (Some((host, port)), _) if host.contains(':') && !host.starts_with('[') => {
                port.parse().ok().map(|port| Endpoint::Tcp(host.to_owned(), port))
            }
            _ => endpoint(place, 0),
        };
        let odd = || StoreError::Protocol(format!("a command was sent on to '{place}', which is no place"));
        named.map(|endpoint| self.node(&endpoint)).ok_or_else(odd)
    }

    fn node(&self, endpoint: &Endpoint) -> Arc<Node> {
        let mut nodes = self.nodes.lock();
        let new = || Node::new(Target::at(endpoint.clone(), self.access.clone()), Arc::clone(&self.common));
        Arc::clone(nodes.entry(endpoint.clone()).or_insert_with(new))
    }

    /// The primary of a slot, or any.
    async fn node_of(&self, slot: Option<u16>, deadline: Instant) -> StoreResult<Arc<Node>> {
        let map = self.map(deadline).await?;
        let found = match slot {
            Some(slot) => map.of(slot),
            None => map.primaries.get((self.common.clock.random() % map.primaries.len() as u64) as usize),
        };
        found.map(Arc::clone).ok_or_else(|| {
            self.look();
            StoreError::Unavailable(format!("no node of the cluster serves slot {}", slot.unwrap_or_default()))
        })
    }

    /// The map; waits for the first one.
    async fn map(&self, deadline: Instant) -> StoreResult<Arc<Map>> {
        loop {
            if let Some(map) = self.map.load_full() {
                return Ok(map);
            }
            self.look();
            let (attempt, cause) = {
                let looking = self.looking.lock();
                (looking.attempt.clone(), looking.cause.clone())
            };
            let Some(mut attempt) = attempt else {
                if self.map.load().is_some() {
                    continue;
                }
                let cause = cause.unwrap_or_else(|| "its nodes were not asked yet".into());
                return Err(StoreError::Unavailable(format!("no node of the cluster can be reached: {cause}")));
            };
            if timeout_at(deadline, attempt.changed()).await.is_err() {
                return Err(StoreError::Connecting("no node of the cluster answered in time".to_owned()));
            }
        }
    }

    /// Begins to read the map anew, unless that is under way or was done a moment ago.
    fn look(&self) {
        let mut looking = self.looking.lock();
        // A channel that is closed is of an attempt that is over, or whose runtime has ended.
        let under_way = looking.attempt.as_ref().is_some_and(|attempt| attempt.has_changed().is_ok());
        let lately = looking.over.is_some_and(|over| over.elapsed() < Duration::from_millis(CLUSTER_LOOK_MS_MIN));
        if under_way || lately {
            if !under_way {
                looking.attempt = None;
            }
            return;
        }
        let (over, attempt) = watch::channel(());
        looking.attempt = Some(attempt);
        let me = self.me.clone();
        tokio::spawn(async move {
            let Some(cluster) = me.upgrade() else { return };
            let outcome = cluster.read_map().await;
            let mut looking = cluster.looking.lock();
            match (&outcome, &looking.cause) {
                (Err(cause), None) => tracing::warn!(%cause, "no node of the store's cluster tells its slots"),
                (Ok(()), Some(_)) => tracing::info!("the store's cluster tells its slots again"),
                _ => {}
            }
            looking.over = Some(Instant::now());
            looking.cause = outcome.err().map(Into::into);
            looking.attempt = None;
            drop((looking, over));
        });
    }

    /// Asks the known nodes, then those of the settings, until one says who serves what.
    async fn read_map(&self) -> Result<(), String> {
        let known: Vec<Endpoint> = match self.map.load_full() {
            Some(map) => map.primaries.iter().filter_map(|node| node.target.endpoint().cloned()).collect(),
            None => Vec::new(),
        };
        let seeds: Vec<&Endpoint> = self.seeds.iter().filter(|seed| !known.contains(seed)).collect();
        let mut causes = Vec::new();
        for place in known.iter().chain(seeds) {
            match ask_slots(&self.access, place).await {
                Ok(served) => {
                    let map = Map::new(&served, |endpoint| self.node(endpoint));
                    self.map.store(Some(Arc::new(map)));
                    self.nodes.lock().retain(|endpoint, _| served.iter().any(|known| known.endpoint == *endpoint));
                    return Ok(());
                }
                Err(cause) => causes.push(format!("{place}: {cause}")),
            }
        }
        Err(causes.join("; "))
    }
}

/// Asks a node who serves what. The error says why it does not tell, in words.
pub(super) async fn ask_slots(access: &Access, place: &Endpoint) -> Result<Vec<Served>, String> {
    let opened = access.connect::<NoPushes>(place, Manner::plain(Types::Rich)).await;
    let (connection, mut driver) = opened?;
    let mut question = Cmd::new();
    question.arg("CLUSTER").arg("SLOTS");
    let ask = async {
        tokio::select! {
            answer = connection.one(&question) => answer.map_err(|error| error.to_string()),
            () = &mut driver => Err("the connection broke".to_owned()),
        }
    };
    let within = Duration::from_millis(crate::limits::STORE_CONNECT_MS_MAX);
    let answer = tokio::time::timeout(within, ask).await.map_err(|_| "it does not answer".to_owned())??;
    map::read(answer, place)
}

/// One command, announced if it is about a slot that is on its way to this node.
async fn sent(link: &super::link::Link, command: &Cmd, asking: bool) -> RedisResult<Value> {
    if !asking {
        return link.one(command).await;
    }
    let mut commands = Pipeline::with_capacity(2);
    commands.cmd("ASKING").add_command(command.clone());
    Ok(link.many(&commands).await?.pop().unwrap_or(Value::Nil))
}
