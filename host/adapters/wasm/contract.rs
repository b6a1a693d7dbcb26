//! What a component is, read from its bytes before anything is compiled: its form, its imports against the grants, its exports
//! against what the host serves.
//!
//! Invariants: no code of the component runs here; nothing that it asks for or offers is passed over in silence. Whether the
//! *types* fit the contract is seen later, when the trial instance is made.

use std::fmt::Write as _;

use wasmparser::{ComponentExportSectionReader, ComponentImportSectionReader, Parser, Payload};

use super::refused::{Reason, Refused};
use super::wasi;
use crate::ports::hooks::{Abilities, Ability};

/// The contract's package.
const PACKAGE: &str = "larder:policy/";
/// The track of the contract that this host serves: patches of it are compatible with one another.
const TRACK: &str = "0.1";
/// A full name of that track, for messages.
const VERSION: &str = "0.1.0";
/// The one interface that every policy exports.
const RULES: &str = "rules";
/// Interfaces that every policy may import.
const FREE: [&str; 6] = ["types", "host-errors", "log", "settings", "clock", "metrics"];
/// Interfaces that must be granted.
pub(super) const GRANTABLE: [&str; 3] = ["redis", "lock", "breaker"];

/// The names that a component imports and exports at its outermost level.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Surface {
    imports: Vec<String>,
    exports: Vec<String>,
}

/// Reads a component's surface.
///
/// # Errors
/// The bytes are not a complete component.
pub(super) fn read(wasm: &[u8]) -> Result<Surface, Refused> {
    check_form(wasm)?;
    check_complete(wasm)?;
    let mut surface = Surface::default();
    let mut depth = 0_u32;
    for payload in Parser::new(0).parse_all(wasm) {
        match payload.map_err(invalid)? {
            Payload::ModuleSection { .. } | Payload::ComponentSection { .. } => depth += 1,
            Payload::End(_) => depth = depth.saturating_sub(1),
            Payload::ComponentImportSection(section) if depth == 0 => import_names(section, &mut surface.imports)?,
            Payload::ComponentExportSection(section) if depth == 0 => export_names(section, &mut surface.exports)?,
            _ => {}
        }
    }
    Ok(surface)
}

impl Surface {
    /// What it imports.
    pub(super) fn imports(&self) -> &[String] {
        &self.imports
    }

    /// What it exports.
    pub(super) fn exports(&self) -> &[String] {
        &self.exports
    }

    /// The interfaces that it imports and must be granted.
    pub(super) fn grants_needed(&self) -> Vec<&'static str> {
        let imports = |interface: &str| self.imports.iter().any(|name| split(name).is_some_and(|it| it.0 == interface));
        GRANTABLE.into_iter().filter(|interface| imports(interface)).collect()
    }

    /// Whether a policy with these grants may have this surface, and the host serves all of it.
    ///
    /// # Errors
    /// Which import or export is not allowed, and what to do.
    pub(super) fn check(&self, domain: &str, grants: &[String]) -> Result<(), Refused> {
        self.exports.iter().try_for_each(|name| check_export(name))?;
        if !self.exports.iter().any(|name| split(name).is_some_and(|(interface, _)| interface == RULES)) {
            return Err(self.without_rules());
        }
        self.imports.iter().try_for_each(|name| check_import(name, domain, grants))
    }

    /// What the policy can do beside its rules.
    pub(super) fn abilities(&self) -> Abilities {
        let interfaces = self.exports.iter().filter_map(|name| split(name));
        interfaces.filter_map(|(interface, _)| ability(interface)).collect()
    }

    fn without_rules(&self) -> Refused {
        let mut message = format!("does not export {PACKAGE}{RULES}@{VERSION}, so it is no policy; it exports ");
        match self.exports.as_slice() {
            [] => message.push_str("nothing"),
            names => message.push_str(&names.iter().take(8).map(String::as_str).collect::<Vec<_>>().join(", ")),
        }
        Refused::new(Reason::Contract, message)
    }
}

