//! The contract of `wit/` in Rust, generated: the host's side of the world `policy`.
//!
//! What crosses to a policy is borrowed, so that a call copies a key once, into the guest's memory, and allocates nothing.

wasmtime::component::bindgen!({
    path: "wit",
    // The generator cannot borrow a type that no function uses, and the world `policy` alone uses no `selector`. The
    // interface that mends it exists only here: it is never linked, and no component can import it.
    inline: "
        package larder:host;

        interface never-linked {
            use larder:policy/types@0.1.0.{selector};
            uses-selector: func() -> selector;
        }

        world rules-host {
            include larder:policy/policy@0.1.0;
            import never-linked;
        }
    ",
    ownership: Borrowing { duplicate_if_necessary: true },
});

pub(super) use self::larder::policy as host;
pub(super) use self::larder::policy::types;
pub(super) use exports::larder::policy::rules::Guest as Rules;
