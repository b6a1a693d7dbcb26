//! What the SDK promises a policy, seen from the other side: the calls of a host that has nothing but a log.

use std::path::Path;
use std::sync::Arc;

use larder::toolchain::build;
use parking_lot::Mutex;
use wasmtime::component::{Component, Instance, Linker, Val};
use wasmtime::{Engine, Store};

/// A policy's instance and the lines that it logged.
struct Guest {
    store: Store<()>,
    instance: Instance,
    log: Arc<Mutex<Vec<String>>>,
}

impl Guest {
    /// Builds the crate and instantiates it.
    fn new(crate_dir: &str) -> Self {
        let root = Path::new(env!("CARGO_MANIFEST_DIR"));
        let target =
            Path::new(env!("CARGO_TARGET_TMPDIR")).parent().expect("it is in the target folder").join("guests");
        let out = tempfile::tempdir().expect("a folder");
        let built = build(&[root.join(crate_dir)], out.path(), &target, &mut |_| ()).expect("it builds");
        let engine = Engine::default();
        let component = Component::from_file(&engine, &built[0].path).expect("a component");
        let log = Arc::new(Mutex::new(Vec::new()));
        let mut linker = Linker::new(&engine);
        let lines = Arc::clone(&log);
        linker
            .instance("larder:policy/log@0.1.0")
            .and_then(|mut it| {
                it.func_new("log", move |_, _, args, _| {
                    lines.lock().push(format!("{args:?}"));
                    Ok(())
                })
            })
            .expect("a log");
        linker.define_unknown_imports_as_traps(&component).expect("the rest traps");
        let mut store = Store::new(&engine, ());
        let instance = linker.instantiate(&mut store, &component).expect("an instance");
        Self { store, instance, log }
    }

    /// Calls a function of `rules`; the trap's text if it traps.
    fn call(&mut self, function: &str, args: &[Val]) -> Result<Val, String> {
        let (_, rules) = self.instance.get_export(&mut self.store, None, "larder:policy/rules@0.1.0").expect("rules");
        let (_, index) = self.instance.get_export(&mut self.store, Some(&rules), function).expect("the function");
        let function = self.instance.get_func(&mut self.store, index).expect("a function");
        let mut results = [Val::Bool(false)];
        function.call(&mut self.store, args, &mut results).map_err(|error| format!("{error:?}"))?;
        let [result] = results;
        Ok(result)
    }

    fn describe(&mut self, settings: &[(&str, &str)]) -> Result<Val, String> {
        let text = |text: &str| Val::String(text.to_owned());
        let table = settings.iter().map(|(name, value)| Val::Tuple(vec![text(name), text(value)])).collect();
        self.call("describe", &[Val::List(table)])
    }
}

fn request(key: &str) -> Val {
    let field = |name: &str, value| (name.to_owned(), value);
    Val::Record(vec![
        field("key", Val::String(key.to_owned())),
        field("operation", Val::Enum("read".into())),
        field("shape", Val::Enum("value".into())),
    ])
}

#[test]
fn a_panic_is_logged_before_it_traps() {
    let mut guest = Guest::new("tests/guests/hostile");
    guest.describe(&[("mode", "trap-plan")]).expect("described");
    guest.call("plan", &[request("a")]).expect_err("a trap");
    let log = guest.log.lock().join("\n");
    assert!(log.contains("Error") || log.contains("error"), "{log}");
    assert!(log.contains("a trap in plan, as asked"), "{log}");
    assert!(log.contains("lib.rs:"), "where it happened is missing: {log}");
}

#[test]
fn an_unknown_setting_is_refused_with_the_nearest_name() {
    let mut guest = Guest::new("policies/profile");
    let refused = guest.describe(&[("tll", "24h")]).expect("an answer");
    let Val::Result(Err(Some(text))) = refused else { panic!("{refused:?}") };
    assert_eq!(*text, Val::String("there is no setting `tll`; is `ttl` meant?".into()));
}

#[test]
fn a_batch_is_answered_in_order_by_plan() {
    let mut guest = Guest::new("policies/profile");
    guest.describe(&[]).expect("described");
    let single = guest.call("plan", &[request("user:1")]).expect("an answer");
    let refused = guest.call("plan", &[request("other")]).expect("an answer");
    let batch = Val::List(vec![request("user:1"), request("other"), request("user:2")]);
    let answers = guest.call("plan-batch", &[batch]).expect("an answer");
    assert_eq!(answers, Val::List(vec![single.clone(), refused, single]));
}

#[test]
fn a_hook_before_describe_is_a_trap() {
    let mut guest = Guest::new("policies/session");
    guest.call("plan", &[request("a")]).expect_err("a trap");
}
