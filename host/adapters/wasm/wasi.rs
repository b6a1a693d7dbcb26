//! WASI 0.2 as a policy gets it: what the runtimes of other languages ask for when they start, and nothing behind it.
//!
//! Time and chance come from the host's clock, and what is written to standard output or error goes into the policy's log.
//! Everything else is empty or refused: there are no files, no sockets, no environment, no arguments, no input; waiting for
//! time to pass ends at once. A function that is not served by name answers with the empty value or the refusing error of its
//! own type (see [`super::wasi_refusal`]), so that every 0.2.x is served, whatever functions it has more.
//!
//! Invariants: nothing here reaches the outside world or waits; what a guest holds of the host is bounded by
//! [`limits::WASI_HANDLES_MAX`]. Deliberately absent: the crate `wasmtime-wasi`, which brings real files and sockets and a
//! runtime that blocks the worker, and `wasi:http`, which is refused when the policy is loaded.

use wasmtime::StoreContextMut as Store;
use wasmtime::component::types::ComponentItem;
use wasmtime::component::{Component, ComponentType, Linker, LinkerInstance, Lower, Resource, ResourceType};

use super::state::HostState;
use super::wasi_output::{STDERR, STDOUT};
use super::wasi_refusal::{Stopped, refuse};
use crate::limits;

/// How the names of all WASI interfaces begin.
const NAMESPACE: &str = "wasi:";
/// The track of WASI that is served: its patches only add.
const TRACK: &str = "0.2.";
/// The packages that are served.
const PACKAGES: [&str; 6] = ["cli", "clocks", "filesystem", "io", "random", "sockets"];

/// What a guest holds: a stream, a pollable, the network. Its number says which; there is no table behind it.
pub(super) enum Handle {}

/// A handle with nothing behind it.
const NOTHING: u32 = 0;

/// Whether an import of WASI is served, or why a component may not have it; `None` if it is none of WASI.
pub(super) fn served(import: &str) -> Option<Result<(), String>> {
    let name = import.strip_prefix(NAMESPACE)?;
    let (interface, version) = name.split_once('@').unwrap_or((name, ""));
    let package = interface.split('/').next().unwrap_or_default();
    if !PACKAGES.contains(&package) {
        return Some(Err(format!(
            "imports {import}, which policies do not have: of WASI they get {} alone, with nothing behind it; build it without",
            PACKAGES.join(", ")
        )));
    }
    if !version.starts_with(TRACK) {
        return Some(Err(format!(
            "imports {import}, but this host serves WASI {TRACK}x; build the policy against that, or without WASI"
        )));
    }
    Some(Ok(()))
}

/// The data of a store whose guest may have WASI.
pub(super) trait Host: AsMut<HostState> + 'static {}

impl<T: AsMut<HostState> + 'static> Host for T {}

/// A linker that has what the component imports of WASI, beside what `linker` has.
///
/// # Errors
/// The component expects another type of a function than WASI has.
pub(super) fn linked<T: Host>(linker: &Linker<T>, component: &Component) -> wasmtime::Result<Linker<T>> {
    let mut linker = linker.clone();
    let engine = component.engine();
    for (name, import) in component.component_type().imports(engine) {
        let Some(interface) = name.strip_prefix(NAMESPACE) else { continue };
        let ComponentItem::ComponentInstance(instance) = import.ty else { continue };
        let interface = interface.split('@').next().unwrap_or_default();
        let items: Vec<_> = instance.exports(engine).map(|(item, export)| (item.to_owned(), export.ty)).collect();
        let mut into = linker.instance(name)?;
        for (item, ty) in items {
            match ty {
                ComponentItem::Resource(_) => into.resource(&item, ResourceType::host::<Handle>(), given_back)?,
                ComponentItem::ComponentFunc(_) => function(&mut into, interface, &item)?,
                _ => {}
            }
        }
    }
    Ok(linker)
}

/// Links one function.
fn function<T: Host>(into: &mut LinkerInstance<'_, T>, interface: &str, name: &str) -> wasmtime::Result<()> {
    match interface.split('/').next() {
        Some("cli") => cli(into, interface, name),
        Some("io") => io(into, interface, name),
        Some("clocks") => clocks(into, interface, name),
        Some("random") => random(into, interface, name),
        _ if (interface, name) == ("sockets/instance-network", "instance-network") => {
            into.func_wrap(name, hand_out::<T, ()>(NOTHING))
        }
        _ => refuse(into, interface, name),
    }
}

