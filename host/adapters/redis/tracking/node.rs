//! One node that is followed: its connection, made again and again, and its probes.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use parking_lot::Mutex;
use redis::{Cmd, PushInfo, PushKind, Value};
use tokio::sync::Notify;
use tokio::task::JoinSet;
use tokio::time::{sleep, timeout};

use super::joint::Joint;
use super::members::Member;
use super::view::View;
use crate::adapters::redis::cluster::slot;
use crate::adapters::redis::connection::Connection;
use crate::adapters::redis::endpoint::Manner;
use crate::adapters::redis::error;
use crate::adapters::redis::target::Target;
use crate::limits::{
    PROBE_KEY_MS, PROBE_KEY_TRIES_MAX, STORE_BACKOFF_MS_MAX, STORE_BACKOFF_MS_MIN, TRACKING_REFUSED_MS,
};
use crate::ports::clock::Clock;
use crate::ports::metrics::Metrics;
use crate::ports::upstream::Types;

/// How nodes are asked whether they still tell.
pub(super) struct Probing {
    pub(super) trust_ms: u64,
    pub(super) probe_ms: u64,
    /// What the keys begin with.
    pub(super) prefix: String,
    pub(super) clock: Arc<dyn Clock>,
    pub(super) metrics: Arc<Metrics>,
}

/// A node.
pub(super) struct Node {
    pub(super) number: usize,
    pub(super) target: Arc<Target>,
    pub(super) joint: Arc<Joint>,
    pub(super) probing: Arc<Probing>,
    /// Its place in a cluster, if it is in one.
    pub(super) member: Option<Member>,
}

/// Why it is not followed any more.
enum Ended {
    /// Other keys are wanted now: at once again.
    Changed,
    /// The connection, or the node, is gone, or silent.
    Lost(String),
    /// It does not tell, whoever asks.
    Refused(String),
}

/// A probe that is under way.
#[derive(Debug)]
struct Probe {
    key: Bytes,
    back: Notify,
}

impl Node {
    /// Follows the node for ever.
    pub(super) async fn follow(self) {
        let mut pause_ms = STORE_BACKOFF_MS_MIN;
        let mut told = false;
        loop {
            let began_ns = self.probing.clock.monotonic_ns();
            let ended = self.follow_once().await;
            self.joint.lost(self.number);
            let address = &self.target;
            if let (Some(member), false) = (&self.member, matches!(ended, Ended::Changed)) {
                member.doubt.notify_one();
            }
            match ended {
                Ended::Changed => continue,
                Ended::Lost(why) => tracing::debug!(%address, why, "the store's changes are not told"),
                Ended::Refused(why) => {
                    self.probing.metrics.coherence.refused.increment();
                    if !std::mem::replace(&mut told, true) {
                        let trust_ms = self.probing.trust_ms;
                        tracing::warn!(%address, why, trust_ms, "the store refuses to tell its changes: copies are believed for l1.trust");
                    }
                    pause_ms = TRACKING_REFUSED_MS;
                }
            }
            // Between half the pause and all of it, so that many hosts do not come back in one moment.
            sleep(Duration::from_millis(pause_ms / 2 + self.probing.clock.random() % (pause_ms / 2 + 1))).await;
            let lasted_ms = self.probing.clock.monotonic_ns().saturating_sub(began_ns) / 1_000_000;
            let was_well = lasted_ms > pause_ms.saturating_add(self.probing.trust_ms.saturating_mul(2));
            pause_ms = if was_well { STORE_BACKOFF_MS_MIN } else { (pause_ms * 2).min(STORE_BACKOFF_MS_MAX) };
        }
    }

    async fn follow_once(&self) -> Ended {
        let probe = Arc::new(Mutex::new(Arc::new(self.new_probe())));
        let (joint, watched) = (Arc::clone(&self.joint), Arc::clone(&probe));
        let told = move |push: PushInfo| {
            if push.kind == PushKind::Invalidate {
                let probe = Arc::clone(&watched.lock());
                joint.told(&push.data);
                // After all that was told before it and with it.
                if names(&push.data, &probe.key) {
                    probe.back.notify_one();
                }
            }
            Ok::<(), redis::aio::SendError>(())
        };
        let (connection, driver) = match self.target.open(Manner { types: Types::Rich, pushes: Some(told) }).await {
            Ok(connected) => connected,
            Err(why) => return Ended::Lost(why),
        };
        // It ends with this call, and before it with the connection.
        let mut driving = JoinSet::new();
        driving.spawn(driver);
        let wanted = self.joint.wanted();
        match self.ask(&connection, &tracking(&wanted)).await {
            Ok(Value::ServerError(refusal)) => return self.refused(&refusal),
            Ok(_) => {}
            Err(why) => return Ended::Lost(why),
        }
        let within = Duration::from_millis(self.probing.trust_ms);
        match timeout(within, self.stand(&connection, &probe)).await {
            Ok(Ok(())) => self.joint.began(self.number, wanted.is_empty()),
            Ok(Err(ended)) => return ended,
            Err(_) => return Ended::Lost(self.silence()),
        }
        loop {
            if let Err(ended) = self.prove(&connection, &probe).await {
                return ended;
            }
            tokio::select! {
                () = sleep(Duration::from_millis(self.probing.probe_ms)) => {}
                _ = driving.join_next() => return Ended::Lost("the connection ended".to_owned()),
            }
            if self.joint.wanted() != wanted {
                return Ended::Changed;
            }
        }
    }

