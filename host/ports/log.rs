//! What is logged, as it can be changed while the host runs.

/// The log's directives: a level, or levels of modules.
pub trait LogControl: Send + Sync {
    /// What counts now.
    fn directives(&self) -> String;

    /// What is to count from now on.
    ///
    /// # Errors
    /// What is wrong with the directives; then what counted goes on.
    fn set(&self, directives: &str) -> Result<(), String>;
}
