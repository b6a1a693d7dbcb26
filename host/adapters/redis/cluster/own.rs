//! A connection of a caller's own in a cluster: it goes where its command is sent on to.

use std::sync::Arc;

use async_trait::async_trait;
use redis::Cmd;
use tokio::sync::mpsc::UnboundedSender;
use tokio::time::Instant;

use super::route::{self, Redirect, Route};
use super::{Cluster, Node};
use crate::adapters::redis::watch::Watching;
use crate::limits::CLUSTER_REDIRECTS_MAX;
use crate::ports::store::{Command, Reply, StoreError, StoreKey, StoreResult};
use crate::ports::upstream::{Dedicated, Heard, Types};

/// A connection to one node or, after a word of it, to another.
struct Roaming {
    cluster: Arc<Cluster>,
    node: Arc<Node>,
    own: Box<dyn Dedicated>,
    types: Types,
}

impl Cluster {
    /// A connection for one caller's command.
    pub(in crate::adapters::redis) async fn own(
        &self,
        command: &Cmd,
        types: Types,
        heard: Option<UnboundedSender<Heard>>,
        deadline: Instant,
    ) -> StoreResult<Box<dyn Dedicated>> {
        let slot = match route::of(command) {
            Route::Slot(slot) => Some(slot),
            Route::Nowhere => {
                let line = "ERR this command concerns one node, and behind it there is a cluster";
                return Err(StoreError::Reply(line.to_owned()));
            }
            _ => None,
        };
        let node = self.node_of(slot, deadline).await?;
        let listens = heard.is_some();
        let own = node.own(types, heard).await.inspect_err(|_| self.look())?;
        let Some(cluster) = self.me.upgrade().filter(|_| !listens) else { return Ok(own) };
        Ok(Box::new(Roaming { cluster, node, own, types }))
    }
}

impl Cluster {
    /// Watches keys, all of them on the node of the first.
    pub(in crate::adapters::redis) async fn watch(
        &self,
        keys: &[StoreKey],
        deadline: Instant,
    ) -> StoreResult<Watching> {
        let slot = keys.first().map(|key| route::slot(key.as_bytes()));
        let mut node = self.node_of(slot, deadline).await?;
        for _ in 0..=CLUSTER_REDIRECTS_MAX {
            let watching = Watching::begin(Arc::clone(&node), keys, deadline).await;
            let Err(error) = watching else { return watching };
            self.look();
            let StoreError::Reply(line) = &error else { return Err(error) };
            match redirect(line) {
                Some(Redirect::Moved(place)) => node = self.at(&place, &node)?,
                // The slot is on its way; nothing can be watched while it may arrive.
                Some(_) => {
                    let cause = "the slot of these keys is being moved; retry";
                    return Err(crate::adapters::redis::error::unavailable(&*node.target, cause));
                }
                None => return Err(error),
            }
        }
        Err(crate::adapters::redis::error::unavailable(&*node.target, "it is sent on for ever"))
    }
}

#[async_trait]
impl Dedicated for Roaming {
    async fn call(&mut self, command: Command) -> StoreResult<Reply> {
        for _ in 0..=CLUSTER_REDIRECTS_MAX {
            let answer = self.own.call(command.clone()).await;
            let answer = answer.inspect_err(|_| self.cluster.look())?;
            let Reply::Error(line) = &answer else { return Ok(answer) };
            let Some(redirect) = redirect(line) else { return Ok(answer) };
            self.cluster.look();
            let (place, asks) = match redirect {
                Redirect::Moved(place) => (place, false),
                Redirect::Ask(place) => (place, true),
                Redirect::Later => return Ok(answer),
            };
            self.node = self.cluster.at(&place, &self.node)?;
            self.own = self.node.own(self.types, None).await?;
            if asks {
                self.own.call(Command::new("ASKING")).await?;
            }
        }
        Err(crate::adapters::redis::error::unavailable(&*self.node.target, "it is sent on for ever"))
    }
}

fn redirect(line: &str) -> Option<Redirect> {
    let mut words = line.split(' ');
    let (code, place) = (words.next()?, words.nth(1).map(str::to_owned));
    match code {
        "MOVED" => place.map(Redirect::Moved),
        "ASK" => place.map(Redirect::Ask),
        _ => None,
    }
}
