//! Series: Graph's patterns and ranges, and the instances they make.

use agentcal_fake_kit::recurrence::{Frequency, RecurrenceRule, instant_of, wall_of};
use chrono::{NaiveDate, TimeDelta, Weekday};
use chrono_tz::Tz;
use serde_json::{Value, json};

use crate::reply::{Reply, bad_request};
use crate::store::{Event, Exception};
use crate::times::{Fields, Span, is_all_day, span_of, wall_and_zone};

/// Most occurrences of one series that are looked at.
const OCCURRENCES_MAX: usize = 20_000;

/// One instance of an event.
#[derive(Clone, Debug)]
pub(crate) struct Instance {
    /// Its id, without what tells kinds of ids apart.
    pub(crate) id: String,
    /// The series it belongs to.
    pub(crate) series: Option<String>,
    /// `singleInstance`, `occurrence` or `exception`.
    pub(crate) kind: &'static str,
    pub(crate) span: Span,
    pub(crate) fields: Fields,
    /// Another number, another state.
    pub(crate) version: String,
}

/// The name of an occurrence: that of its series and its date.
pub(crate) fn occurrence_id(series: &str, date: NaiveDate) -> String {
    format!("{series}_o{}", date.format("%Y%m%d"))
}

/// The series and the date in the name of an occurrence.
pub(crate) fn parts_of(id: &str) -> Option<(&str, NaiveDate)> {
    let (series, date) = id.rsplit_once("_o")?;
    Some((series, NaiveDate::parse_from_str(date, "%Y%m%d").ok()?))
}

/// The instances of an event that share an instant with a stretch of time.
pub(crate) fn instances(event: &Event, within: Span, mailbox: Tz) -> Vec<Instance> {
    let Some(rule) = event.fields.get("recurrence").filter(|rule| !rule.is_null()) else {
        let span = span_of(&event.fields, mailbox).ok();
        let single = |span| Instance {
            id: event.id.clone(),
            series: None,
            kind: "singleInstance",
            span,
            fields: event.fields.clone(),
            version: event.change.to_string(),
        };
        return span.filter(|span| overlaps(*span, within)).map(single).into_iter().collect();
    };
    let (Ok(rule), Ok(times)) = (rule_of(rule), Times::of(&event.fields)) else { return Vec::new() };
    let before = wall_of(within.1, times.zone) + TimeDelta::days(2);
    let dates = rule.occurrences(times.start, before, OCCURRENCES_MAX).into_iter().map(|wall| wall.date());
    let all = dates.filter_map(|date| occurrence(event, &times, date, mailbox));
    all.filter(|instance| overlaps(instance.span, within)).collect()
}

fn overlaps(span: Span, within: Span) -> bool {
    // An event without length is where it begins.
    (span.0 < within.1 && within.0 < span.1) || (span.0 == span.1 && within.0 <= span.0 && span.0 < within.1)
}

/// The instance of one date; `None` where it was deleted.
pub(crate) fn occurrence_on(event: &Event, date: NaiveDate, mailbox: Tz) -> Option<Instance> {
    let rule = rule_of(event.fields.get("recurrence")?).ok()?;
    let times = Times::of(&event.fields).ok()?;
    let before = date.and_time(times.start.time()) + TimeDelta::seconds(1);
    let belongs = rule.occurrences(times.start, before, OCCURRENCES_MAX).last().is_some_and(|last| last.date() == date);
    belongs.then(|| occurrence(event, &times, date, mailbox)).flatten()
}

fn occurrence(event: &Event, times: &Times, date: NaiveDate, mailbox: Tz) -> Option<Instance> {
    let id = occurrence_id(&event.id, date);
    let series = Some(event.id.clone());
    let mut fields = times.fields_on(&event.fields, date);
    let (kind, version) = match event.exceptions.get(&date) {
        Some(Exception::Deleted) => return None,
        Some(Exception::Changed { fields: changed, change }) => {
            fields.extend(changed.clone());
            ("exception", change.to_string())
        }
        // What it takes from its series is no change of the occurrence.
        None => ("occurrence", format!("{}{}", fields["start"], fields["end"])),
    };
    let span = span_of(&fields, mailbox).ok()?;
    Some(Instance { id, series, kind, span, fields, version })
}

