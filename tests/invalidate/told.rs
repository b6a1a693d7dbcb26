//! Changes of generations are told faster than the store can be asked: as the echo of a first write on a fresh store, or in a storm of invalidations.

use std::sync::Arc;

use larder::adapters::memory::{MemorySettings, MemoryStore};
use larder::ports::coherence::ChangeListener as _;

use super::{clock, get, invalidate, set, world_over};
use crate::support::gated::GatedStore;

/// A write that was answered is there, though whatever is asked for its generations is overtaken by what is told.
#[tokio::test]
async fn a_write_stays_whatever_is_told_while_it_asks() {
    for on_one_server in [false, true] {
        let inner = MemoryStore::new(MemorySettings::default(), clock());
        let store = if on_one_server { GatedStore::on_one_server(inner) } else { GatedStore::new(inner) };
        let store = Arc::new(store);
        let (one, other) = (world_over(store.clone(), clock()), world_over(store.clone(), clock()));
        for round in
            ["of a fresh store", "of one that another node has invalidated", "of one that lost its generations"]
        {
            match round {
                "of one that another node has invalidated" => {
                    assert_eq!(invalidate(&other, "profile", &["domain"]).await, "done");
                    assert_eq!(invalidate(&other, "profile", &["tag", "red"]).await, "done");
                }
                "of one that lost its generations" => {
                    let names = ["{chat:generation:profile}", "{chat:generation:profile:red}"];
                    let names = names.map(|name| larder::ports::store::StoreKey(name.into()));
                    larder::ports::store::Store::delete(&*store, &names).await.unwrap();
                    one.engine.changed(names[0].as_bytes());
                    one.engine.changed(names[1].as_bytes());
                }
                _ => {}
            }
            let told = Arc::clone(&one.engine);
            store.echo(move |key| told.changed(key));
            set(&one, "profile:plain", "1").await;
            set(&one, "profile:tagged@red", "2").await;
            one.engine.set_many(&[("profile:batch@red".into(), "3".into())]).await.unwrap();
            // So is a read of it; what this node itself invalidates is gone at once.
            one.clock.advance_ms(5_000);
            for (key, value) in [("plain", 1), ("tagged@red", 2), ("batch@red", 3)] {
                let found = get(&one, &format!("profile:{key}")).await;
                assert_eq!(found, format!("{value} (store-hit)"), "{key} {round}, on one server: {on_one_server}");
            }
            set(&one, "profile:gone@blue", "4").await;
            assert_eq!(invalidate(&one, "profile", &["tag", "blue"]).await, "done");
            assert_eq!(get(&one, "profile:gone@blue").await, "- (miss)", "{round}");
            store.fall_silent();
            for node in [&one, &other] {
                node.clock.advance_ms(5_000);
                for (key, value) in [("plain", 1), ("tagged@red", 2), ("batch@red", 3)] {
                    let found = get(node, &format!("profile:{key}")).await;
                    assert_eq!(found, format!("{value} (store-hit)"), "{key} {round}, on one server: {on_one_server}");
                }
            }
        }
    }
}
