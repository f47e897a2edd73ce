use std::time::Duration;

use tokio::time::{Instant, sleep};

/// Asks until the answer is yes; panics after `bound`.
pub(crate) async fn eventually(what: &str, bound: Duration, mut ask: impl AsyncFnMut() -> bool) {
    let begun = Instant::now();
    while !ask().await {
        assert!(begun.elapsed() < bound, "{what}: not within {bound:?}");
        sleep(Duration::from_millis(20)).await;
    }
}
