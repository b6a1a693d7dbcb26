//! What a component says of itself in its types: its interfaces, as WIT text.

use anyhow::{Context, Result, bail};
use wit_component::{DecodedWasm, WitPrinter};

/// The world of a component and the interfaces of all packages that it names, documentation included where it was kept.
///
/// # Errors
/// The bytes are no component.
pub fn inspect(component: &[u8]) -> Result<String> {
    if !wasmparser::Parser::is_component(component) {
        bail!("its bytes are not those of a component");
    }
    let decoded = wit_component::decode(component)?;
    let DecodedWasm::Component(resolve, world) = &decoded else {
        bail!("it is a package of WIT, without code");
    };
    let package = resolve.worlds.get(*world).and_then(|world| world.package).context("its world has no package")?;
    let others: Vec<_> = resolve.packages.iter().map(|(id, _)| id).filter(|id| *id != package).collect();
    let mut printer = WitPrinter::default();
    printer.print(resolve, package, &others)?;
    Ok(printer.output.to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_no_component_is_refused() {
        assert!(inspect(b"not a component").is_err());
        assert!(inspect(b"\0asm\x01\0\0\0").is_err());
    }
}
