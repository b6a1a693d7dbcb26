//! The SDK's checked-in bindings are what `wit/` says.
//!
//! Policies are built without the proc-macro stack of wit-bindgen, so its output is part of the source. This
//! test generates it again and compares; `UPDATE_BINDINGS=1` writes it instead. One file for the world `policy`
//! holds the types and every host function; the files of the optional interfaces refer to it.

use std::{fs, path::Path};

use anyhow::{Context, Result, ensure};
use wit_bindgen_core::{Files, WorldGenerator, wit_parser::Resolve};
use wit_bindgen_rust::{Opts, WithOption};

/// The world that every policy has.
const BASE: &str = "policy";

/// One world for each optional interface of the contract.
const OPTIONAL: [&str; 6] =
    ["has-revalidation", "has-loading", "has-events", "has-warming", "has-migration", "has-workflow"];

/// Interfaces whose bindings the base world's file holds for all the others.
const SHARED: [&str; 9] = ["types", "host-errors", "log", "settings", "clock", "metrics", "redis", "lock", "breaker"];

#[test]
fn the_bindings_of_the_sdk_are_those_of_the_contract() -> Result<()> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let checked_in = root.join("policies/sdk/src/bindings");
    let update = std::env::var_os("UPDATE_BINDINGS").is_some();
    for world in [BASE].iter().chain(&OPTIONAL) {
        let (name, generated) = generate(&root.join("wit"), world)?;
        let path = checked_in.join(name);
        if update {
            fs::write(&path, generated).with_context(|| format!("writing {}", path.display()))?;
            continue;
        }
        let present = fs::read_to_string(&path).with_context(|| format!("reading {}", path.display()))?;
        ensure!(
            present == generated,
            "{} is not what `wit/` says; run `UPDATE_BINDINGS=1 cargo test --test larder bindings` and commit it",
            path.display()
        );
    }
    Ok(())
}

/// The file name and the source of one world's bindings.
fn generate(wit: &Path, world: &str) -> Result<(String, String)> {
    let mut resolve = Resolve::default();
    let (package, _) = resolve.push_path(wit)?;
    let id = resolve.select_world(&[package], Some(world))?;
    let mut files = Files::default();
    options(&resolve, world).build().generate(&mut resolve, id, &mut files)?;
    let (name, source) = files.iter().next().context("the generator made no file")?;
    Ok((name.to_owned(), String::from_utf8(source.to_vec())?))
}

fn options(resolve: &Resolve, world: &str) -> Opts {
    let mut options = Opts {
        format: true,
        generate_all: true,
        pub_export_macro: true,
        // A macro for each world under a name of its own; the SDK's `export!` invokes those that a policy asks for.
        export_macro_name: Some(format!("export_{}", world.replace('-', "_"))),
        // The section that `export!` emits names the imports too.
        disable_custom_section_link_helpers: true,
        additional_derive_attributes: vec!["PartialEq".into()],
        // The SDK's own, so that it depends on nothing.
        runtime_path: Some("crate::runtime".into()),
        bitflags_path: Some("crate::runtime".into()),
        ..Opts::default()
    };
    if world != BASE {
        options.with = SHARED.iter().filter(|name| is_imported(resolve, world, name)).map(|name| remap(name)).collect();
    }
    options
}

/// Whether `world` imports the interface, so that a remapping of it is used.
fn is_imported(resolve: &Resolve, world: &str, interface: &str) -> bool {
    resolve.worlds.iter().filter(|(_, it)| it.name == world).any(|(_, it)| {
        it.imports.keys().any(|key| resolve.name_world_key(key).starts_with(&format!("larder:policy/{interface}@")))
    })
}

/// Points an interface of the contract at the base world's bindings of it.
fn remap(interface: &str) -> (String, WithOption) {
    let module = interface.replace('-', "_");
    let path = format!("crate::bindings::policy::larder::policy::{module}");
    (format!("larder:policy/{interface}@0.1.0"), WithOption::Path(path))
}
