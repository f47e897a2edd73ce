//! When a task that works through rows does its next round: when it is rung, when something it sent for came back, and once
//! a sweep.

use std::time::Duration;

use tokio::sync::Notify;
use tokio::sync::mpsc::{UnboundedReceiver, UnboundedSender, unbounded_channel};
use tokio::time::{Instant, Interval, MissedTickBehavior, interval, sleep_until, timeout};
use tokio_util::sync::CancellationToken;

/// Least time between a round and one that is rung for: what busy moments make is worked through together.
const RING_INTERVAL: Duration = Duration::from_millis(10);
/// And how many times as long as the round took. Where rounds take long, callers wait for the same store; bells ring for what
/// nobody waits for, and fewer rounds do it with less.
const REST_PER_ROUND: u32 = 3;
/// Longest time that is waited for either reason.
const RING_INTERVAL_MAX: Duration = Duration::from_millis(200);

/// Occasions for rounds, and what came back with them.
pub(crate) struct Occasions<T> {
    results: UnboundedReceiver<T>,
    rhythm: Interval,
    round_began: Instant,
}

impl<T> Occasions<T> {
    /// And what results are sent by. No more wait in it than were sent for at once.
    pub(crate) fn new(sweep_interval: Duration) -> (UnboundedSender<T>, Self) {
        let (send, results) = unbounded_channel();
        let mut rhythm = interval(sweep_interval);
        rhythm.set_missed_tick_behavior(MissedTickBehavior::Delay);
        (send, Self { results, rhythm, round_began: Instant::now() })
    }

    /// Waits for the next, and gives what has come back; `None`: it is time to stop.
    pub(crate) async fn next(&mut self, stopping: &CancellationToken, bell: &Notify) -> Option<Vec<T>> {
        let now = Instant::now();
        let rest = (now - self.round_began) * REST_PER_ROUND;
        let rung_from = now + rest.clamp(RING_INTERVAL, RING_INTERVAL_MAX);
        let first = tokio::select! {
            biased;
            () = stopping.cancelled() => return None,
            result = self.results.recv() => result,
            () = rung(bell, rung_from) => None,
            _ = self.rhythm.tick() => None,
        };
        self.round_began = Instant::now();
        Some(self.with_rest(first))
    }

    /// What comes back before an instant, as soon as there is something; `None`: nothing did.
    pub(crate) async fn until(&mut self, until: Instant) -> Option<Vec<T>> {
        let left = until.saturating_duration_since(Instant::now());
        let first = timeout(left, self.results.recv()).await.ok().flatten()?;
        Some(self.with_rest(Some(first)))
    }

    fn with_rest(&mut self, first: Option<T>) -> Vec<T> {
        let rest = std::iter::from_fn(|| self.results.try_recv().ok());
        first.into_iter().chain(rest).collect()
    }
}

/// Waits until somebody has rung, and then for an instant. Whatever comes first makes a round as well, so a ring that was
/// heard is not lost.
async fn rung(bell: &Notify, until: Instant) {
    bell.notified().await;
    sleep_until(until).await;
}
