use std::time::Duration;

use tokio::time::{Instant, sleep};

/// Longest wait for anything. Generous: it is only ever waited out by a failure.
const WITHIN: Duration = Duration::from_secs(60);

/// Asks until the answer is yes; panics when it never comes.
pub(crate) async fn eventually(what: &str, ask: impl AsyncFnMut() -> bool) {
    assert!(came_true(WITHIN, ask).await, "{what}: not within {WITHIN:?}");
}

/// Asks until the answer is yes; whether it came in time.
pub(crate) async fn came_true(within: Duration, mut ask: impl AsyncFnMut() -> bool) -> bool {
    let begun = Instant::now();
    while !ask().await {
        if begun.elapsed() >= within {
            return false;
        }
        sleep(Duration::from_millis(20)).await;
    }
    true
}
