//! What the driver of a store runs, for tests that count statements or have them explained.

use std::sync::{Arc, Mutex};

use tracing::field::{Field, Visit};
use tracing::{Event, Metadata, Subscriber, span};

/// Every statement sqlx runs in this process, in the order they ended.
#[derive(Clone, Default)]
pub struct Statements(Arc<Mutex<Vec<String>>>);

impl Statements {
    /// Hears all threads from now on: a subscriber of one thread alone would miss what another thread was the first to
    /// run, since interest in it is then asked of that thread, once, and kept.
    ///
    /// # Panics
    /// When somebody in this process listens already.
    pub fn listen() -> Self {
        let statements = Self::default();
        tracing::subscriber::set_global_default(statements.clone()).expect("one test of a program listens");
        tracing::callsite::rebuild_interest_cache();
        statements
    }

    /// What was run since this was asked last.
    pub fn take(&self) -> Vec<String> {
        std::mem::take(&mut *self.0.lock().expect("no listener panics"))
    }
}

impl Subscriber for Statements {
    fn enabled(&self, metadata: &Metadata<'_>) -> bool {
        metadata.target() == "sqlx::query"
    }
    fn new_span(&self, _: &span::Attributes<'_>) -> span::Id {
        span::Id::from_u64(1)
    }
    fn record(&self, _: &span::Id, _: &span::Record<'_>) {}
    fn record_follows_from(&self, _: &span::Id, _: &span::Id) {}
    fn event(&self, event: &Event<'_>) {
        let mut heard = Statement::default();
        event.record(&mut heard);
        let text = if heard.whole.trim().is_empty() { heard.summary } else { heard.whole };
        self.0.lock().expect("no listener panics").push(text.trim().to_owned());
    }
    fn enter(&self, _: &span::Id) {}
    fn exit(&self, _: &span::Id) {}
}

/// One statement as sqlx logs it: a long one is cut in its summary, and whole beside it.
#[derive(Default)]
struct Statement {
    summary: String,
    whole: String,
}

impl Visit for Statement {
    fn record_str(&mut self, field: &Field, value: &str) {
        match field.name() {
            "summary" => value.clone_into(&mut self.summary),
            "db.statement" => value.clone_into(&mut self.whole),
            _ => {}
        }
    }
    fn record_debug(&mut self, _: &Field, _: &dyn std::fmt::Debug) {}
}