    /// Sends a probe and waits for its own change.
    async fn prove(&self, connection: &Connection, current: &Mutex<Arc<Probe>>) -> Result<(), Ended> {
        let clock = &self.probing.clock;
        // Before the cluster is asked, too: nothing is known of later than that.
        let as_of_ms = clock.wall_ms();
        let back = timeout(Duration::from_millis(self.probing.trust_ms), async {
            self.stand(connection, current).await?;
            let probe = Arc::clone(&current.lock());
            let sent_ns = clock.monotonic_ns();
            let mut renew = Cmd::new();
            renew.arg("PEXPIRE").arg(&*probe.key).arg(PROBE_KEY_MS);
            match connection.one(&renew).await.map_err(|e| Ended::Lost(e.to_string()))? {
                Value::Int(1) => {}
                Value::ServerError(refusal) => return self.elsewhere(&refusal, current),
                _ => {
                    let mut set = Cmd::new();
                    set.arg("SET").arg(&*probe.key).arg("").arg("PX").arg(PROBE_KEY_MS);
                    let answer = connection.one(&set).await;
                    if let Value::ServerError(refusal) = answer.map_err(|e| Ended::Lost(e.to_string()))? {
                        return self.elsewhere(&refusal, current);
                    }
                }
            }
            probe.back.notified().await;
            Ok(Some(sent_ns))
        });
        if let Some(sent_ns) = back.await.map_err(|_| Ended::Lost(self.silence()))?? {
            self.probing.metrics.coherence.lag.observe_ns(clock.monotonic_ns().saturating_sub(sent_ns));
            // A clock that was set while the probe was under way says nothing.
            if clock.wall_ms() >= as_of_ms {
                self.joint.heard(self.number, as_of_ms);
            }
        }
        Ok(())
    }

    /// Whether the cluster, as this node knows it, is still the one that is followed; if so, the probe's key is one of this node's.
    async fn stand(&self, connection: &Connection, current: &Mutex<Arc<Probe>>) -> Result<(), Ended> {
        let Some(member) = &self.member else { return Ok(()) };
        let mut question = Cmd::new();
        question.arg("CLUSTER").arg("NODES");
        let text = match connection.one(&question).await.map_err(|e| Ended::Lost(e.to_string()))? {
            Value::ServerError(refusal) => return Err(self.refused(&refusal)),
            Value::VerbatimString { text, .. } => text,
            Value::BulkString(text) => String::from_utf8_lossy(&text).into_owned(),
            _ => String::new(),
        };
        let view = View::read(&text).ok_or_else(|| Ended::Lost("its CLUSTER NODES makes no sense".to_owned()))?;
        view.confirms(&member.id, &member.all).map_err(Ended::Lost)?;
        let key = current.lock().key.clone();
        if !view.serves(slot(&key)) {
            let from = self.probing.clock.random();
            let mut keys = (0..PROBE_KEY_TRIES_MAX).map(|step| self.key(from.wrapping_add(step)));
            let key = keys.find(|key| view.serves(slot(key)));
            let key = key.ok_or_else(|| Ended::Lost("all its slots are being moved".to_owned()))?;
            *current.lock() = Arc::new(Probe { key, back: Notify::new() });
        }
        Ok(())
    }

    /// The probe's key lies on another node of a cluster: the next one may lie here. Everything else is a refusal.
    fn elsewhere(&self, refusal: &redis::ServerError, probe: &Mutex<Arc<Probe>>) -> Result<Option<u64>, Ended> {
        if matches!(refusal.code(), "MOVED" | "ASK") {
            *probe.lock() = Arc::new(self.new_probe());
            return Ok(None);
        }
        Err(self.refused(refusal))
    }

    /// A primary that was replaced by another one is lost; the next connection finds that.
    fn refused(&self, refusal: &redis::ServerError) -> Ended {
        let line = error::line(refusal);
        let is_replaced = error::is_replica(refusal) && (self.member.is_some() || self.target.may_move());
        if is_replaced || error::is_unavailable(refusal) { Ended::Lost(line) } else { Ended::Refused(line) }
    }

    fn new_probe(&self) -> Probe {
        Probe { key: self.key(self.probing.clock.random()), back: Notify::new() }
    }

    /// In a slot of its own, nearly: all of it is what a cluster hashes.
    fn key(&self, number: u64) -> Bytes {
        format!("{}probe:{number:016x}}}", self.probing.prefix).into()
    }

    fn silence(&self) -> String {
        format!("no change came back within {} ms", self.probing.trust_ms)
    }

    async fn ask(&self, connection: &Connection, command: &Cmd) -> Result<Value, String> {
        let answer = timeout(Duration::from_millis(self.probing.trust_ms.max(1)), connection.one(command)).await;
        answer.map_err(|_| format!("no answer within {} ms", self.probing.trust_ms))?.map_err(|error| error.to_string())
    }
}

/// Whether a key is among those that were told.
fn names(data: &[Value], key: &[u8]) -> bool {
    let is_it = |value: &Value| matches!(value, Value::BulkString(told) if told == key);
    data.iter().any(|part| matches!(part, Value::Array(keys) if keys.iter().any(is_it)))
}

fn tracking(prefixes: &[Bytes]) -> Cmd {
    let mut command = Cmd::new();
    command.arg("CLIENT").arg("TRACKING").arg("ON").arg("BCAST");
    for prefix in prefixes {
        command.arg("PREFIX").arg(&**prefix);
    }
    command
}
