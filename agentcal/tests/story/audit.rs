//! Comparing all time a calendar takes: as the api answers it, as a person wrote it down, and as the server itself says.

use std::collections::BTreeSet;

use chrono::{Days, NaiveDate};
use chrono_tz::Tz;
use serde_json::{Value, json};

use crate::agenda::{Period, is_free, offered};
use crate::api::{Account, calendar_id};
use crate::days::{midnight, seconds};
use crate::other::Seconds;

/// Length of one cell of the comparison. Every event of the story begins and ends on a multiple of it.
const CELL_MINUTES: i64 = 5;
const CELL_SECONDS: i64 = CELL_MINUTES * 60;

/// Somebody who can always be booked, except while one calendar says no.
pub(crate) struct Auditor {
    user_id: String,
    event_type_id: String,
}

impl Auditor {
    pub(crate) fn of(account: &Account<'_>, connection: &Value, calendar: &str) -> Self {
        let user_id = account.user(json!({
            "name": format!("Auditor of {calendar}"), "email": format!("{calendar}@example.com"), "timezone": "UTC",
            "busy_calendar_ids": [calendar_id(connection, calendar)],
        }));
        let all_day = |day: u8| json!({ "day_of_week": day, "start_time": "00:00", "end_time": "00:00" });
        let rules: Vec<Value> = (0..7).map(all_day).collect();
        let path = account.at(&format!("/users/{user_id}/availability-rules"));
        account.api.put(&path, json!({ "timezone": "UTC", "rules": rules })).with(200);
        let event_type_id = account.event_type(json!({
            "name": format!("Audit of {calendar}"), "slug": format!("audit-{calendar}"), "user_ids": [user_id],
            "duration_minutes": CELL_MINUTES, "booking_window_days": 365,
        }));
        Self { user_id, event_type_id }
    }

    /// Asserts that exactly this time is taken on these days, by UTC.
    pub(crate) fn assert_taken(&self, account: &Account<'_>, days: Audited, taken: &[Seconds], who: &str) {
        let period = Period { first: days.first, last: days.last, timezone: Tz::UTC };
        let free = offered(account, &self.event_type_id, &self.user_id, period);
        let expected: BTreeSet<i64> =
            days.cells().filter(|start| is_free((*start, start + CELL_SECONDS), taken)).collect();
        let wrongly_free: Vec<i64> = free.difference(&expected).copied().take(5).collect();
        let wrongly_taken: Vec<i64> = expected.difference(&free).copied().take(5).collect();
        assert!(
            wrongly_free.is_empty() && wrongly_taken.is_empty(),
            "{who} disagrees with the api: first wrongly free {wrongly_free:?}, first wrongly taken {wrongly_taken:?}"
        );
    }
}

/// Days of a comparison, both included, by UTC.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Audited {
    first: NaiveDate,
    last: NaiveDate,
}

impl Audited {
    /// Four weeks round a Monday, from the Saturday before.
    pub(crate) fn around(monday: NaiveDate) -> Self {
        Self { first: monday - Days::new(2), last: monday + Days::new(25) }
    }

    /// The same as instants.
    pub(crate) fn seconds(self) -> Seconds {
        (seconds(&midnight(self.first)), seconds(&midnight(self.last + Days::new(1))))
    }

    fn cells(self) -> impl Iterator<Item = i64> {
        let (start, end) = self.seconds();
        (start..end).step_by(usize::try_from(CELL_SECONDS).expect("positive"))
    }
}
