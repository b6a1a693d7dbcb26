//! The contract of `wit/` in Rust, generated: the host's side of a policy's rules and of its optional pure hooks.
//!
//! What crosses to a policy is borrowed, so that a call copies a key once, into the guest's memory, and allocates nothing. A
//! component need not export all of it: each interface is looked up by itself (`exports.rs`).

wasmtime::component::bindgen!({
    path: "wit",
    inline: "
        package larder:host;

        world rules-host {
            include larder:policy/policy@0.1.0;
            export larder:policy/revalidation@0.1.0;
            export larder:policy/loading@0.1.0;
            export larder:policy/events@0.1.0;
            export larder:policy/warming@0.1.0;
            export larder:policy/migration@0.1.0;
        }
    ",
    ownership: Borrowing { duplicate_if_necessary: true },
});

pub(super) use self::larder::policy as host;
pub(super) use self::larder::policy::types;
pub(super) use exports::larder::policy as guest;
