//! A real Redis Cluster: three primaries with a third of the slots each, and replicas if they are wanted.

use larder::adapters::redis::{RedisAddress, RedisSettings, RedisStore};

use super::{RedisServer, STORE_MS, free_port, store};
use crate::support::wait::until;

/// Primaries.
const PRIMARIES: usize = 3;

/// A running cluster.
pub(crate) struct RedisCluster {
    /// The primaries, then their replicas in the same order.
    pub(crate) nodes: Vec<RedisServer>,
}

impl RedisCluster {
    /// Starts one whose nodes take another for dead after so many milliseconds.
    pub(crate) async fn start(with_replicas: bool, node_timeout_ms: u32) -> Self {
        let count = if with_replicas { PRIMARIES * 2 } else { PRIMARIES };
        let nodes: Vec<(RedisServer, u16)> = (0..count).map(|_| start_node(node_timeout_ms)).collect();
        for (place, (node, _)) in nodes.iter().enumerate() {
            node.cli(&["CLUSTER", "SET-CONFIG-EPOCH", &(place + 1).to_string()]);
        }
        for (place, (node, _)) in nodes.iter().take(PRIMARIES).enumerate() {
            let (first, last) = (place * 16_384 / PRIMARIES, (place + 1) * 16_384 / PRIMARIES - 1);
            assert_eq!(node.cli(&["CLUSTER", "ADDSLOTSRANGE", &first.to_string(), &last.to_string()]), "OK");
        }
        for (node, bus) in &nodes[1..] {
            let met = nodes[0].0.cli(&["CLUSTER", "MEET", "127.0.0.1", &node.port().to_string(), &bus.to_string()]);
            assert_eq!(met, "OK");
        }
        let cluster = Self { nodes: nodes.into_iter().map(|(node, _)| node).collect() };
        cluster.agrees(count).await;
        for place in PRIMARIES..count {
            let id = cluster.nodes[place - PRIMARIES].cli(&["CLUSTER", "MYID"]);
            until("the node is known as a primary", async || {
                (cluster.nodes[place].cli(&["CLUSTER", "REPLICATE", &id]) == "OK").then_some(())
            })
            .await;
        }
        for node in &cluster.nodes[PRIMARIES..] {
            until("a replica follows", async || {
                node.cli(&["INFO", "replication"]).contains("master_link_status:up").then_some(())
            })
            .await;
        }
        if with_replicas {
            for node in &cluster.nodes {
                until("all know of all replicas", async || {
                    (node.cli(&["CLUSTER", "NODES"]).matches(" slave ").count()
                        + node.cli(&["CLUSTER", "NODES"]).matches(",slave ").count()
                        >= PRIMARIES)
                        .then_some(())
                })
                .await;
            }
        }
        cluster
    }

    /// Waits until all nodes know of so many, and that all slots are served.
    async fn agrees(&self, count: usize) {
        for node in &self.nodes {
            until("the cluster agrees", async || {
                let info = node.cli(&["CLUSTER", "INFO"]);
                (info.contains("cluster_state:ok") && info.contains(&format!("cluster_known_nodes:{count}\r")))
                    .then_some(())
            })
            .await;
        }
    }

    /// Where it is: two of its nodes.
    pub(crate) fn url(&self) -> String {
        format!("redis+cluster://127.0.0.1:{},127.0.0.1:{}", self.nodes[0].port(), self.nodes[1].port())
    }

    /// A store on it.
    pub(crate) fn store(&self) -> RedisStore {
        let address = RedisAddress::parse(&self.url()).expect("an address");
        store(RedisSettings { store_ms: STORE_MS, ..RedisSettings::new(address) })
    }

    /// The primary of a key when the cluster was new.
    pub(crate) fn place_of(&self, key: &str) -> usize {
        let slot: usize = self.slot(key).parse().expect("a slot");
        (0..PRIMARIES).find(|place| slot < (place + 1) * 16_384 / PRIMARIES).expect("one of them")
    }

    /// The slot of a key.
    pub(crate) fn slot(&self, key: &str) -> String {
        self.nodes[0].cli(&["CLUSTER", "KEYSLOT", key])
    }

    /// A key of each primary, all different from those of other names.
    pub(crate) fn keys(&self, name: &str) -> Vec<String> {
        let of = |place| (0..).map(|n| format!("{name}{n}")).find(|key| self.place_of(key) == place);
        (0..PRIMARIES).map(|place| of(place).expect("some key")).collect()
    }
}

fn start_node(node_timeout_ms: u32) -> (RedisServer, u16) {
    let bus = free_port();
    let (bus_text, timeout) = (bus.to_string(), node_timeout_ms.to_string());
    let arguments = [
        "--cluster-enabled",
        "yes",
        "--cluster-port",
        &bus_text,
        "--cluster-node-timeout",
        &timeout,
        "--repl-diskless-sync-delay",
        "0",
    ];
    (RedisServer::start_with(&arguments), bus)
}
