//! Building policies, with the compiler of this machine: what comes out, and what is said when nothing does.

use std::fs;
use std::path::{Path, PathBuf};

use larder::toolchain::{Progress, build};
use wit_component::DecodedWasm;

/// Where guests are compiled, so that their standard library is built once.
fn target_dir() -> PathBuf {
    Path::new(env!("CARGO_TARGET_TMPDIR")).parent().expect("it is in the target folder").join("guests")
}

fn policy(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join(name)
}

/// The imports and exports of a component, without package and version.
fn interfaces(component: &Path) -> (Vec<String>, Vec<String>) {
    let bytes = fs::read(component).expect("readable");
    let DecodedWasm::Component(resolve, world) = wit_component::decode(&bytes).expect("valid") else {
        panic!("{} is no component", component.display());
    };
    let name = |key| {
        let name = resolve.name_world_key(key);
        name.trim_start_matches("larder:policy/").trim_end_matches("@0.1.0").to_owned()
    };
    let world = &resolve.worlds[world];
    // Their order is the linker's.
    let mut imports: Vec<_> = world.imports.keys().map(name).collect();
    let mut exports: Vec<_> = world.exports.keys().map(name).collect();
    imports.sort_unstable();
    exports.sort_unstable();
    (imports, exports)
}

/// A crate of its own, outside every workspace.
fn stray_crate(dir: &Path, source: &str) -> PathBuf {
    let sdk = policy("policies/sdk");
    let manifest = format!(
        "[package]\nname = \"stray\"\nedition = \"2024\"\n[lib]\npath = \"lib.rs\"\ncrate-type = [\"cdylib\"]\n\
         [dependencies]\nlarder-policy = {{ path = {sdk:?} }}\n[workspace]\n"
    );
    fs::copy(policy("Cargo.lock"), dir.join("Cargo.lock")).expect("written");
    fs::write(dir.join("Cargo.toml"), manifest).expect("written");
    fs::write(dir.join("lib.rs"), source).expect("written");
    dir.to_owned()
}

/// Building a stray crate of this source fails, and these words are in what is said.
#[track_caller]
fn check_refused(source: &str, words: &str) {
    let dir = tempfile::tempdir().expect("a folder");
    let stray = stray_crate(dir.path(), source);
    let mut text = String::new();
    let refused = build(&[stray], &dir.path().join("out"), &target_dir(), &mut |progress| {
        if let Progress::Line(line) = progress {
            text += line;
        }
    });
    text += &format!("{:#}", refused.expect_err("refused"));
    assert!(text.contains(words), "{text}");
}

#[test]
fn a_policy_imports_what_it_uses_and_exports_what_it_says() {
    let out = tempfile::tempdir().expect("a folder");
    let crates = [policy("policies/profile"), policy("tests/guests/importer")];
    let mut announced = Vec::new();
    let built = build(&crates, out.path(), &target_dir(), &mut |progress| {
        if let Progress::Built(built) = progress {
            announced.push(built.name.clone());
        }
    })
    .expect("both build");
    let mut names: Vec<_> = built.iter().map(|built| built.name.as_str()).collect();
    names.sort_unstable();
    assert_eq!(names, ["importer", "profile"]);
    assert_eq!(announced.len(), 2);

    let (imports, exports) = interfaces(&out.path().join("profile.wasm"));
    assert_eq!((imports, exports), (vec!["log".to_owned(), "types".into()], vec!["rules".to_owned()]));
    let (imports, exports) = interfaces(&out.path().join("importer.wasm"));
    assert_eq!(imports, ["host-errors", "log", "redis", "types"]);
    assert_eq!(exports, ["events", "rules", "workflow"]);
    let leftovers = fs::read_dir(out.path()).expect("readable").count();
    assert_eq!(leftovers, 2, "a temporary file stayed");
}

#[test]
fn a_crate_that_does_not_compile_is_refused_with_the_compilers_words() {
    check_refused("fn broken() -> u8 { \"\" }", "mismatched types");
}

#[test]
fn a_crate_that_exports_no_rules_is_refused() {
    check_refused("pub fn nothing() {}", "the crate `stray` is not a policy");
}

#[test]
fn an_interface_that_is_not_there_is_refused_by_name() {
    let source = "use larder_policy::*; struct P; export!(P with evnts);";
    check_refused(source, "there is no optional interface `evnts`");
}

#[test]
fn a_folder_without_a_crate_is_refused_by_name() {
    let dir = tempfile::tempdir().expect("a folder");
    let refused = build(&[dir.path().to_owned()], dir.path(), &target_dir(), &mut |_| ()).expect_err("refused");
    assert!(refused.to_string().contains("is not the folder of a crate"), "{refused}");
}
