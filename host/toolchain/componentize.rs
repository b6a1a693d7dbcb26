//! From a core module to a component, in this process.
//!
//! A module carries the types of its imports and exports in custom sections, one for each world that the SDK's
//! `export!` named; `wit-component` merges them and drops every import that is not used.

use anyhow::{Context, Result, bail};
use wit_component::{ComponentEncoder, DecodedWasm};

/// What every policy exports, of whatever track of the contract.
const RULES: &str = "larder:policy/rules@";

/// Makes a component of a core module.
///
/// # Errors
/// The module carries no types (it does not say `larder_policy::export!`), or ones that do not fit its code.
pub fn componentize(core: &[u8]) -> Result<Vec<u8>> {
    let component = ComponentEncoder::default()
        .module(core)
        .and_then(|encoder| encoder.validate(true).encode())
        .context("its module makes no component")?;
    let DecodedWasm::Component(resolve, world) = wit_component::decode(&component)? else {
        bail!("the encoder made something else than a component");
    };
    let exports = resolve.worlds.get(world).map(|world| &world.exports);
    let rules = exports.into_iter().flatten().any(|(key, _)| resolve.name_world_key(key).starts_with(RULES));
    if !rules {
        bail!("it exports no rules; say `larder_policy::export!(…)` in its source");
    }
    Ok(component)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_module_that_exports_no_rules_is_refused_in_words() {
        let empty = b"\0asm\x01\0\0\0";
        let refused = format!("{:#}", componentize(empty).unwrap_err());
        assert!(refused.contains("export!"), "{refused}");
    }

    #[test]
    fn what_is_no_module_is_refused() {
        assert!(componentize(b"not a module").is_err());
    }
}