/// When the first occurrence is, and in what zone they recur.
struct Times {
    start: chrono::NaiveDateTime,
    length: TimeDelta,
    zone: Tz,
}

impl Times {
    fn of(fields: &Fields) -> Result<Self, Reply> {
        let (start, zone) = wall_and_zone(&fields["start"])?;
        let (end, end_zone) = wall_and_zone(&fields["end"])?;
        let end = if is_all_day(fields) { end } else { wall_of(instant_of(end, end_zone), zone) };
        Ok(Self { start, length: end - start, zone })
    }

    fn fields_on(&self, series: &Fields, date: NaiveDate) -> Fields {
        let mut fields = series.clone();
        fields.remove("recurrence");
        let start = date.and_time(self.start.time());
        for (name, wall) in [("start", start), ("end", start + self.length)] {
            let text = wall.format("%Y-%m-%dT%H:%M:%S").to_string();
            fields.insert(name.to_owned(), json!({ "dateTime": text, "timeZone": self.zone.name() }));
        }
        fields
    }
}

/// A recurrence as a rule.
pub(crate) fn rule_of(recurrence: &Value) -> Result<RecurrenceRule, Reply> {
    let invalid = || bad_request("ErrorInvalidRecurrencePattern", "The recurrence cannot be read.");
    let (pattern, range) = (&recurrence["pattern"], &recurrence["range"]);
    let kind = pattern["type"].as_str().unwrap_or_default();
    let frequency = match kind {
        "daily" => Frequency::Daily,
        "weekly" => Frequency::Weekly,
        "absoluteMonthly" | "relativeMonthly" => Frequency::Monthly,
        "absoluteYearly" | "relativeYearly" => Frequency::Yearly,
        _ => return Err(invalid()),
    };
    let interval = pattern["interval"].as_u64().and_then(|interval| u32::try_from(interval).ok()).unwrap_or(1);
    let mut rule = RecurrenceRule::every(frequency, interval);
    let days = || days_of(pattern).filter(|days| !days.is_empty()).ok_or_else(invalid);
    if kind == "weekly" {
        rule.by_day = days()?;
        rule.week_start = pattern["firstDayOfWeek"].as_str().and_then(weekday_of).unwrap_or(Weekday::Sun);
    }
    if kind.starts_with("absolute") {
        let day = pattern["dayOfMonth"].as_i64().and_then(|day| i32::try_from(day).ok()).ok_or_else(invalid)?;
        // In a month that is too short, the last day.
        rule.by_month_day = if day > 28 { (28..=day).collect() } else { vec![day] };
        rule.by_set_pos = if day > 28 { vec![-1] } else { Vec::new() };
    }
    if kind.starts_with("relative") {
        rule.by_day = days()?;
        rule.by_set_pos = vec![index_of(pattern["index"].as_str().unwrap_or("first")).ok_or_else(invalid)?];
    }
    if frequency == Frequency::Yearly {
        let month = pattern["month"].as_u64().and_then(|month| u32::try_from(month).ok()).ok_or_else(invalid)?;
        rule.by_month = vec![month];
    }
    match range["type"].as_str() {
        Some("noEnd") => {}
        Some("numbered") => {
            let count = range["numberOfOccurrences"].as_u64().and_then(|count| usize::try_from(count).ok());
            rule.count = Some(count.filter(|count| *count > 0).ok_or_else(invalid)?);
        }
        Some("endDate") => {
            let end = range["endDate"].as_str().and_then(|date| NaiveDate::parse_from_str(date, "%Y-%m-%d").ok());
            rule.until = Some(end.and_then(|date| date.and_hms_opt(23, 59, 59)).ok_or_else(invalid)?);
        }
        _ => return Err(invalid()),
    }
    Ok(rule)
}

