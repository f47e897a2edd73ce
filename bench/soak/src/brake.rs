//! Holds virtual time still.
//!
//! Tokio's paused clock jumps to the next timer as soon as the runtime has nothing to do. It has nothing to do while an
//! answer is on its way through a socket, too, and time would jump over it. While a blocking task lives it does not jump;
//! so there is one for as long as anything is under way that tokio does not see.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc::{RecvTimeoutError, Sender, channel};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

/// Real time after which whatever is under way counts as stuck. Then virtual time goes on, and time-outs end it.
const GIVE_WAY_AFTER: Duration = Duration::from_secs(60);

/// Holds virtual time still while it is held. Clones are one.
#[derive(Clone, Default)]
pub(crate) struct Brake(Arc<Inner>);

#[derive(Default)]
struct Inner {
    hands: Mutex<Hands>,
    gave_way: AtomicU64,
}

#[derive(Default)]
struct Hands {
    count: usize,
    /// Dropped to let go.
    on_it: Option<Sender<()>>,
}

/// A hand on the brake, until it is dropped.
pub(crate) struct Held(Brake);

impl Brake {
    /// Holds virtual time still until what is returned is dropped. Call it inside the runtime.
    pub(crate) fn hold(&self) -> Held {
        let mut hands = self.hands();
        hands.count += 1;
        if hands.count == 1 {
            let (on_it, let_go) = channel::<()>();
            let inner = Arc::clone(&self.0);
            tokio::task::spawn_blocking(move || {
                if let_go.recv_timeout(GIVE_WAY_AFTER) == Err(RecvTimeoutError::Timeout) {
                    inner.gave_way.fetch_add(1, Ordering::Relaxed);
                }
            });
            hands.on_it = Some(on_it);
        }
        drop(hands);
        Held(self.clone())
    }

    /// How often something was stuck.
    pub(crate) fn gave_way(&self) -> u64 {
        self.0.gave_way.load(Ordering::Relaxed)
    }

    fn hands(&self) -> MutexGuard<'_, Hands> {
        self.0.hands.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Held {
    fn drop(&mut self) {
        let mut hands = self.0.hands();
        hands.count -= 1;
        if hands.count == 0 {
            hands.on_it = None;
        }
    }
}

#[cfg(test)]
mod tests {
    use std::io::{Read, Write};

    use tokio::io::{AsyncReadExt, AsyncWriteExt};
    use tokio::net::TcpStream;
    use tokio::time::{Instant, sleep};

    use super::*;

    const AN_HOUR: Duration = Duration::from_secs(3_600);

    /// A hundred questions and answers through a socket, while a timer waits that would be jumped to.
    async fn exchange(brake: Option<&Brake>) -> Duration {
        let listener = std::net::TcpListener::bind("127.0.0.1:0").expect("a free port");
        let address = listener.local_addr().expect("an address");
        let answering = std::thread::spawn(move || {
            let (mut stream, _) = listener.accept().expect("somebody comes");
            let mut byte = [0];
            while stream.read_exact(&mut byte).is_ok() {
                stream.write_all(&byte).expect("written");
            }
        });
        let waiting = tokio::spawn(sleep(AN_HOUR));
        let began = Instant::now();
        let held = brake.map(Brake::hold);
        let mut stream = TcpStream::connect(address).await.expect("connected");
        let mut byte = [7];
        for _ in 0..100 {
            stream.write_all(&byte).await.expect("written");
            stream.read_exact(&mut byte).await.expect("answered");
        }
        let took = began.elapsed();
        drop((held, stream));
        waiting.await.expect("time goes on");
        assert!(began.elapsed() >= AN_HOUR);
        answering.join().expect("no panic");
        took
    }

    #[tokio::test(start_paused = true)]
    async fn time_stands_still_while_an_answer_is_under_way() {
        let brake = Brake::default();
        assert_eq!((exchange(Some(&brake)).await, brake.gave_way()), (Duration::ZERO, 0));
        // Unless every answer is there before anybody looks, which it is not always.
        let mut jumped = false;
        for _ in 0..100 {
            jumped = jumped || exchange(None).await > Duration::ZERO;
        }
        assert!(jumped, "without it time jumps over answers");
    }
}
