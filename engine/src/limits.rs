//! How often something may be done: rates, what they are counted for, and what a provider puts up with.
//!
//! The unit is a *cell*, one request. A rate is that of the generic cell rate algorithm: a bucket of so many cells, refilled
//! evenly. Who keeps buckets is behind the port [`crate::ports::Quotas`].

use std::num::NonZeroU32;
use std::time::Duration;

use uuid::Uuid;
use xxhash_rust::xxh3::xxh3_128;

use crate::ids::{ConnectionId, KeyId};
use crate::model::ProviderKind;
use crate::ports::Entropy;

/// Most cells a bucket may hold.
pub const BURST_MAX: u32 = 10_000_000;
/// Fastest refill: cells are counted in microseconds, and each takes at least one.
pub const CELLS_PER_MINUTE_MAX: u32 = 60_000_000;
const MINUTE: Duration = Duration::from_secs(60);
/// Those who wait for a cell come at least so far apart, on average.
const TURN_SPREAD: Duration = Duration::from_millis(20);

/// How fast cells may be used.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Rate {
    /// Cells that come back in one `period`, evenly: the sustained rate.
    cells: NonZeroU32,
    period: Duration,
    /// Cells of a full bucket: what may be used at once.
    burst: NonZeroU32,
}

impl Rate {
    /// One cell a second, one at once.
    pub const ONE_A_SECOND: Self =
        Self { cells: NonZeroU32::MIN, period: Duration::from_secs(1), burst: NonZeroU32::MIN };

    /// So many cells a minute, and so many at once. Zero and what is above the bounds is brought within them.
    pub fn per_minute(cells: u32, burst: u32) -> Self {
        Self::per(MINUTE, cells.min(CELLS_PER_MINUTE_MAX), burst)
    }

    /// So many cells in a period, and so many at once.
    pub fn per(period: Duration, cells: u32, burst: u32) -> Self {
        let cells = NonZeroU32::new(cells).unwrap_or(NonZeroU32::MIN);
        let burst = NonZeroU32::new(burst.min(BURST_MAX)).unwrap_or(NonZeroU32::MIN);
        Self { cells, period: period.max(Duration::from_micros(u64::from(cells.get()))), burst }
    }

    /// Cells of a full bucket.
    pub const fn burst(&self) -> NonZeroU32 {
        self.burst
    }

    /// Cells that come back in a time.
    pub fn refilled_in(&self, time: Duration) -> u64 {
        let cells = time.as_nanos() * u128::from(self.cells.get()) / self.period.as_nanos();
        u64::try_from(cells).unwrap_or(u64::MAX)
    }

    /// Time in which so many cells come back, rounded up to a nanosecond.
    pub fn time_of(&self, cells: u32) -> Duration {
        let nanos = (self.period.as_nanos() * u128::from(cells)).div_ceil(u128::from(self.cells.get()));
        Duration::from_nanos(u64::try_from(nanos).unwrap_or(u64::MAX))
    }

    /// Cells there are in a bucket that will be full after a time.
    pub fn left(&self, full_after: Duration) -> u32 {
        let missing = (full_after.as_nanos() * u128::from(self.cells.get())).div_ceil(self.period.as_nanos());
        u32::try_from(u128::from(self.burst.get()).saturating_sub(missing)).unwrap_or(0)
    }
}

/// What a bucket is kept for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum LimitKind {
    /// Requests with one API key.
    ApiKey,
    /// Requests to a provider in the name of one client of it: an OAuth client, or, where there is none, a server.
    Client,
    /// Requests to a provider about one connection's calendars.
    Mailbox,
}

impl LimitKind {
    /// How it is written, in keys and in metrics.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::ApiKey => "api_key",
            Self::Client => "client",
            Self::Mailbox => "mailbox",
        }
    }
}

/// Which bucket. Names nobody: where the id is not one of ours it is a hash.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct LimitKey {
    /// What it is kept for.
    pub kind: LimitKind,
    /// Which of them.
    pub id: u128,
}

impl LimitKey {
    /// That of an API key.
    pub fn of_api_key(id: KeyId) -> Self {
        Self { kind: LimitKind::ApiKey, id: as_number(id.as_uuid()) }
    }

    /// That of a client of a provider.
    pub fn of_client(provider: ProviderKind, name: &str) -> Self {
        let named = format!("{provider:?} {name}");
        Self { kind: LimitKind::Client, id: xxh3_128(named.as_bytes()) }
    }

    /// That of a connection.
    pub fn of_mailbox(id: ConnectionId) -> Self {
        Self { kind: LimitKind::Mailbox, id: as_number(id.as_uuid()) }
    }
}

fn as_number(id: Uuid) -> u128 {
    id.as_u128()
}

/// What a provider puts up with, as its adapter knows it. Nothing: no limit of ours.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ProviderLimits {
    /// In whose name it is asked (an OAuth client's id, or a server's), and how often that may ask in all.
    pub client: Option<(String, Rate)>,
    /// How often it may be asked about one connection's calendars.
    pub mailbox: Option<Rate>,
    /// How many requests about one connection's calendars may be under way.
    pub mailbox_at_once: Option<NonZeroU32>,
}

