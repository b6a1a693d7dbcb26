//! Long work, shown while it goes on: a line on the standard error output of a terminal, and nothing anywhere else.

use std::time::Duration;

use indicatif::{ProgressBar, ProgressStyle};

/// A line that says what is done and for how long; it is gone when the bar is dropped.
#[must_use]
pub(crate) fn begin(what: String) -> Shown {
    // The template is a constant; that it is one is tested.
    let style = ProgressStyle::with_template(TEMPLATE).unwrap_or_else(|_| ProgressStyle::default_spinner());
    let bar = ProgressBar::new_spinner().with_style(style).with_message(what);
    bar.enable_steady_tick(Duration::from_millis(100));
    Shown(bar)
}

const TEMPLATE: &str = "{spinner} {elapsed} {wide_msg}";

/// The line.
pub(crate) struct Shown(ProgressBar);

impl Shown {
    /// Says something else.
    pub(crate) fn say(&self, what: String) {
        self.0.set_message(what);
    }
}

impl Drop for Shown {
    fn drop(&mut self) {
        self.0.finish_and_clear();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_template_is_one() {
        assert!(ProgressStyle::with_template(TEMPLATE).is_ok());
    }
}
