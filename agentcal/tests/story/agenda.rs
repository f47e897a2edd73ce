//! What the api offers, and what it should: a slow and obvious reckoning from the time that is taken.

use std::collections::BTreeSet;

use chrono::{DateTime, Datelike, Days, NaiveDate, NaiveTime, Offset, TimeZone, Weekday};
use chrono_tz::Tz;
use serde_json::Value;

use crate::api::{Account, text};
use crate::days::seconds;
use crate::other::Seconds;

/// Length and distance of the slots of the story.
pub(crate) const SLOT_MINUTES: i64 = 30;
pub(crate) const SLOT_SECONDS: i64 = SLOT_MINUTES * 60;

/// Days, both included, and the zone they are meant and answered in.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Period {
    pub(crate) first: NaiveDate,
    pub(crate) last: NaiveDate,
    pub(crate) timezone: Tz,
}

impl Period {
    pub(crate) fn weeks_from(monday: NaiveDate, weeks: u64, timezone: Tz) -> Self {
        Self { first: monday, last: monday + Days::new(7 * weeks - 1), timezone }
    }
}

/// Starts of the slots that are offered, in seconds. Every slot must be written in the asked zone's offset.
pub(crate) fn offered(account: &Account<'_>, event_type_id: &str, user_id: &str, period: Period) -> BTreeSet<i64> {
    let Period { first, last, timezone } = period;
    let path = account.at(&format!(
        "/availability?event_type_id={event_type_id}&user_id={user_id}&start_date={first}&end_date={last}\
         &timezone={timezone}"
    ));
    let answer = account.api.get(&path).with(200);
    assert_eq!(answer["freshness"]["state"], "complete", "{}", answer["freshness"]);
    assert_eq!(answer["timezone"], timezone.name());
    let slots = answer["slots"].as_array().expect("an answer lists slots");
    let starts: BTreeSet<i64> = slots.iter().map(|slot| start_of(slot, user_id, timezone)).collect();
    assert_eq!(starts.len(), slots.len(), "a slot is offered twice");
    starts
}

fn start_of(slot: &Value, user_id: &str, timezone: Tz) -> i64 {
    assert_eq!(slot["user_ids"], serde_json::json!([user_id]), "{slot}");
    let written = DateTime::parse_from_rfc3339(text(slot, "start_time")).expect("an instant");
    assert_eq!(written.offset().fix(), timezone.offset_from_utc_datetime(&written.naive_utc()).fix(), "{slot}");
    assert!(seconds(text(slot, "end_time")) > written.timestamp(), "{slot}");
    written.timestamp()
}

/// Starts of half-hour slots between nine and five, Monday to Friday, that touch nothing of what is taken.
pub(crate) fn office_slots(period: Period, taken: &[Seconds]) -> BTreeSet<i64> {
    let days = period.first.iter_days().take_while(|date| *date <= period.last);
    let workdays = days.filter(|date| !matches!(date.weekday(), Weekday::Sat | Weekday::Sun));
    let starts = workdays.flat_map(|date| {
        let opens = clock(period.timezone, date, 9);
        let closes = clock(period.timezone, date, 17);
        (opens..closes).step_by(usize::try_from(SLOT_SECONDS).expect("positive"))
    });
    starts.filter(|start| is_free((*start, start + SLOT_SECONDS), taken)).collect()
}

pub(crate) fn is_free((start, end): Seconds, taken: &[Seconds]) -> bool {
    taken.iter().all(|(from, until)| end <= *from || *until <= start)
}

/// A full hour on the wall of a zone that no clock change skips.
fn clock(timezone: Tz, date: NaiveDate, hour: u32) -> i64 {
    let time = date.and_time(NaiveTime::from_hms_opt(hour, 0, 0).expect("an hour"));
    timezone.from_local_datetime(&time).single().expect("office hours exist once").timestamp()
}

/// The first slot that is followed by so many more without a gap.
pub(crate) fn stretch(slots: &BTreeSet<i64>, after: i64, more: i64) -> i64 {
    let fits = |start: &i64| (1..=more).all(|step| slots.contains(&(start + step * SLOT_SECONDS)));
    *slots.range(after..).find(|start| fits(start)).expect("a long enough stretch of free slots")
}
