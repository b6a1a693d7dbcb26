//! One suite for every store: what the port promises, run on the memory store and on a real Redis.
//!
//! `typed` checks the port's own methods; `random` lets both carry out the same random commands and compares reply by reply;
//! the others hold Redis commands with the replies that both must give.

mod blocks;
mod hashes;
mod lists;
mod numbers;
pub(crate) mod random;
mod scans;
mod script;
mod scripts;
mod sets;
mod space;
pub(crate) mod text;
mod typed;
mod types;

use std::sync::Arc;

use bytes::Bytes;
use larder::adapters::memory::{MemorySettings, MemoryStore};
use larder::adapters::redis::RedisStore;
use larder::ports::clock::VirtualClock;
use larder::ports::store::{Store, StoreKey, Ttl};

use crate::support::redis::RedisServer;
use crate::support::redis::cluster::RedisCluster;
use crate::support::redis::secured::SecuredRedis;
use crate::support::redis::sentinels::Sentinels;
use crate::support::wait::until;

/// A store and its time.
struct Bench {
    store: Arc<dyn Store>,
    /// The memory store's; Redis has its own.
    clock: Option<Arc<VirtualClock>>,
    _server: Option<RedisServer>,
}

impl Bench {
    fn memory() -> Self {
        let clock = Arc::new(VirtualClock::new(1_700_000_000_000, 1));
        let store = Arc::new(MemoryStore::new(MemorySettings::default(), Arc::clone(&clock) as _));
        Self { store, clock: Some(clock), _server: None }
    }

    fn redis() -> Self {
        let server = RedisServer::start();
        Self { store: Arc::new(server.store()), clock: None, _server: Some(server) }
    }

    fn of(store: RedisStore) -> Self {
        Self { store: Arc::new(store), clock: None, _server: None }
    }

    /// Lets a key's life of so many milliseconds pass: at once in virtual time, else by waiting for what will come.
    async fn outlive(&self, key: &StoreKey, ms: u64) {
        if let Some(clock) = &self.clock {
            clock.advance_ms(ms + 1);
        }
        until("the key has expired", async || {
            (self.store.ttl(key).await.expect("answers") == Ttl::Missing).then_some(())
        })
        .await;
    }
}

fn key(name: &'static str) -> StoreKey {
    StoreKey(Bytes::from_static(name.as_bytes()))
}

/// Runs each function on both stores.
macro_rules! on_both_stores {
    ($($path:ident :: $name:ident),* $(,)?) => {
        mod memory {
            $(#[tokio::test]
            async fn $name() {
                super::$path::$name(&super::Bench::memory()).await;
            })*
        }
        mod redis {
            $(#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
            async fn $name() {
                super::$path::$name(&super::Bench::redis()).await;
            })*
        }
    };
}

/// Runs functions one after the other on an empty store of one of Redis' forms.
macro_rules! on {
    ($bench:expr; $($path:ident::$name:ident),* $(,)?) => {
        $(
            let bench = $bench;
            bench.store.call(text::command("FLUSHALL")).await.expect("it empties");
            println!("{}::{}", stringify!($path), stringify!($name));
            $path::$name(&bench).await;
        )*
    };
}