/// Hands out a handle.
fn hand_out<T: Host, P>(number: u32) -> impl Fn(Store<'_, T>, P) -> wasmtime::Result<(Resource<Handle>,)> + Copy {
    move |mut store, _| {
        let held = &mut store.data_mut().as_mut().wasi.handles;
        if *held >= limits::WASI_HANDLES_MAX {
            return Err(Stopped::error(format!("it holds {held} handles of WASI, and may hold no more")));
        }
        *held += 1;
        Ok((Resource::new_own(number),))
    }
}

#[expect(clippy::unnecessary_wraps, reason = "the linker wants a function that may fail")]
fn given_back<T: Host>(mut store: Store<'_, T>, _: u32) -> wasmtime::Result<()> {
    let held = &mut store.data_mut().as_mut().wasi.handles;
    *held = held.saturating_sub(1);
    Ok(())
}

fn cli<T: Host>(into: &mut LinkerInstance<'_, T>, interface: &str, name: &str) -> wasmtime::Result<()> {
    match name {
        "get-stdin" => into.func_wrap(name, hand_out::<T, ()>(NOTHING)),
        "get-stdout" => into.func_wrap(name, hand_out::<T, ()>(STDOUT)),
        "get-stderr" => into.func_wrap(name, hand_out::<T, ()>(STDERR)),
        "exit" => into.func_wrap(name, |_, (status,): (Result<(), ()>,)| -> wasmtime::Result<()> {
            Err(Stopped::error(format!("it ended itself with `exit({})`", u8::from(status.is_err()))))
        }),
        "exit-with-code" => into.func_wrap(name, |_, (code,): (u8,)| -> wasmtime::Result<()> {
            Err(Stopped::error(format!("it ended itself with `exit({code})`")))
        }),
        _ => refuse(into, interface, name),
    }
}

/// The error of streams. The case with an `error` in it is never said, but belongs to the type.
#[derive(ComponentType, Lower)]
#[component(variant)]
enum StreamError {
    #[component(name = "last-operation-failed")]
    #[expect(dead_code, reason = "never said")]
    LastOperationFailed(Resource<Handle>),
    #[component(name = "closed")]
    #[expect(dead_code, reason = "said by the functions that are not served by name")]
    Closed,
}

fn io<T: Host>(into: &mut LinkerInstance<'_, T>, interface: &str, name: &str) -> wasmtime::Result<()> {
    type Stream = Resource<Handle>;
    type Answer<T> = wasmtime::Result<(Result<T, StreamError>,)>;
    match name {
        "[method]output-stream.check-write" => {
            into.func_wrap(name, |_, _: (Stream,)| -> Answer<u64> { Ok((Ok(limits::WASI_WRITE_BYTES_MAX as u64),)) })
        }
        "[method]output-stream.write" | "[method]output-stream.blocking-write-and-flush" => {
            into.func_wrap(name, |mut store: Store<'_, T>, (stream, bytes): (Stream, Vec<u8>)| -> Answer<()> {
                if bytes.len() > limits::WASI_WRITE_BYTES_MAX {
                    return Err(Stopped::error("it writes more at once than a stream takes"));
                }
                store.data_mut().as_mut().write(stream.rep(), &bytes);
                Ok((Ok(()),))
            })
        }
        "[method]output-stream.flush" | "[method]output-stream.blocking-flush" => {
            into.func_wrap(name, |_, _: (Stream,)| -> Answer<()> { Ok((Ok(()),)) })
        }
        "[method]output-stream.subscribe" | "[method]input-stream.subscribe" => {
            into.func_wrap(name, hand_out::<T, (Stream,)>(NOTHING))
        }
        // Nothing is ever waited for: whatever it is, it is there.
        "[method]pollable.ready" => into.func_wrap(name, |_, _: (Stream,)| Ok((true,))),
        "[method]pollable.block" => into.func_wrap(name, |_, _: (Stream,)| Ok(())),
        "poll" => into.func_wrap(name, |_, (all,): (Vec<Stream>,)| Ok(((0..).take(all.len()).collect::<Vec<u32>>(),))),
        _ => refuse(into, interface, name),
    }
}

/// A time of the wall clock.
#[derive(ComponentType, Lower)]
#[component(record)]
struct Datetime {
    #[component(name = "seconds")]
    seconds: u64,
    #[component(name = "nanoseconds")]
    nanoseconds: u32,
}

