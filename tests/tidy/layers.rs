//! The layer rule: `wire → engine → ports ← adapters`, and which of the outside world each layer may name.

use super::source::Path;

/// A layer: what it may import of the house, and what it may not name of the outside.
struct Layer {
    name: &'static str,
    imports: &'static [&'static str],
    strangers: &'static [&'static str],
}

/// Every module at the root of `host/`. A new one is named here, with what it may import.
const LAYERS: &[Layer] = &[
    Layer {
        name: "wire",
        imports: &["wire", "engine", "ports", "error", "limits", "config"],
        strangers: &["notify", "quick_cache", "redis", "wasmtime"],
    },
    Layer { name: "engine", imports: &["engine", "ports", "error", "limits"], strangers: OUTSIDE },
    Layer { name: "ports", imports: &["ports", "error", "limits"], strangers: OUTSIDE },
    Layer {
        name: "adapters",
        imports: &["adapters", "ports", "error", "limits", "config"],
        strangers: &["axum", "clap"],
    },
    Layer { name: "config", imports: &["config", "error", "limits"], strangers: &["axum", "redis", "wasmtime"] },
    Layer { name: "error", imports: &["error"], strangers: OUTSIDE },
    Layer { name: "limits", imports: &["limits"], strangers: OUTSIDE },
    Layer { name: "toolchain", imports: &["toolchain", "error", "limits"], strangers: &["axum", "redis", "wasmtime"] },
    // Modules of the binary, for which the library is `larder`.
    Layer {
        name: "cli",
        imports: &["cli", "toolchain", "error", "limits", "config"],
        strangers: &["axum", "wasmtime"],
    },
];

/// What has no place where decisions are taken: I/O, protocols, WebAssembly, exporters.
const OUTSIDE: &[&str] = &[
    "axum",
    "clap",
    "hyper",
    "hyper_util",
    "notify",
    "prometheus",
    "redis",
    "std::env",
    "std::fs",
    "std::io",
    "std::net",
    "std::process",
    "tokio::fs",
    "tokio::io",
    "tokio::net",
    "tokio::process",
    "wasmtime",
];

/// The files that wire: one the host, with every adapter and every front end, one what its parts are told, one what changed settings mean for them, one what is measured of a policy alone, one of a store alone, one what
/// checks a policy as the host would, which is the adapter's to say, one the compiler that a host runs beside itself, one what a host tells
/// of itself.
const WIRING: [&str; 8] = [
    "host/cli/serve.rs",
    "host/cli/parts.rs",
    "host/cli/reload.rs",
    "host/cli/decision.rs",
    "host/cli/fill.rs",
    "host/cli/check.rs",
    "host/cli/compile.rs",
    "host/cli/telling.rs",
];

/// Why a file of `host/` may not name this path; `None`: it may.
pub fn objection(file: &str, path: &Path) -> Option<String> {
    let module = module_of(file)?;
    let own = module.first()?;
    let Some(layer) = LAYERS.iter().find(|layer| layer.name == *own) else {
        return Some(format!("the module `{own}` has no place in tests/tidy/layers.rs yet"));
    };
    let named = path.segments.join("::");
    if let Some(top) = top_of(&module, path) {
        let known = LAYERS.iter().any(|layer| layer.name == top);
        let why = if known { "" } else { ", which is no layer" };
        return (!layer.imports.contains(&top)).then(|| format!("`{own}` may not import `{top}`{why}: `{named}`"));
    }
    let stranger = layer.strangers.iter().find(|s| named == **s || named.starts_with(&format!("{s}::")))?;
    Some(format!("`{own}` may not know `{stranger}`: `{named}`"))
}

/// `host/engine/core.rs` is `["engine", "core"]`. `None`: outside `host/`, or at the root of a crate, or where all is wired.
fn module_of(file: &str) -> Option<Vec<&str>> {
    if WIRING.contains(&file) {
        return None;
    }
    let inside = file.strip_prefix("host/")?.strip_suffix(".rs")?;
    let mut module: Vec<&str> = inside.split('/').collect();
    if module.last() == Some(&"mod") {
        module.pop();
    }
    (!matches!(module.as_slice(), ["main" | "lib"])).then_some(module)
}

/// The module at the root of the crate that a path leads to; `None`: it leads elsewhere or stays below its own layer.
///
/// `super` counts from the file. Inside an inline module it would count from there, so a chain reaches the root here no later
/// than it does in truth.
fn top_of<'a>(module: &[&str], path: &'a Path) -> Option<&'a str> {
    let segments = &path.segments;
    let ups = segments.iter().take_while(|segment| *segment == "super").count();
    match segments[0].as_str() {
        "crate" => Some(&segments[1]),
        "larder" if module[0] == "cli" => Some(&segments[1]),
        "super" if ups >= module.len() => segments.get(ups).map(String::as_str),
        _ => None,
    }
}
