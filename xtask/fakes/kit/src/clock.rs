//! The time a fake lives in.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use chrono::{DateTime, TimeDelta, Utc};

/// The time a fake lives in: the machine's, or one that moves only when it is told to. Clones are the same clock.
#[derive(Clone, Debug)]
pub struct Clock(Arc<Mutex<Reading>>);

#[derive(Clone, Copy, Debug)]
enum Reading {
    /// The machine's time, and so much more.
    Running { ahead: TimeDelta },
    /// This instant, until somebody says otherwise.
    Still(DateTime<Utc>),
}

impl Clock {
    /// The machine's clock.
    pub fn system() -> Self {
        Self::of(Reading::Running { ahead: TimeDelta::zero() })
    }

    /// A clock that stands at an instant.
    pub fn at(instant: DateTime<Utc>) -> Self {
        Self::of(Reading::Still(instant))
    }

    fn of(reading: Reading) -> Self {
        Self(Arc::new(Mutex::new(reading)))
    }

    /// The time.
    pub fn now(&self) -> DateTime<Utc> {
        match *self.reading() {
            Reading::Running { ahead } => machine_time() + ahead,
            Reading::Still(instant) => instant,
        }
    }

    /// From now on it is this instant; the clock stands.
    pub fn set(&self, instant: DateTime<Utc>) {
        *self.reading() = Reading::Still(instant);
    }

    /// Lets time pass.
    pub fn advance(&self, by: Duration) {
        let by = TimeDelta::from_std(by).unwrap_or(TimeDelta::MAX);
        let mut reading = self.reading();
        *reading = match *reading {
            Reading::Running { ahead } => Reading::Running { ahead: ahead + by },
            Reading::Still(instant) => Reading::Still(instant + by),
        };
    }

    fn reading(&self) -> std::sync::MutexGuard<'_, Reading> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[expect(clippy::disallowed_methods, reason = "a fake that is not told the time is a server, which has a clock")]
fn machine_time() -> DateTime<Utc> {
    DateTime::from(std::time::SystemTime::now())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_clock_stands_until_it_is_told() {
        let noon = DateTime::from_timestamp(1_800_000_000, 0).expect("an instant");
        let clock = Clock::at(noon);
        let same = clock.clone();
        assert_eq!(clock.now(), noon);
        same.advance(Duration::from_secs(60));
        assert_eq!(clock.now(), noon + TimeDelta::seconds(60));
        same.set(noon);
        assert_eq!(clock.now(), noon);
    }

    #[test]
    fn the_machines_clock_can_be_put_forward() {
        let clock = Clock::system();
        let before = clock.now();
        clock.advance(Duration::from_secs(3_600));
        assert!(clock.now() >= before + TimeDelta::seconds(3_600));
    }
}
