//! The engine's face: what front ends call.

use std::sync::Arc;

use bytes::Bytes;

use super::api::*;
use crate::error::Result;
use crate::ports::metrics::Metrics;
use crate::ports::registry::Registry;
use crate::ports::store::{Reply, Ttl};

/// A value in L1 that may be served now.
pub struct Hit;

impl Hit {
    /// The value.
    pub fn value(&self) -> &Bytes {
        todo!()
    }
}

/// The cache.
pub struct Engine;

#[allow(unused_variables)]
impl Engine {
    /// The value of a key if L1 may answer by itself, without awaiting, policy or allocation. Counts nothing: the caller counts
    /// what it served with [`Self::count_hits`], once per batch.
    pub fn hit(&self, key: &[u8], now_ms: u64) -> Option<Arc<Hit>> {
        todo!()
    }
    /// Counts hits that [`Self::hit`] gave: one call per batch of equal domain; `elapsed_ns` is the time for all of them.
    pub fn count_hits(&self, hit: &Hit, n: u64, elapsed_ns: u64) {
        todo!()
    }
    pub fn now_ms(&self) -> u64 {
        todo!()
    }
    pub fn monotonic_ns(&self) -> u64 {
        todo!()
    }
    /// Reads a string.
    pub async fn get(&self, key: &[u8]) -> Result<Answer> {
        todo!()
    }
    /// Reads many; one answer for each key, in order (`MGET`: a key of another type is absent).
    pub async fn get_many(&self, keys: &[Bytes]) -> Result<Vec<Answer>> {
        todo!()
    }
    pub async fn set(&self, key: &[u8], value: Bytes, options: SetOptions) -> Result<SetAnswer> {
        todo!()
    }
    /// Writes many; all are planned and admitted before the first is stored.
    pub async fn set_many(&self, items: Vec<(Bytes, Bytes)>) -> Result<()> {
        todo!()
    }
    /// Removes keys; how many there were.
    pub async fn delete(&self, keys: &[Bytes]) -> Result<u64> {
        todo!()
    }
    /// How many of the keys exist; one that is named twice counts twice.
    pub async fn exists(&self, keys: &[Bytes]) -> Result<u64> {
        todo!()
    }
    /// Reads and removes (`GETDEL`).
    pub async fn take(&self, key: &[u8]) -> Result<Answer> {
        todo!()
    }
    /// Reads and changes the expiry (`GETEX`); `AskedTtl::None` removes it (`PERSIST`), `AskedTtl::Keep` leaves it.
    pub async fn get_and_expire(&self, key: &[u8], ttl: AskedTtl) -> Result<Answer> {
        todo!()
    }
    /// The fresh time left.
    pub async fn ttl(&self, key: &[u8]) -> Result<Ttl> {
        todo!()
    }
    /// Asks for another lifetime; a time that is past removes the key. `at_ms` is wall time. Whether it was changed.
    pub async fn expire(&self, key: &[u8], at_ms: u64, condition: ExpireCondition) -> Result<bool> {
        todo!()
    }
    /// Asks for no lifetime (`PERSIST`). Whether the key had one.
    pub async fn persist(&self, key: &[u8]) -> Result<bool> {
        todo!()
    }
    /// Redis' name of what a key holds: `string`, `list`, `none`, ….
    pub async fn kind(&self, key: &[u8]) -> Result<String> {
        todo!()
    }
    /// Length of a string; 0 if absent (`STRLEN`).
    pub async fn length(&self, key: &[u8]) -> Result<u64> {
        todo!()
    }
    /// Changes a value where it is. A `Reply::Error` of the store comes as `Err(StoreReply)`.
    pub async fn update(&self, key: &[u8], update: Update) -> Result<Reply> {
        todo!()
    }
    /// Why a key is answered as it is.
    pub async fn explain(&self, key: &[u8]) -> Result<Explanation> {
        todo!()
    }
    pub fn metrics(&self) -> &Arc<Metrics> {
        todo!()
    }
    pub fn registry(&self) -> &Arc<dyn Registry> {
        todo!()
    }
    /// Whether the store answers and policies are loaded, for `/readyz`.
    pub async fn ready(&self) -> Result<()> {
        todo!()
    }
    /// The separator between a domain and the rest of a key.
    pub fn separator(&self) -> u8 {
        todo!()
    }
}