/// Layer and version follow the magic number: a component is `0d 00 01 00`, a core module `01 00 00 00`.
fn check_form(wasm: &[u8]) -> Result<(), Refused> {
    let not = |what: &str| Err(Refused::new(Reason::NotComponent, what));
    match wasm {
        [] => Err(Refused::new(Reason::Empty, "is empty")),
        [b'\0', b'a', b's', b'm', 0x0d, 0, 1, 0, ..] => Ok(()),
        [b'\0', b'a', b's', b'm', 1, 0, 0, 0, ..] => {
            not("is a core WebAssembly module, not a component; build it with \
             `cargo larder policy build`, or wrap it with `wasm-tools component new`")
        }
        [b'\0', b'a', b's', b'm', layer @ ..] if layer.len() >= 4 => not("is WebAssembly of an unknown version"),
        [0x7f, b'E', b'L', b'F', ..] => not("is machine code, not a component; the host compiles components itself"),
        [b'(', ..] => not("is WebAssembly in text form; turn it into binary form with `wasm-tools parse`"),
        short if b"\0asm".starts_with(&short[..short.len().min(4)]) => Err(Refused::new(
            Reason::Truncated,
            format!("ends after {} bytes, in the header of the component", short.len()),
        )),
        _ => not("is not a WebAssembly component"),
    }
}

/// Whether the last section ends where the file ends. What a half-written file fails first.
fn check_complete(wasm: &[u8]) -> Result<(), Refused> {
    let mut at = 8;
    while at < wasm.len() {
        let missing = match section_end(wasm, at) {
            Some(end) if end <= wasm.len() => {
                at = end;
                continue;
            }
            Some(end) => format!("at least {} bytes are missing", end - wasm.len()),
            None => "it ends in the header of a section".to_owned(),
        };
        return Err(Refused::new(
            Reason::Truncated,
            format!("is cut off after {} bytes: {missing}; was it copied to its end?", wasm.len()),
        ));
    }
    Ok(())
}

/// Where the section at `at` ends: one byte of kind, its size in LEB128, its bytes.
fn section_end(wasm: &[u8], at: usize) -> Option<usize> {
    let mut size = 0_usize;
    for (i, byte) in wasm.get(at + 1..)?.iter().take(5).enumerate() {
        size |= usize::from(byte & 0x7f) << (7 * i);
        if byte & 0x80 == 0 {
            return Some(at + 2 + i + size);
        }
    }
    None
}

fn import_names(section: ComponentImportSectionReader<'_>, names: &mut Vec<String>) -> Result<(), Refused> {
    for import in section {
        names.push(import.map_err(invalid)?.name.name.to_owned());
    }
    Ok(())
}

fn export_names(section: ComponentExportSectionReader<'_>, names: &mut Vec<String>) -> Result<(), Refused> {
    for export in section {
        names.push(export.map_err(invalid)?.name.name.to_owned());
    }
    Ok(())
}

fn invalid(error: impl std::fmt::Display) -> Refused {
    Refused::new(Reason::Invalid, format!("is not a valid component: {error}"))
}

/// Interface and version of a name of the contract's package: `larder:policy/rules@0.1.0` gives `rules`, `0.1.0`.
fn split(name: &str) -> Option<(&str, &str)> {
    let name = name.strip_prefix(PACKAGE)?;
    Some(name.split_once('@').unwrap_or((name, "")))
}

fn ability(interface: &str) -> Option<Ability> {
    Ability::ALL.into_iter().find(|ability| ability.as_str() == interface)
}

fn is_served_track(version: &str) -> bool {
    version.strip_prefix(TRACK).is_some_and(|patch| patch.starts_with('.'))
}

fn check_export(name: &str) -> Result<(), Refused> {
    // Exports of other packages are of no use to the host and do no harm: some toolchains add their own.
    let Some((interface, version)) = split(name) else { return Ok(()) };
    if !is_served_track(version) {
        return Err(Refused::new(
            Reason::Contract,
            format!(
                "exports {name}, but this host serves {PACKAGE}{interface}@{VERSION}; build the policy against that version"
            ),
        ));
    }
    if interface == RULES {
        return Ok(());
    }
    match ability(interface) {
        Some(_) => Ok(()),
        None => Err(Refused::new(Reason::Contract, format!("exports {name}, which the contract does not know"))),
    }
}

fn check_import(name: &str, domain: &str, grants: &[String]) -> Result<(), Refused> {
    let refuse = |message: String| Err(Refused::new(Reason::Import, message));
    let Some((interface, version)) = split(name) else {
        return match wasi::served(name) {
            Some(served) => served.or_else(refuse),
            None => refuse(format!("imports {name}, which this host does not have; policies import {PACKAGE}… only")),
        };
    };
    if !is_served_track(version) {
        return Err(Refused::new(
            Reason::Contract,
            format!(
                "imports {name}, but this host has {PACKAGE}{interface}@{VERSION}; build the policy against that version"
            ),
        ));
    }
    if FREE.contains(&interface) || grants.iter().any(|grant| grant == interface) {
        return Ok(());
    }
    if !GRANTABLE.contains(&interface) {
        return refuse(format!("imports {name}, which the contract does not know"));
    }
    let mut line = String::from("interfaces = [");
    for grant in grants.iter().map(String::as_str).chain([interface]) {
        let comma = if line.ends_with('[') { "" } else { ", " };
        let _ = write!(line, "{comma}\"{grant}\"");
    }
    refuse(format!(
        "imports {name}, which it is not granted; if it may, write `{line}]` under [grants] in {domain}.toml"
    ))
}