fn clocks<T: Host>(into: &mut LinkerInstance<'_, T>, interface: &str, name: &str) -> wasmtime::Result<()> {
    match (interface, name) {
        ("clocks/monotonic-clock", "now") => into.func_wrap(name, |mut store: Store<'_, T>, ()| {
            Ok((store.data_mut().as_mut().consult().clock.monotonic_ns(),))
        }),
        ("clocks/monotonic-clock", "resolution") => into.func_wrap(name, |_, ()| Ok((1_u64,))),
        ("clocks/monotonic-clock", "subscribe-instant" | "subscribe-duration") => {
            into.func_wrap(name, hand_out::<T, (u64,)>(NOTHING))
        }
        ("clocks/wall-clock", "now") => into.func_wrap(name, |mut store: Store<'_, T>, ()| {
            let ms = store.data_mut().as_mut().consult().clock.wall_ms();
            let nanoseconds = u32::try_from(ms % 1000).unwrap_or(0) * 1_000_000;
            Ok((Datetime { seconds: ms / 1000, nanoseconds },))
        }),
        ("clocks/wall-clock", "resolution") => {
            into.func_wrap(name, |_, ()| Ok((Datetime { seconds: 0, nanoseconds: 1_000_000 },)))
        }
        _ => refuse(into, interface, name),
    }
}

/// Chance is the host's, which is not for secrets: a policy has none to keep.
fn random<T: Host>(into: &mut LinkerInstance<'_, T>, interface: &str, name: &str) -> wasmtime::Result<()> {
    match name {
        "get-random-bytes" | "get-insecure-random-bytes" => {
            into.func_wrap(name, |mut store: Store<'_, T>, (count,): (u64,)| {
                let count = usize::try_from(count).ok().filter(|count| *count <= limits::WASI_RANDOM_BYTES_MAX);
                let count =
                    count.ok_or_else(|| Stopped::error("it asks for more random bytes at once than there are"))?;
                let clock = store.data_mut().as_mut().draw();
                let words = std::iter::repeat_with(|| clock.random().to_le_bytes());
                Ok((words.flatten().take(count).collect::<Vec<u8>>(),))
            })
        }
        "get-random-u64" | "get-insecure-random-u64" => {
            into.func_wrap(name, |mut store: Store<'_, T>, ()| Ok((store.data_mut().as_mut().draw().random(),)))
        }
        "insecure-seed" => into.func_wrap(name, |mut store: Store<'_, T>, ()| {
            let clock = store.data_mut().as_mut().draw();
            Ok(((clock.random(), clock.random()),))
        }),
        _ => refuse(into, interface, name),
    }
}

#[cfg(test)]
mod tests {
    use wasmtime::{AsContextMut as _, Config, Engine};

    use super::*;

    #[track_caller]
    fn refuses(import: &str, words: &str) {
        let text = served(import).expect("it is of WASI").expect_err("it is refused");
        assert!(text.contains(&format!("imports {import}")) && text.contains(words), "{text}");
    }

    #[test]
    fn what_runtimes_need_is_served_and_the_rest_is_refused_by_name() {
        for import in ["wasi:cli/environment@0.2.0", "wasi:io/streams@0.2.12", "wasi:sockets/tcp@0.2.9"] {
            assert_eq!(served(import), Some(Ok(())), "{import}");
        }
        assert_eq!(served("larder:policy/log@0.1.0"), None);
        refuses("wasi:http/outgoing-handler@0.2.9", "which policies do not have");
        refuses("wasi:keyvalue/store@0.2.0-draft", "which policies do not have");
        refuses("wasi:clocks/system-clock@0.3.0", "serves WASI 0.2.x");
        refuses("wasi:clocks/wall-clock", "serves WASI 0.2.x");
    }

    #[test]
    fn handles_are_bounded_and_come_back() -> wasmtime::Result<()> {
        let mut store = wasmtime::Store::new(&Engine::new(&Config::new())?, HostState::of_test());
        let take = hand_out::<HostState, ()>(STDOUT);
        for _ in 0..limits::WASI_HANDLES_MAX {
            assert_eq!(take(store.as_context_mut(), ())?.0.rep(), STDOUT);
        }
        let error = take(store.as_context_mut(), ()).expect_err("no more are handed out");
        assert!(error.is::<Stopped>() && error.to_string().contains("64 handles"), "{error}");
        given_back(store.as_context_mut(), STDOUT)?;
        take(store.as_context_mut(), ())?;
        Ok(())
    }
}
