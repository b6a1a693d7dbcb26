//! Larder beside a real Redis, in the `default` domain: the same commands over real connections get the same bytes, in RESP2 and
//! RESP3, with the memory store and with Redis as the store.

mod peer;
mod random;
mod session;
mod transactions;
