//! Saying once what would otherwise be said with every request.

use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use tokio::time::Instant;

/// How long a line that was logged is not repeated.
const QUIET: Duration = Duration::from_secs(60);

/// Lets one through per minute.
#[derive(Debug, Default)]
pub(crate) struct OncePerMinute(Mutex<Option<Instant>>);

impl OncePerMinute {
    /// Whether to speak now.
    pub(crate) fn may_speak(&self) -> bool {
        let now = Instant::now();
        let mut last = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let is_quiet = last.is_some_and(|last| now.duration_since(last) < QUIET);
        if !is_quiet {
            *last = Some(now);
        }
        !is_quiet
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn it_speaks_once_a_minute() {
        let gate = OncePerMinute::default();
        let mut said = Vec::new();
        for second in 0..130 {
            if gate.may_speak() {
                said.push(second);
            }
            tokio::time::advance(Duration::from_secs(1)).await;
        }
        assert_eq!(said, [0, 60, 120]);
    }
}
