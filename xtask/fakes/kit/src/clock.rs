//! The time a fake lives in.

use std::fmt;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use chrono::{DateTime, TimeDelta, Utc};

/// The time a fake lives in: the machine's, another's, or one that moves only when it is told to. Clones are the same clock.
#[derive(Clone)]
pub struct Clock(Arc<Mutex<Reading>>);

type Source = dyn Fn() -> DateTime<Utc> + Send + Sync;

#[derive(Clone)]
enum Reading {
    /// Somebody's time, and so much more.
    Running { of: Arc<Source>, ahead: TimeDelta },
    /// This instant, until somebody says otherwise.
    Still(DateTime<Utc>),
}

impl Clock {
    /// The machine's clock.
    pub fn system() -> Self {
        Self::following(machine_time)
    }

    /// A clock that shows what somebody else says.
    pub fn following(source: impl Fn() -> DateTime<Utc> + Send + Sync + 'static) -> Self {
        Self::of(Reading::Running { of: Arc::new(source), ahead: TimeDelta::zero() })
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
        let reading = self.reading().clone();
        match reading {
            Reading::Running { of, ahead } => of() + ahead,
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
        match &mut *reading {
            Reading::Running { ahead, .. } => *ahead += by,
            Reading::Still(instant) => *instant += by,
        }
    }

    fn reading(&self) -> std::sync::MutexGuard<'_, Reading> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl fmt::Debug for Clock {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Clock").field(&self.now()).finish()
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
    fn a_clock_follows_another() {
        let noon = DateTime::from_timestamp(1_800_000_000, 0).expect("an instant");
        let leader = Clock::at(noon);
        let follower = Clock::following({
            let leader = leader.clone();
            move || leader.now()
        });
        leader.advance(Duration::from_secs(5));
        follower.advance(Duration::from_secs(60));
        assert_eq!(follower.now(), noon + TimeDelta::seconds(65));
    }

    #[test]
    fn the_machines_clock_can_be_put_forward() {
        let clock = Clock::system();
        let before = clock.now();
        clock.advance(Duration::from_secs(3_600));
        assert!(clock.now() >= before + TimeDelta::seconds(3_600));
    }
}
