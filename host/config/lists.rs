//! Settings that are lists.

use super::reader::Reader;
use super::{ConfigError, value};

impl Reader<'_> {
    /// Words with commas between them.
    pub(super) fn words(&self) -> Vec<String> {
        self.text().split(',').map(str::trim).filter(|word| !word.is_empty()).map(str::to_owned).collect()
    }

    /// Parts of a size.
    ///
    /// # Errors
    /// What is wrong with the text.
    pub(super) fn shares(&self, of_bytes: u64) -> Result<Vec<(String, u64)>, ConfigError> {
        value::shares(self.text(), of_bytes).map_err(|what| self.fail(&what))
    }
}
