//! Settings that are lists, or yes or no.

use super::{ConfigError, Reader, value};

impl Reader<'_> {
    /// Words with commas between them.
    pub(super) fn words(&self) -> Vec<String> {
        self.text().split(',').map(str::trim).filter(|word| !word.is_empty()).map(str::to_owned).collect()
    }

    /// Yes or no.
    ///
    /// # Errors
    /// Another word.
    pub(super) fn flag(&self) -> Result<bool, ConfigError> {
        self.one_of(&["true", "false", "1", "0"]).map(|text| text == "true" || text == "1")
    }

    /// Parts of a size.
    ///
    /// # Errors
    /// What is wrong with the text.
    pub(super) fn shares(&self, of_bytes: u64) -> Result<Vec<(String, u64)>, ConfigError> {
        value::shares(self.text(), of_bytes).map_err(|what| self.fail(&what))
    }
}
