//! The SDK of policies, as source, inside the host's binary: a policy is begun and built with nothing but this host and a compiler.

/// Its files: path and text. A test says that none is missing.
pub(super) const FILES: &[(&str, &str)] = &[
    ("Cargo.toml", include_str!("../../policies/sdk/Cargo.toml")),
    ("src/argument.rs", include_str!("../../policies/sdk/src/argument.rs")),
    ("src/bindings.rs", include_str!("../../policies/sdk/src/bindings.rs")),
    ("src/bindings/has_events.rs", include_str!("../../policies/sdk/src/bindings/has_events.rs")),
    ("src/bindings/has_loading.rs", include_str!("../../policies/sdk/src/bindings/has_loading.rs")),
    ("src/bindings/has_migration.rs", include_str!("../../policies/sdk/src/bindings/has_migration.rs")),
    ("src/bindings/has_revalidation.rs", include_str!("../../policies/sdk/src/bindings/has_revalidation.rs")),
    ("src/bindings/has_warming.rs", include_str!("../../policies/sdk/src/bindings/has_warming.rs")),
    ("src/bindings/has_workflow.rs", include_str!("../../policies/sdk/src/bindings/has_workflow.rs")),
    ("src/bindings/policy.rs", include_str!("../../policies/sdk/src/bindings/policy.rs")),
    ("src/exported.rs", include_str!("../../policies/sdk/src/exported.rs")),
    ("src/hooks.rs", include_str!("../../policies/sdk/src/hooks.rs")),
    ("src/host.rs", include_str!("../../policies/sdk/src/host.rs")),
    ("src/json.rs", include_str!("../../policies/sdk/src/json.rs")),
    ("src/keys.rs", include_str!("../../policies/sdk/src/keys.rs")),
    ("src/lib.rs", include_str!("../../policies/sdk/src/lib.rs")),
    ("src/lifetime.rs", include_str!("../../policies/sdk/src/lifetime.rs")),
    ("src/rules.rs", include_str!("../../policies/sdk/src/rules.rs")),
    ("src/runtime.rs", include_str!("../../policies/sdk/src/runtime.rs")),
    ("src/settings.rs", include_str!("../../policies/sdk/src/settings.rs")),
    ("src/units.rs", include_str!("../../policies/sdk/src/units.rs")),
];

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;

    fn collect(folder: &Path, root: &Path, found: &mut Vec<String>) {
        for entry in folder.read_dir().expect("readable").flatten() {
            let path = entry.path();
            if path.is_dir() {
                collect(&path, root, found);
            } else {
                found.push(path.strip_prefix(root).expect("below it").display().to_string());
            }
        }
    }

    #[test]
    fn every_file_of_the_sdk_is_in_the_binary() {
        let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("policies/sdk");
        let mut found = Vec::new();
        collect(&root, &root, &mut found);
        found.sort();
        assert_eq!(FILES.iter().map(|(path, _)| (*path).to_owned()).collect::<Vec<_>>(), found);
    }
}