#[cfg(test)]
mod tests {
    use super::*;

    const HEADER: [u8; 8] = [0, b'a', b's', b'm', 0x0d, 0, 1, 0];

    #[track_caller]
    fn check(wasm: &[u8], reason: Reason, words: &str) {
        let refused = read(wasm).expect_err("these bytes are no component");
        assert_eq!(refused.reason, reason, "{refused}");
        assert!(refused.message.contains(words), "{refused}");
    }

    #[test]
    fn bytes_that_are_no_component_are_told_apart() {
        check(b"", Reason::Empty, "empty");
        check(b"\0as", Reason::Truncated, "after 3 bytes");
        check(&HEADER[..6], Reason::Truncated, "after 6 bytes");
        check(&[0, b'a', b's', b'm', 1, 0, 0, 0], Reason::NotComponent, "core WebAssembly module");
        check(b"\0asm\x09\0\x07\0", Reason::NotComponent, "unknown version");
        check(b"(component)", Reason::NotComponent, "text form");
        check(b"\x7fELF....", Reason::NotComponent, "machine code");
        check(b"GIF89a", Reason::NotComponent, "not a WebAssembly component");
    }

    #[test]
    fn a_component_that_ends_early_is_truncated() {
        let whole = [&HEADER[..], &[0, 4, 1, b'x', 0, 0]].concat();
        assert_eq!(read(&whole).expect("a custom section alone"), Surface::default());
        for end in 9..whole.len() {
            check(&whole[..end], Reason::Truncated, "cut off");
        }
    }

    fn surface(imports: &[&str], exports: &[&str]) -> Surface {
        let own = |names: &[&str]| names.iter().map(|name| (*name).to_owned()).collect();
        Surface { imports: own(imports), exports: own(exports) }
    }

    #[track_caller]
    fn refuses(surface: &Surface, reason: Reason, words: &str) {
        let refused = surface.check("profile", &["redis".to_owned()]).expect_err("this surface is not allowed");
        assert_eq!(refused.reason, reason, "{refused}");
        assert!(refused.message.contains(words), "{refused}");
    }

    #[test]
    fn a_surface_within_the_grants_passes() {
        let imports = ["larder:policy/types@0.1.0", "larder:policy/log@0.1.3", "larder:policy/redis@0.1.0"];
        let exports = ["larder:policy/rules@0.1.0", "larder:policy/events@0.1.0", "init"];
        let surface = surface(&imports, &exports);
        surface.check("profile", &["redis".to_owned()]).expect("all of it is granted");
        assert_eq!(surface.abilities().iter().collect::<Vec<_>>(), [Ability::Events]);
    }

    #[test]
    fn what_is_beyond_the_grants_or_the_host_is_refused() {
        let rules = "larder:policy/rules@0.1.0";
        refuses(&surface(&[], &[]), Reason::Contract, "exports nothing");
        refuses(&surface(&[], &["larder:policy/rules@0.2.0"]), Reason::Contract, "serves larder:policy/rules@0.1.0");
        refuses(&surface(&[], &[rules, "larder:policy/magic@0.1.0"]), Reason::Contract, "does not know");
        refuses(&surface(&["wasi:http/types@0.2.0"], &[rules]), Reason::Import, "imports wasi:http/types@0.2.0");
        refuses(&surface(&["acme:db/sql"], &[rules]), Reason::Import, "does not have");
        refuses(&surface(&["larder:policy/log@0.2.0"], &[rules]), Reason::Contract, "has larder:policy/log@0.1.0");
        refuses(&surface(&["larder:policy/magic@0.1.0"], &[rules]), Reason::Import, "does not know");
        let line = "`interfaces = [\"redis\", \"lock\"]` under [grants] in profile.toml";
        refuses(&surface(&["larder:policy/lock@0.1.0"], &[rules]), Reason::Import, line);
    }
}