fn days_of(pattern: &Value) -> Option<Vec<(Option<i32>, Weekday)>> {
    let days = pattern["daysOfWeek"].as_array()?;
    days.iter().map(|day| Some((None, weekday_of(day.as_str()?)?))).collect()
}

fn weekday_of(name: &str) -> Option<Weekday> {
    name.parse().ok()
}

fn index_of(name: &str) -> Option<i32> {
    let names = ["first", "second", "third", "fourth"];
    let place = names.iter().position(|index| *index == name).and_then(|place| i32::try_from(place).ok());
    place.map(|place| place + 1).or((name == "last").then_some(-1))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn patterns_yield_what_graph_says() {
        let check = |pattern: Value, range: Value, start: &str, expected: &[&str]| {
            let rule = rule_of(&json!({ "pattern": pattern, "range": range })).expect("a recurrence");
            let wall = |text: &str| format!("{text}T09:00:00").parse().expect("a literal time");
            let found = rule.occurrences(wall(start), wall("2030-01-01"), expected.len().max(1));
            let found: Vec<String> = found.iter().map(|wall| wall.date().to_string()).collect();
            assert_eq!(found, expected, "{pattern}");
        };
        let no_end = || json!({ "type": "noEnd", "startDate": "2026-11-22" });
        check(json!({ "type": "daily", "interval": 2 }), no_end(), "2026-11-22", &["2026-11-22", "2026-11-24"]);
        check(
            json!({ "type": "weekly", "interval": 1, "daysOfWeek": ["monday", "thursday"] }),
            json!({ "type": "numbered", "numberOfOccurrences": 3, "startDate": "2026-11-23" }),
            "2026-11-23",
            &["2026-11-23", "2026-11-26", "2026-11-30"],
        );
        check(
            json!({ "type": "absoluteMonthly", "interval": 1, "dayOfMonth": 31 }),
            no_end(),
            "2026-10-31",
            &["2026-10-31", "2026-11-30", "2026-12-31", "2027-01-31", "2027-02-28"],
        );
        check(
            json!({ "type": "relativeMonthly", "interval": 1, "daysOfWeek": ["tuesday"], "index": "last" }),
            json!({ "type": "endDate", "startDate": "2026-11-24", "endDate": "2026-12-31" }),
            "2026-11-24",
            &["2026-11-24", "2026-12-29"],
        );
        check(
            json!({ "type": "absoluteYearly", "interval": 1, "dayOfMonth": 24, "month": 12 }),
            no_end(),
            "2026-12-24",
            &["2026-12-24", "2027-12-24"],
        );
        check(
            json!({ "type": "relativeYearly", "interval": 1, "daysOfWeek": ["thursday"], "index": "fourth", "month": 11 }),
            no_end(),
            "2026-11-26",
            &["2026-11-26", "2027-11-25"],
        );
    }

    #[test]
    fn what_is_no_recurrence_is_refused() {
        let range = json!({ "type": "noEnd" });
        for pattern in
            [json!({}), json!({ "type": "hourly" }), json!({ "type": "weekly" }), json!({ "type": "absoluteMonthly" })]
        {
            assert!(rule_of(&json!({ "pattern": pattern, "range": range })).is_err(), "{pattern}");
        }
        let daily = json!({ "type": "daily", "interval": 1 });
        for range in [json!({}), json!({ "type": "numbered" }), json!({ "type": "endDate", "endDate": "soon" })] {
            assert!(rule_of(&json!({ "pattern": daily, "range": range })).is_err(), "{range}");
        }
    }

    #[test]
    fn the_name_of_an_occurrence_can_be_read() {
        let date = NaiveDate::from_ymd_opt(2026, 11, 26).expect("a date");
        assert_eq!(parts_of(&occurrence_id("e_o7", date)), Some(("e_o7", date)));
        assert_eq!(parts_of("e7"), None);
    }
}
