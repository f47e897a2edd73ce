//! When a calendar's facts must be loaded from the store again, and who waits for that.

use tokio::sync::oneshot;

/// One load at a time. Who asks while one is under way waits for the next, since the present one may have read before.
#[derive(Default)]
pub(crate) struct Loads {
    loading: bool,
    wanted: bool,
    failed: bool,
    waiting_for_this: Vec<oneshot::Sender<()>>,
    waiting_for_next: Vec<oneshot::Sender<()>>,
}

impl Loads {
    /// Somebody needs what the store now has.
    pub(crate) fn want(&mut self, done: impl IntoIterator<Item = oneshot::Sender<()>>) {
        self.wanted = true;
        self.waiting_for_next.extend(done);
    }

    /// A load that failed is tried again.
    pub(crate) fn retry(&mut self) {
        self.wanted |= std::mem::take(&mut self.failed);
    }

    /// Whether a load shall begin now.
    pub(crate) fn begin(&mut self) -> bool {
        if self.loading || !self.wanted {
            return false;
        }
        self.loading = true;
        self.wanted = false;
        self.waiting_for_this = std::mem::take(&mut self.waiting_for_next);
        true
    }

    /// Facts were loaded; those who waited for it. One that nobody began (it came with other work) tells nobody.
    #[must_use]
    pub(crate) fn handle_done(&mut self) -> Vec<oneshot::Sender<()>> {
        self.loading = false;
        std::mem::take(&mut self.waiting_for_this)
    }

    /// The load failed; those who waited for it.
    #[must_use]
    pub(crate) fn handle_failed(&mut self) -> Vec<oneshot::Sender<()>> {
        self.failed = true;
        self.handle_done()
    }

    /// Whether nothing is wanted or under way.
    pub(crate) fn is_idle(&self) -> bool {
        !self.loading && !self.wanted
    }
}

/// Tells those who wait. Who no longer listens does not matter.
pub(crate) fn tell(waiting: Vec<oneshot::Sender<()>>) {
    for done in waiting {
        let _ = done.send(());
    }
}
