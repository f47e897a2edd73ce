//! When the story happens: soon, and in the week in which Berlin's clocks change.

use std::time::SystemTime;

use chrono::{DateTime, Datelike, Days, NaiveDate, Offset, TimeZone, Utc};
use chrono_tz::Tz;

/// The weeks of the story.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Weeks {
    /// A Monday at least three days from now.
    pub(crate) monday: NaiveDate,
    /// The Monday of the next week, from then on, in which Berlin's clocks change.
    pub(crate) change_monday: NaiveDate,
}

impl Weeks {
    #[expect(clippy::disallowed_methods, reason = "the program under test runs on the real clock, so this does too")]
    pub(crate) fn from_now() -> Self {
        Self::after(DateTime::<Utc>::from(SystemTime::now()).date_naive())
    }

    fn after(today: NaiveDate) -> Self {
        let monday = monday_of(today + Days::new(9));
        let mut date = monday;
        while offset(Tz::Europe__Berlin, date) == offset(Tz::Europe__Berlin, date + Days::new(1)) {
            date = date + Days::new(1);
        }
        Self { monday, change_monday: monday_of(date) }
    }
}

fn monday_of(date: NaiveDate) -> NaiveDate {
    date - Days::new(u64::from(date.weekday().num_days_from_monday()))
}

/// Seconds east of Greenwich at the date's midnight by UTC.
fn offset(tz: Tz, date: NaiveDate) -> i32 {
    let midnight = date.and_hms_opt(0, 0, 0).expect("midnight exists by UTC");
    tz.offset_from_utc_datetime(&midnight).fix().local_minus_utc()
}

/// Midnight by UTC, as the clients are told it.
pub(crate) fn midnight(date: NaiveDate) -> String {
    format!("{date}T00:00:00+00:00")
}

/// An instant in seconds, as the clients are told it.
pub(crate) fn rfc3339(seconds: i64) -> String {
    DateTime::from_timestamp(seconds, 0).expect("a date of this century").to_rfc3339()
}

/// The instant a client was told.
pub(crate) fn seconds(rfc3339: &str) -> i64 {
    DateTime::parse_from_rfc3339(rfc3339).unwrap_or_else(|error| panic!("{rfc3339}: {error}")).timestamp()
}

#[test]
fn the_week_of_the_change_is_found() {
    let check = |today: &str, monday: &str, change_monday: &str| {
        let date = |text: &str| text.parse::<NaiveDate>().expect("a date");
        let weeks = Weeks::after(date(today));
        assert_eq!((weeks.monday, weeks.change_monday), (date(monday), date(change_monday)), "{today}");
    };
    check("2026-11-21", "2026-11-30", "2027-03-22");
    check("2026-10-15", "2026-10-19", "2026-10-19");
    check("2026-06-01", "2026-06-08", "2026-10-19");
}
