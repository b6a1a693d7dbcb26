//! Long work, shown while it goes on: a line on the standard error output of a terminal, and nothing anywhere else. What a host does in
//! steps has a bar.

use std::time::Duration;

use indicatif::{ProgressBar, ProgressStyle};

/// A line that says what is done and for how long; it is gone when the bar is dropped.
#[must_use]
pub(crate) fn begin(what: String) -> Shown {
    // The templates are constants; that they are some is tested.
    let style = ProgressStyle::with_template(TEMPLATE).unwrap_or_else(|_| ProgressStyle::default_spinner());
    let bar = ProgressBar::new_spinner().with_style(style).with_message(what);
    bar.enable_steady_tick(Duration::from_millis(100));
    Shown(bar)
}

/// A bar for what a host does in steps of keys; it is gone when it is dropped.
#[must_use]
pub(crate) fn steps() -> Steps {
    let style = ProgressStyle::with_template(STEPS).unwrap_or_else(|_| ProgressStyle::default_bar());
    let bar = ProgressBar::new(0).with_style(style);
    bar.enable_steady_tick(Duration::from_millis(100));
    Steps(bar)
}

const TEMPLATE: &str = "{spinner} {elapsed} {wide_msg}";
const STEPS: &str = "{bar:30} {pos} of {len} keys, {per_sec}; {msg}";

/// The bar.
pub(crate) struct Steps(ProgressBar);

impl Steps {
    /// So many keys are done, of about so many if that is known; and what else there is to say.
    pub(crate) fn reach(&self, done: u64, total: Option<u64>, what: String) {
        self.0.set_length(total.unwrap_or_else(|| self.0.length().unwrap_or(0)).max(done));
        self.0.set_position(done);
        self.0.set_message(what);
    }
}

impl Drop for Steps {
    fn drop(&mut self) {
        self.0.finish_and_clear();
    }
}

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
    fn the_templates_are_some() {
        assert!([TEMPLATE, STEPS].into_iter().all(|it| ProgressStyle::with_template(it).is_ok()));
    }
}
