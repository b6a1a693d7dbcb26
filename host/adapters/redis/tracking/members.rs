//! The primaries of a cluster, followed as one stream for as long as it is they.
//!
//! ```text
//! CLUSTER SLOTS of any node ──> a joint of exactly its primaries ──> each says with every probe that it is one, and who they are
//!      ^                                                                      |
//!      +── other primaries: lost, a new joint <── asked again <── one of them says no, or does not answer
//! ```
//!
//! A failover is so noticed by whoever hears of it first: the old primary that says it is none, the others that name a new one, or
//! the connection that broke. A primary that is cut off from the rest, and does not know of its successor, alone cannot say
//! that all is well. Invariants: nothing is heard of a stream unless all its nodes agree who they are; the cluster is asked by one task,
//! and not too often. Deliberately absent: following replicas, which nothing is read from.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::Notify;
use tokio::task::JoinSet;
use tokio::time::sleep;

use super::joint::Joint;
use super::node::{Node, Probing};
use crate::adapters::redis::cluster::ask_slots;
use crate::adapters::redis::endpoint::{Access, Endpoint};
use crate::adapters::redis::target::Target;
use crate::limits::{CLUSTER_LOOK_MS_MIN, STORE_BACKOFF_MS_MAX};
use crate::ports::coherence::ChangeListener;

/// A node's place in a cluster.
pub(super) struct Member {
    /// What the cluster calls it.
    pub(super) id: String,
    /// All primaries, itself among them.
    pub(super) all: Arc<BTreeSet<String>>,
    /// Told when it is not followed any more.
    pub(super) doubt: Arc<Notify>,
}

/// A cluster.
pub(super) struct Members {
    /// Who is asked first.
    pub(super) seeds: Vec<Endpoint>,
    pub(super) access: Access,
    pub(super) listener: Arc<dyn ChangeListener>,
    pub(super) probing: Arc<Probing>,
}

/// The primaries by their names.
type Primaries = BTreeMap<String, Endpoint>;

/// Those that are followed now.
struct Followed {
    primaries: Primaries,
    joint: Arc<Joint>,
    tasks: JoinSet<()>,
}

impl Members {
    /// Follows the cluster for ever.
    pub(super) async fn follow(self) {
        let doubt = Arc::new(Notify::new());
        let mut followed: Option<Followed> = None;
        loop {
            let known = followed.as_ref().map(|followed| &followed.primaries);
            match self.ask(known).await {
                Ok(primaries) if known == Some(&primaries) => {}
                Ok(primaries) => {
                    if let Some(mut old) = followed.take() {
                        // First nobody is left who might say that the old stream runs.
                        old.tasks.shutdown().await;
                        old.joint.end();
                        tracing::info!("the store's cluster has other primaries: its changes are followed anew");
                    }
                    followed = Some(self.begin(primaries, &doubt));
                }
                Err(why) => tracing::debug!(why, "the store's cluster does not say who its primaries are"),
            }
            let pause_ms = if followed.is_some() { CLUSTER_LOOK_MS_MIN } else { STORE_BACKOFF_MS_MAX };
            let pause_ms = pause_ms / 2 + self.probing.clock.random() % (pause_ms / 2 + 1);
            sleep(Duration::from_millis(pause_ms)).await;
            if followed.is_some() {
                // A node that is not followed says so with each attempt.
                doubt.notified().await;
            }
        }
    }

    fn begin(&self, primaries: Primaries, doubt: &Arc<Notify>) -> Followed {
        let joint = Arc::new(Joint::new(primaries.len(), Arc::clone(&self.listener)));
        let all: Arc<BTreeSet<String>> = Arc::new(primaries.keys().cloned().collect());
        let mut tasks = JoinSet::new();
        for (number, (id, endpoint)) in primaries.iter().enumerate() {
            let node = Node {
                number,
                target: Target::at(endpoint.clone(), self.access.clone()),
                joint: Arc::clone(&joint),
                probing: Arc::clone(&self.probing),
                member: Some(Member { id: id.clone(), all: Arc::clone(&all), doubt: Arc::clone(doubt) }),
            };
            tasks.spawn(node.follow());
        }
        Followed { primaries, joint, tasks }
    }

    /// Asks the known nodes and those of the settings until one says who the primaries are.
    async fn ask(&self, known: Option<&Primaries>) -> Result<Primaries, String> {
        let known = known.into_iter().flat_map(BTreeMap::values);
        let mut places: Vec<&Endpoint> = known.collect();
        places.extend(self.seeds.iter().filter(|seed| !places.contains(seed)).collect::<Vec<_>>());
        // Another one each time: one that is cut off from the rest says for ever what was true once.
        if let Some(first) = self.probing.clock.random().checked_rem(places.len() as u64) {
            places.rotate_left(usize::try_from(first).unwrap_or_default());
        }
        let mut causes = Vec::new();
        for place in places {
            match ask_slots(&self.access, place).await {
                Ok(served) if served.iter().any(|node| node.id.is_empty()) => {
                    causes.push(format!("{place}: its CLUSTER SLOTS names no nodes"));
                }
                Ok(served) => return Ok(served.into_iter().map(|node| (node.id, node.endpoint)).collect()),
                Err(cause) => causes.push(format!("{place}: {cause}")),
            }
        }
        Err(causes.join("; "))
    }
}
