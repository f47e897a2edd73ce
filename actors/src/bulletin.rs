//! A value that readers can wait for a change of. They wake in the order in which they began to wait: channels that wake
//! them in an order drawn by chance cannot be replayed by a seed.

use std::pin::pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::sync::Notify;

/// Where the value is changed. Readers may outlive it; then they wait for ever.
#[derive(Debug, Default)]
pub(crate) struct Bulletin<T>(Arc<Inner<T>>);

/// Where changes are waited for.
#[derive(Debug)]
pub(crate) struct Reader<T> {
    inner: Arc<Inner<T>>,
    seen: u64,
}

#[derive(Debug, Default)]
struct Inner<T> {
    value: Mutex<Versioned<T>>,
    changed: Notify,
}

#[derive(Clone, Copy, Debug, Default)]
struct Versioned<T> {
    version: u64,
    value: T,
}

impl<T: Copy> Bulletin<T> {
    /// Changes the value and wakes everybody who waits.
    pub(crate) fn change(&self, change: impl FnOnce(&mut T)) {
        let mut present = self.0.lock();
        change(&mut present.value);
        present.version += 1;
        drop(present);
        self.0.changed.notify_waiters();
    }

    /// A reader that has seen the present value.
    pub(crate) fn reader(&self) -> Reader<T> {
        Reader { seen: self.0.lock().version, inner: Arc::clone(&self.0) }
    }
}

impl<T: Copy> Reader<T> {
    /// The present value; what changed up to now counts as seen.
    pub(crate) fn read(&mut self) -> T {
        let present = *self.inner.lock();
        self.seen = present.version;
        present.value
    }

    /// Waits until there is a change that was not seen; then it is.
    pub(crate) async fn changed(&mut self) {
        loop {
            let mut notified = pin!(self.inner.changed.notified());
            // Waits from here on, so that a change between the look and the wait is not missed.
            notified.as_mut().enable();
            let version = self.inner.lock().version;
            if version != self.seen {
                self.seen = version;
                return;
            }
            notified.await;
        }
    }
}

impl<T> Inner<T> {
    fn lock(&self) -> MutexGuard<'_, Versioned<T>> {
        // What changes a value sets fields; it cannot leave one half done.
        self.value.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;

    #[tokio::test]
    async fn readers_wake_in_the_order_in_which_they_waited() {
        let bulletin = Bulletin::<u32>::default();
        let woken = Arc::new(Mutex::new(Vec::new()));
        let readers: Vec<_> = (0..32)
            .map(|number| {
                let (mut reader, woken) = (bulletin.reader(), Arc::clone(&woken));
                tokio::spawn(async move {
                    reader.changed().await;
                    woken.lock().expect("nobody panics").push(number);
                })
            })
            .collect();
        tokio::task::yield_now().await;
        bulletin.change(|value| *value += 1);
        for reader in readers {
            reader.await.expect("a reader ends");
        }
        assert_eq!(*woken.lock().expect("nobody panics"), (0..32).collect::<Vec<_>>());
    }

    #[tokio::test]
    async fn a_change_is_seen_once() {
        let bulletin = Bulletin::<u32>::default();
        let mut reader = bulletin.reader();
        bulletin.change(|value| *value = 7);
        reader.changed().await;
        assert_eq!(reader.read(), 7);
        let again = tokio::time::timeout(std::time::Duration::from_millis(1), reader.changed()).await;
        assert!(again.is_err(), "nothing changed since");
    }
}
