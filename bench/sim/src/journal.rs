//! What clients did and saw, written down as it happens.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use agentcal_engine::time::Timestamp;
use agentcal_history::{Answer, Event, Operation, Outcome};

use tokio::sync::Notify;

use crate::run::digest_of;

/// The history so far, and whether clients may go on. Clones are one.
#[derive(Clone, Default)]
pub(crate) struct Journal {
    inner: Arc<Mutex<Inner>>,
    pauses: Arc<AtomicBool>,
    rush: Arc<Notify>,
}

#[derive(Default)]
struct Inner {
    events: Vec<Event>,
    /// Clients in the middle of something.
    busy: usize,
    /// Answers that must never come, whatever was asked.
    oddities: Vec<String>,
    /// Numbers of events in the order in which they were answered.
    answered: Vec<usize>,
    /// Writes that were acknowledged.
    acknowledged: u64,
    digest: u64,
    /// The time everybody wants.
    popular: Option<Timestamp>,
}

impl Journal {
    /// Everybody suddenly wants the same time.
    pub(crate) fn rush(&self, start: Timestamp) {
        self.lock().popular = Some(start);
        self.rush.notify_waiters();
    }

    /// Waits for the next rush; returns the time everybody wants. Clients wake in the order in which they wait.
    pub(crate) async fn rushed(&self) -> Option<Timestamp> {
        self.rush.notified().await;
        self.lock().popular
    }

    /// Writes down a request; returns its number.
    pub(crate) fn begin(&self, event: Event) -> usize {
        let mut inner = self.lock();
        inner.events.push(event);
        inner.events.len() - 1
    }

    /// Writes down its answer.
    pub(crate) fn finish(&self, number: usize, answer: Answer) {
        let mut inner = self.lock();
        let is_write = !matches!(inner.events[number].operation, Operation::Ask { .. } | Operation::Read { .. });
        let is_done = !matches!(answer.outcome, Outcome::Refused { .. } | Outcome::Failed { .. });
        inner.acknowledged += u64::from(is_write && is_done);
        inner.events[number].answer = Some(answer);
        inner.answered.push(number);
        inner.digest = digest_of(inner.digest, &inner.events[number].to_line());
    }

    /// How many writes were acknowledged.
    pub(crate) fn acknowledged(&self) -> u64 {
        self.lock().acknowledged
    }

    /// A number that stands for every answer so far.
    pub(crate) fn digest(&self) -> u64 {
        self.lock().digest
    }

    /// What was answered after the first so many answers; counts them on.
    pub(crate) fn answered_since(&self, seen: &mut usize) -> Vec<Event> {
        let inner = self.lock();
        let fresh = inner.answered[*seen..].iter().map(|&number| inner.events[number].clone()).collect();
        *seen = inner.answered.len();
        fresh
    }

    /// Something was answered that must never be.
    pub(crate) fn odd(&self, what: String) {
        self.lock().oddities.push(what);
    }

    pub(crate) fn oddities(&self) -> Vec<String> {
        self.lock().oddities.clone()
    }

    pub(crate) fn events(&self) -> Vec<Event> {
        self.lock().events.clone()
    }

    /// From now on clients begin nothing new, or do again.
    pub(crate) fn pause(&self, pauses: bool) {
        self.pauses.store(pauses, Ordering::Relaxed);
    }

    pub(crate) fn is_paused(&self) -> bool {
        self.pauses.load(Ordering::Relaxed)
    }

    /// Says that a client is in the middle of something, until what is returned is dropped.
    pub(crate) fn enter(&self) -> Engaged {
        self.lock().busy += 1;
        Engaged(self.clone())
    }

    /// Whether no client is in the middle of anything.
    pub(crate) fn is_idle(&self) -> bool {
        self.lock().busy == 0
    }

    fn lock(&self) -> MutexGuard<'_, Inner> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A client in the middle of something.
pub(crate) struct Engaged(Journal);

impl Drop for Engaged {
    fn drop(&mut self) {
        self.0.lock().busy -= 1;
    }
}
