//! What operators command: roll back, remove, clear the quarantine. Carried out by the one thread that decides.

use std::sync::Arc;

use super::domain::Domain;
use super::folder;
use super::life::Life;
use crate::ports::registry::{PolicyStatus, RegistryError};

impl Life {
    /// Puts the previous policy of a domain back into service.
    ///
    /// # Errors
    /// Nobody serves the domain, or nobody did before.
    pub(super) fn roll_back(&mut self, name: &str) -> Result<PolicyStatus, RegistryError> {
        let now_ms = self.clock.wall_ms();
        let domain = self.served(name)?;
        let live = domain.roll_back(now_ms).ok_or_else(|| RegistryError::NoPrevious(name.to_owned()))?;
        let (name, status) = (Arc::clone(&domain.name), domain.status());
        self.go_live(live);
        self.publish(&name);
        self.keep(&name, None);
        Ok(status)
    }

    /// Takes a domain whose file is gone out of service.
    ///
    /// # Errors
    /// Nobody serves the domain, or its file is there.
    pub(super) fn remove(&mut self, name: &str) -> Result<(), RegistryError> {
        let (now_ms, file) = (self.clock.wall_ms(), folder::wasm(&self.folder, name));
        let domain = self.served(name)?;
        if file.symlink_metadata().is_ok() {
            return Err(RegistryError::FileExists(file.display().to_string()));
        }
        domain.remove(now_ms);
        let name = Arc::clone(&domain.name);
        self.policies.replace(|table| table.without(&name));
        self.last_good.forget(&name);
        self.publish(&name);
        tracing::info!(target: "larder::policy", domain = &*name, "the policy is removed");
        Ok(())
    }

    /// Forgets the quarantine of a domain and has its file tried again.
    ///
    /// # Errors
    /// There is no such domain, or nothing in quarantine.
    pub(super) fn unquarantine(&mut self, name: &str) -> Result<PolicyStatus, RegistryError> {
        let (now_ms, now_ns) = (self.clock.wall_ms(), self.clock.monotonic_ns());
        let domain = self.domains.get_mut(name).ok_or_else(|| RegistryError::UnknownDomain(name.to_owned()))?;
        if !domain.unquarantine(now_ms) {
            return Err(RegistryError::NotQuarantined(name.to_owned()));
        }
        let (name, status) = (Arc::clone(&domain.name), domain.status());
        self.work.disturbed_ns.get_or_insert(now_ns);
        self.keep_quarantine(&name);
        self.publish(&name);
        tracing::info!(target: "larder::policy", domain = &*name, "the quarantine is cleared; the file is tried again");
        Ok(status)
    }

    fn served(&mut self, name: &str) -> Result<&mut Domain, RegistryError> {
        let domain = self.domains.get_mut(name).filter(|domain| domain.serving().is_some());
        domain.ok_or_else(|| RegistryError::UnknownDomain(name.to_owned()))
    }
}
