//! The other databases of one server: each a store of its own, over connections that have selected it.
//!
//! Invariants: so many at most are open at the same time; one that nobody uses makes room for the next one. A connection never
//! changes its database. Where the address names a database, that one is all there is: whoever wrote it keeps to it. A cluster has one.

use std::collections::BTreeMap;
use std::sync::Arc;

use parking_lot::Mutex;
use redis::{Cmd, Value};
use tokio::time::{Instant, timeout_at};

use super::address::RedisAddress;
use super::endpoint::Manner;
use super::link::Link;
use super::node::Node;
use super::{Form, RedisStore, error, value};
use crate::limits::STORE_DATABASES_MAX;
use crate::ports::store::{Reply, StoreError, StoreResult};
use crate::ports::upstream::Types;

/// Those that are open, by their numbers.
#[derive(Default)]
pub(super) struct Databases(Mutex<BTreeMap<u32, Arc<RedisStore>>>);

impl Databases {
    fn find(&self, number: u32) -> Option<Arc<RedisStore>> {
        self.0.lock().get(&number).cloned()
    }

    /// One that is there, with room for it.
    fn keep(&self, number: u32, open: impl FnOnce() -> RedisStore) -> StoreResult<Arc<RedisStore>> {
        let mut all = self.0.lock();
        if all.len() >= STORE_DATABASES_MAX && !all.contains_key(&number) {
            let unused = all.iter().find(|(_, store)| Arc::strong_count(store) == 1).map(|(&number, _)| number);
            let Some(unused) = unused else {
                let message = format!("{STORE_DATABASES_MAX} databases besides 0 may be in use at the same time");
                return Err(StoreError::Busy(message));
            };
            all.remove(&unused);
        }
        Ok(Arc::clone(all.entry(number).or_insert_with(|| Arc::new(open()))))
    }
}

impl RedisAddress {
    /// The same with another database.
    fn at(&self, number: u32) -> Self {
        let mut address = self.clone();
        address.access.account = address.access.account.set_db(number.into());
        address
    }
}

impl RedisStore {
    /// Whether other databases than its own may be selected.
    pub(super) fn may_select(&self) -> bool {
        matches!(self.form, Form::One(_)) && self.address.access.account.db() == 0
    }

    /// Another database, if the server has it.
    pub(super) async fn other_database(&self, number: u32) -> StoreResult<Arc<Self>> {
        let Form::One(node) = &self.form else {
            return Err(StoreError::Reply("ERR SELECT is not allowed in cluster mode".to_owned()));
        };
        if !self.may_select() {
            let line =
                "ERR DB index is out of range: store.url names a database, and this host serves that one alone, as 0";
            return Err(StoreError::Reply(line.to_owned()));
        }
        if let Some(open) = self.databases.find(number) {
            return Ok(open);
        }
        self.common.within(|deadline| probe(node, number, deadline)).await?;
        self.databases.keep(number, || Self::over(self.address.at(number), Arc::clone(&self.common)))
    }

    /// What the server says of the databases that hold something. Of a cluster nothing: each of its nodes has a part.
    pub(super) async fn databases_in_use(&self) -> StoreResult<Vec<(u32, String)>> {
        if matches!(self.form, Form::Cluster(_)) {
            return Ok(Vec::new());
        }
        let text = self.info("keyspace").await?;
        let line = |line: &str| {
            let (number, rest) = line.trim_end().strip_prefix("db")?.split_once(':')?;
            Some((number.parse::<u32>().ok()?, rest.to_owned()))
        };
        let all = text.lines().filter_map(line);
        if self.may_select() {
            return Ok(all.collect());
        }
        let own = self.address.access.account.db();
        Ok(all.filter(|(number, _)| i64::from(*number) == own).map(|(_, rest)| (0, rest)).collect())
    }

    /// How many of the server's clients wait for what others do. Of a cluster nothing: they wait at each of its nodes.
    pub(super) async fn clients_blocked(&self) -> StoreResult<Option<u64>> {
        if matches!(self.form, Form::Cluster(_)) {
            return Ok(None);
        }
        let text = self.info("clients").await?;
        Ok(text.lines().find_map(|line| line.strip_prefix("blocked_clients:")?.trim_end().parse().ok()))
    }

    async fn info(&self, section: &str) -> StoreResult<String> {
        let mut question = Cmd::new();
        question.arg("INFO").arg(section);
        self.one(question, |address, answer| match value::reply(address, answer)? {
            Reply::Bulk(text) | Reply::Verbatim(_, text) => Ok(String::from_utf8_lossy(&text).into_owned()),
            Reply::Error(line) => Err(StoreError::Reply(line)),
            _ => Err(StoreError::Protocol("INFO is no text".to_owned())),
        })
        .await
    }
}

/// Asks the server whether it has a database, on a connection that is not used again.
async fn probe(node: &Node, number: u32, deadline: Instant) -> StoreResult<()> {
    let target = &*node.target;
    let mut question = Cmd::new();
    question.arg("SELECT").arg(number);
    let asked = async {
        let link =
            Link::open(target, Manner::plain(Types::Rich)).await.map_err(|cause| error::unavailable(target, &cause))?;
        match link.one(&question).await.map_err(|cause| error::in_flight(target, &cause))? {
            Value::ServerError(error) => Err(error::refused(target, &error)),
            _ => Ok(()),
        }
    };
    timeout_at(deadline, asked).await.unwrap_or_else(|_| Err(error::unavailable(target, "no connection in time")))
}
