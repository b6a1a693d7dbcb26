//! What a component exports, found once, and the typed functions of one instance of it.
//!
//! Invariant: whatever the surface of a component promised (`contract.rs`) is here, or the component does not go live: a name that
//! is there with other types is told when the first instance is made.

use wasmtime::component::{Instance, InstancePre};
use wasmtime::{AsContextMut, Result};

use super::bindings::guest::{events, loading, migration, revalidation, rules, warming};
use crate::ports::hooks::{Abilities, Ability};

/// Where a component keeps its exported functions.
pub(super) struct Exports {
    rules: rules::GuestIndices,
    revalidation: Option<revalidation::GuestIndices>,
    loading: Option<loading::GuestIndices>,
    events: Option<events::GuestIndices>,
    warming: Option<warming::GuestIndices>,
    migration: Option<migration::GuestIndices>,
}

/// The functions of one instance.
pub(super) struct Guests {
    pub(super) rules: rules::Guest,
    pub(super) revalidation: Option<revalidation::Guest>,
    pub(super) loading: Option<loading::Guest>,
    pub(super) events: Option<events::Guest>,
    pub(super) warming: Option<warming::Guest>,
    pub(super) migration: Option<migration::Guest>,
}

impl Exports {
    /// Finds what the abilities say is there.
    ///
    /// # Errors
    /// An interface or a function that is not there after all.
    pub(super) fn find<T>(pre: &InstancePre<T>, abilities: Abilities) -> Result<Self> {
        let has = |ability| abilities.contains(ability).then_some(());
        Ok(Self {
            rules: rules::GuestIndices::new(pre)?,
            revalidation: has(Ability::Revalidation).map(|()| revalidation::GuestIndices::new(pre)).transpose()?,
            loading: has(Ability::Loading).map(|()| loading::GuestIndices::new(pre)).transpose()?,
            events: has(Ability::Events).map(|()| events::GuestIndices::new(pre)).transpose()?,
            warming: has(Ability::Warming).map(|()| warming::GuestIndices::new(pre)).transpose()?,
            migration: has(Ability::Migration).map(|()| migration::GuestIndices::new(pre)).transpose()?,
        })
    }

    /// The functions of an instance.
    ///
    /// # Errors
    /// A function of another type than the contract's.
    pub(super) fn load(&self, mut store: impl AsContextMut, instance: &Instance) -> Result<Guests> {
        let mut store = store.as_context_mut();
        Ok(Guests {
            rules: self.rules.load(&mut store, instance)?,
            revalidation: self.revalidation.as_ref().map(|it| it.load(&mut store, instance)).transpose()?,
            loading: self.loading.as_ref().map(|it| it.load(&mut store, instance)).transpose()?,
            events: self.events.as_ref().map(|it| it.load(&mut store, instance)).transpose()?,
            warming: self.warming.as_ref().map(|it| it.load(&mut store, instance)).transpose()?,
            migration: self.migration.as_ref().map(|it| it.load(&mut store, instance)).transpose()?,
        })
    }
}
