//! How far the measuring is: a bar, or a line a step where nobody watches a terminal.

use std::time::Duration;

use indicatif::{ProgressBar, ProgressStyle};

/// Shows the steps of a run.
pub(crate) struct Progress {
    bar: ProgressBar,
}

impl Progress {
    /// Nothing done yet of so many steps.
    pub(crate) fn of(steps: u64) -> Self {
        let bar = ProgressBar::new(steps);
        let style = ProgressStyle::with_template("{elapsed:>4} [{bar:32}] {pos}/{len} {msg}");
        bar.set_style(style.expect("the template is well formed").progress_chars("=> "));
        bar.enable_steady_tick(Duration::from_millis(500));
        Self { bar }
    }

    /// The next step begins.
    pub(crate) fn step(&self, what: impl Into<String>) {
        let what = what.into();
        self.bar.inc(1);
        if self.bar.is_hidden() {
            eprintln!("[{}/{}] {what}", self.bar.position(), self.bar.length().unwrap_or(0));
        }
        self.bar.set_message(what);
    }

    /// The step goes on, and this is where it is.
    pub(crate) fn detail(&self, what: String) {
        self.bar.set_message(what);
    }
}

impl Drop for Progress {
    fn drop(&mut self) {
        self.bar.finish_and_clear();
    }
}
