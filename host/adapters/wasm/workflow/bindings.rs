//! The contract of `wit/` in Rust, generated: the host's side of a policy's workflow, whose host functions may wait.

wasmtime::component::bindgen!({
    path: "wit",
    inline: "
        package larder:host;

        world workflow-host {
            include larder:policy/imports@0.1.0;
            export larder:policy/workflow@0.1.0;
        }
    ",
    imports: {
        "larder:policy/redis": async | trappable,
        "larder:policy/lock": async | trappable,
        "larder:policy/breaker": async | trappable,
    },
    exports: { default: async },
    with: {
        "larder:policy/log": super::super::bindings::host::log,
        "larder:policy/settings": super::super::bindings::host::settings,
        "larder:policy/clock": super::super::bindings::host::clock,
        "larder:policy/metrics": super::super::bindings::host::metrics,
        "larder:policy/lock.guard": super::locks::Guard,
        "larder:policy/breaker.permit": super::breakers::Permit,
    },
});

pub(super) use self::larder::policy as host;
pub(super) use exports::larder::policy::workflow as guest;