/// What any form of Redis does with the keys of one slot, and with many keys as far as they are looked at one by one.
macro_rules! on_any_form {
    ($bench:expr) => {
        on! {
            $bench;
            typed::what_is_stored_is_read,
            typed::any_bytes_are_keys_and_values,
            typed::large_values_are_whole,
            typed::a_ttl_is_told_only_if_asked_for,
            typed::an_expired_key_is_gone,
            typed::a_write_says_what_becomes_of_the_expiry,
            typed::an_expiry_is_changed,
            typed::many_are_read_in_order,
            typed::many_are_stored_at_once,
            typed::deletion_tells_what_was_there,
            typed::an_absent_key_is_filled_once,
            typed::a_value_is_replaced_if_it_begins_as_expected,
            typed::a_replacement_says_what_becomes_of_the_expiry,
            typed::a_value_is_removed_if_it_begins_as_expected,
            typed::replacements_that_race_lose_nothing,
            typed::fills_that_race_have_one_winner,
            typed::a_pipeline_answers_each_command_in_order,
            typed::nothing_asked_is_nothing_answered,
            typed::a_counter_lives_from_its_first_increment,
            scripts::set_options,
            scripts::expiries,
            scripts::getex_options,
            numbers::integers,
            numbers::floats,
            scripts::ranges,
            hashes::fields,
            hashes::numbers_in_fields,
            lists::ends,
            lists::places,
            lists::elements_by_value,
            sets::members,
            types::the_ports_own_methods_know_the_types,
            scans::a_scan_shows_all,
        }
    };
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn on_a_cluster() {
    let cluster = RedisCluster::start(false, 15_000).await;
    on_any_form!(Bench::of(cluster.store()));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn on_valkey() {
    let Some(server) = RedisServer::valkey() else {
        eprintln!("NOT TESTED: there is no valkey-server for this machine; `cargo xtask test` says why");
        return;
    };
    on_any_form!(Bench::of(server.store()));
    on! {
        Bench::of(server.store());
        scripts::strings,
        scripts::keys_of_any_type,
        scripts::many_keys,
        scripts::wrong_arguments,
        types::a_wrong_type_is_refused,
        space::keys_by_pattern,
        space::the_space_as_a_whole,
        blocks::a_block_answers_each_command_in_order,
    blocks::blocks_are_done_in_order,
        blocks::a_change_is_seen_by_who_watches,
        scans::a_scan_finds_by_pattern_and_type,
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn behind_sentinels() {
    let set = Sentinels::start().await;
    on_any_form!(Bench::of(set.store()));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn over_tls_with_a_user() {
    let redis = SecuredRedis::start();
    on_any_form!(Bench::of(redis.tls_store()));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn over_a_socket_file() {
    let redis = SecuredRedis::start();
    on_any_form!(Bench::of(redis.socket_store()));
}

on_both_stores! {
    typed::what_is_stored_is_read,
    typed::any_bytes_are_keys_and_values,
    typed::large_values_are_whole,
    typed::what_was_read_does_not_change,
    typed::a_ttl_is_told_only_if_asked_for,
    typed::an_expired_key_is_gone,
    typed::a_write_says_what_becomes_of_the_expiry,
    typed::an_expiry_is_changed,
    typed::many_are_read_in_order,
    typed::many_are_stored_at_once,
    typed::deletion_tells_what_was_there,
    typed::an_absent_key_is_filled_once,
    typed::a_value_is_replaced_if_it_begins_as_expected,
    typed::a_replacement_says_what_becomes_of_the_expiry,
    typed::a_value_is_removed_if_it_begins_as_expected,
    typed::replacements_that_race_lose_nothing,
    typed::fills_that_race_have_one_winner,
    typed::a_pipeline_answers_each_command_in_order,
    typed::nothing_asked_is_nothing_answered,
    typed::a_life_beyond_the_limits_is_cut,
    typed::a_counter_lives_from_its_first_increment,
    scripts::strings,
    scripts::set_options,
    scripts::expiries,
    scripts::getex_options,
    numbers::integers,
    numbers::floats,
    scripts::ranges,
    scripts::keys_of_any_type,
    scripts::many_keys,
    scripts::wrong_arguments,
    hashes::fields,
    hashes::the_last_field_takes_the_hash_with_it,
    hashes::numbers_in_fields,
    hashes::random_fields,
    lists::ends,
    lists::places,
    lists::elements_by_value,
    lists::moves,
    sets::members,
    sets::set_moves,
    sets::combinations,
    sets::the_size_of_an_intersection,
    sets::random_members,
    types::a_wrong_type_is_refused,
    types::the_ports_own_methods_know_the_types,
    types::a_set_replaces_every_type,
    types::keys_of_every_type_are_handled_alike,
    types::a_copy_stands_alone,
    types::what_expires_is_gone_whatever_it_was,
    space::steps_of_a_scan,
    space::keys_by_pattern,
    space::the_space_as_a_whole,
    space::what_is_told_of_an_object,
    space::the_form_of_a_collection_is_told,
    space::arguments_of_the_new_types,
    blocks::a_block_answers_each_command_in_order,
    blocks::nobody_comes_between_the_commands_of_a_block,
    blocks::a_change_is_seen_by_who_watches,
    blocks::more_keys_can_be_watched,
    blocks::a_watch_ends_when_it_is_dropped,
    blocks::what_expires_has_changed,
    scans::a_scan_shows_all,
    scans::a_scan_under_writes_misses_nothing_that_stays,
    scans::a_scan_finds_by_pattern_and_type,
}
