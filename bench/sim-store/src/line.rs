//! The way between a node and what it uses, as it can be open, broken or unattended.

use std::pin::pin;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tokio::sync::Notify;
use tokio::time::{Instant, timeout_at};

/// How a way is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Way {
    /// Everything arrives.
    #[default]
    Open,
    /// Nothing arrives. What is sent is sent again until the way is open, or the sender loses its patience.
    Cut,
    /// What is asked arrives, and what is answered does not.
    Mute,
    /// Whoever asks does not run: nothing leaves and nothing is taken in, for however long.
    Held,
}

/// A way. Clones are one.
#[derive(Clone, Debug, Default)]
pub struct Line(Arc<LineState>);

#[derive(Debug, Default)]
struct LineState {
    way: Mutex<Way>,
    changed: Notify,
}

/// The way was broken for longer than the patience.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Severed;

impl Line {
    /// How it is.
    pub fn way(&self) -> Way {
        *self.0.way.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Makes it otherwise. Those who wait go on in the order in which they came.
    pub fn set(&self, way: Way) {
        *self.0.way.lock().unwrap_or_else(PoisonError::into_inner) = way;
        self.0.changed.notify_waiters();
    }

    /// Returns when what is asked arrives at the other end.
    ///
    /// # Errors
    /// When the way was broken for longer than the patience.
    pub async fn go(&self, patience: Duration) -> Result<(), Severed> {
        self.pass(patience, |way| matches!(way, Way::Open | Way::Mute)).await
    }

    /// Returns when what is answered has come back.
    ///
    /// # Errors
    /// When the way was broken for longer than the patience.
    pub async fn come_back(&self, patience: Duration) -> Result<(), Severed> {
        self.pass(patience, |way| way == Way::Open).await
    }

    async fn pass(&self, patience: Duration, is_passable: impl Fn(Way) -> bool) -> Result<(), Severed> {
        let mut until = None;
        loop {
            let mut changed = pin!(self.0.changed.notified());
            // Waits from here on, so that a change between the look and the wait is not missed.
            changed.as_mut().enable();
            match self.way() {
                way if is_passable(way) => return Ok(()),
                // Whoever does not run has no patience to lose.
                Way::Held => changed.await,
                _ => {
                    let until = *until.get_or_insert_with(|| Instant::now() + patience);
                    timeout_at(until, changed).await.map_err(|_elapsed| Severed)?;
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const PATIENCE: Duration = Duration::from_secs(5);

    async fn check(way: Way, goes: Option<Result<(), Severed>>, comes_back: Option<Result<(), Severed>>) {
        let line = Line::default();
        line.set(way);
        let longest = PATIENCE * 10;
        assert_eq!(tokio::time::timeout(longest, line.go(PATIENCE)).await.ok(), goes, "{way:?}");
        assert_eq!(tokio::time::timeout(longest, line.come_back(PATIENCE)).await.ok(), comes_back, "{way:?}");
    }

    #[tokio::test(start_paused = true)]
    async fn each_way_lets_through_what_it_should() {
        check(Way::Open, Some(Ok(())), Some(Ok(()))).await;
        check(Way::Cut, Some(Err(Severed)), Some(Err(Severed))).await;
        check(Way::Mute, Some(Ok(())), Some(Err(Severed))).await;
        check(Way::Held, None, None).await;
    }

    #[tokio::test(start_paused = true)]
    async fn what_waits_goes_on_when_the_way_is_open() {
        for way in [Way::Cut, Way::Held] {
            let line = Line::default();
            line.set(way);
            let (asker, began) = (line.clone(), Instant::now());
            let asked = tokio::spawn(async move { asker.go(PATIENCE).await });
            tokio::time::sleep(PATIENCE / 2).await;
            line.set(Way::Open);
            assert_eq!(asked.await.expect("no panic"), Ok(()));
            assert_eq!(began.elapsed(), PATIENCE / 2, "{way:?}");
        }
    }
}
