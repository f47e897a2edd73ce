//! What has begun and has not ended.

use std::any::Any;
use std::pin::pin;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, OnceLock};

use tokio::sync::Notify;

/// A count of what has begun and has not ended, such as notifications on their way. Clones count together.
#[derive(Clone, Default)]
pub struct UnderWay(Arc<Inner>);

#[derive(Default)]
struct Inner {
    count: AtomicUsize,
    ended: Notify,
    hold: OnceLock<Box<Hold>>,
}

type Hold = dyn Fn() -> Box<dyn Any + Send> + Send + Sync;

/// Something that is under way until this is dropped.
pub struct Begun {
    of: UnderWay,
    _held: Option<Box<dyn Any + Send>>,
}

impl UnderWay {
    /// From now on, everything that begins holds what this returns until it ends. Whoever sets a clock by hand wants to
    /// know that nothing waits for an answer. The first one who says so is heard.
    pub fn hold<T: Any + Send>(&self, hold: impl Fn() -> T + Send + Sync + 'static) {
        // A second one has no more to say than the first.
        let _ = self.0.hold.set(Box::new(move || Box::new(hold())));
    }

    /// Something begins.
    #[must_use]
    pub fn begin(&self) -> Begun {
        self.0.count.fetch_add(1, Ordering::SeqCst);
        Begun { of: self.clone(), _held: self.0.hold.get().map(|hold| hold()) }
    }

    /// How much is under way.
    pub fn count(&self) -> usize {
        self.0.count.load(Ordering::SeqCst)
    }

    /// Waits until nothing is under way.
    pub async fn settled(&self) {
        loop {
            let mut ended = pin!(self.0.ended.notified());
            // Waits from here on, so that an end between the look and the wait is not missed.
            ended.as_mut().enable();
            if self.count() == 0 {
                return;
            }
            ended.await;
        }
    }
}

impl Drop for Begun {
    fn drop(&mut self) {
        self.of.0.count.fetch_sub(1, Ordering::SeqCst);
        self.of.0.ended.notify_waiters();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn whoever_waits_goes_on_when_everything_has_ended() {
        let (under_way, held) = (UnderWay::default(), Arc::new(()));
        let same = Arc::clone(&held);
        under_way.hold(move || Arc::clone(&same));
        under_way.settled().await;
        let begun = [under_way.begin(), under_way.clone().begin()];
        assert_eq!((under_way.count(), Arc::strong_count(&held)), (2, 4));
        let waits = tokio::spawn({
            let under_way = under_way.clone();
            async move { under_way.settled().await }
        });
        tokio::task::yield_now().await;
        let [first, second] = begun;
        drop(first);
        tokio::task::yield_now().await;
        assert!(!waits.is_finished());
        drop(second);
        waits.await.expect("no panic");
        assert_eq!((under_way.count(), Arc::strong_count(&held)), (0, 2));
    }
}