/// How much somebody waits for a request to a provider.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Urgency {
    /// Nobody: all is read anew, or a watch is renewed.
    Background,
    /// What is offered grows old meanwhile.
    Freshness,
    /// A booking waits for it, or is to be shown in a calendar.
    Booking,
}

impl Urgency {
    /// Longest wait for a request's turn. After it, what wanted to ask says so, and comes again later.
    pub const fn patience(self) -> Duration {
        match self {
            Self::Background => Duration::from_secs(30),
            Self::Freshness | Self::Booking => Duration::from_secs(10),
        }
    }

    /// Cells that are left in a bucket for what is more urgent.
    pub fn spares(self, rate: &Rate) -> u32 {
        let burst = rate.burst().get();
        match self {
            Self::Background => burst / 4,
            Self::Freshness => burst / 8,
            Self::Booking => 0,
        }
    }
}

/// How long somebody waits who may wait for `left`, and was told that there is a cell after `wait`: a little longer, so that
/// those who wait do not come all at once. `None`: too long.
pub fn turn_after(wait: Duration, left: Duration, entropy: &dyn Entropy) -> Option<Duration> {
    if wait > left {
        return None;
    }
    let mut random = [0u8; 2];
    entropy.fill(&mut random);
    let share = f64::from(u16::from_le_bytes(random)) / f64::from(u16::MAX);
    Some((wait + (wait / 5 + TURN_SPREAD).mul_f64(share)).min(left.max(TURN_SPREAD)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_rate_knows_its_times() {
        let rate = Rate::per_minute(600, 20);
        assert_eq!(rate.time_of(1), Duration::from_millis(100));
        assert_eq!(rate.time_of(20), Duration::from_secs(2));
        assert_eq!(rate.refilled_in(Duration::from_millis(350)), 3);
        assert_eq!(rate.refilled_in(MINUTE), 600);
        let check = |full_after_ms, left| assert_eq!(rate.left(Duration::from_millis(full_after_ms)), left);
        check(0, 20);
        check(1, 19);
        check(100, 19);
        check(101, 18);
        check(2_000, 0);
        check(9_000, 0);
    }

    #[test]
    fn thirds_are_rounded_against_the_asker() {
        let rate = Rate::per(Duration::from_secs(1), 3, 5);
        assert_eq!(rate.time_of(1), Duration::from_nanos(333_333_334));
        assert_eq!(rate.time_of(3), Duration::from_secs(1));
        assert_eq!(rate.refilled_in(Duration::from_nanos(333_333_333)), 0);
        assert_eq!(rate.refilled_in(Duration::from_nanos(333_333_334)), 1);
    }

    #[test]
    fn what_makes_no_sense_is_brought_within_bounds() {
        assert_eq!(Rate::per_minute(0, 0), Rate::per_minute(1, 1));
        assert_eq!(Rate::per_minute(u32::MAX, u32::MAX), Rate::per_minute(CELLS_PER_MINUTE_MAX, BURST_MAX));
        assert_eq!(Rate::per_minute(CELLS_PER_MINUTE_MAX, 1).time_of(1), Duration::from_micros(1));
        assert_eq!(Rate::per(Duration::ZERO, 5, 1).time_of(5), Duration::from_micros(5));
    }

    #[test]
    fn clients_of_one_name_are_one_with_each_provider() {
        let of = LimitKey::of_client;
        assert_eq!(of(ProviderKind::Caldav, "a"), of(ProviderKind::Caldav, "a"));
        assert_ne!(of(ProviderKind::Caldav, "a"), of(ProviderKind::Caldav, "b"));
        assert_ne!(of(ProviderKind::Caldav, "a"), of(ProviderKind::Google, "a"));
    }

    #[test]
    fn bookings_have_cells_that_nobody_else_takes() {
        let rate = Rate::per_minute(60, 40);
        let spared = [Urgency::Background, Urgency::Freshness, Urgency::Booking].map(|urgency| urgency.spares(&rate));
        assert_eq!(spared, [10, 5, 0]);
        assert_eq!(Urgency::Background.spares(&Rate::per_minute(60, 1)), 0, "the only cell is anybody's");
    }

    struct Always(u8);

    impl Entropy for Always {
        fn fill(&self, buffer: &mut [u8]) {
            buffer.fill(self.0);
        }
    }

    #[test]
    fn who_waits_comes_a_little_later_than_told_or_not_at_all() {
        let ms = Duration::from_millis;
        let check = |wait, left, chance, expected: Option<u64>| {
            assert_eq!(turn_after(ms(wait), ms(left), &Always(chance)), expected.map(ms), "{wait} of {left}");
        };
        check(1_000, 10_000, 0, Some(1_000));
        check(1_000, 10_000, 0xff, Some(1_220));
        check(1_000, 1_100, 0xff, Some(1_100));
        check(1_000, 1_000, 0xff, Some(1_000));
        check(1_001, 1_000, 0, None);
        check(0, 0, 0xff, Some(20));
    }
}
