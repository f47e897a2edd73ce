//! Times a booking could be moved to.

use std::collections::BTreeMap;

use agentcal_actors::Freshness;
use agentcal_engine::calendar::ask::DecideAsk;
use agentcal_engine::civil::{date_of, day_start};
use agentcal_engine::decision::{Host, Question, next_available, slots};
use agentcal_engine::time::{DAY_US, TimeRange, Timestamp};
use chrono::{Days, NaiveDate};
use chrono_tz::Tz;
use serde::Serialize;

use crate::parts::WebParts;
use crate::trouble::Trouble;
use crate::visit::Visit;
use crate::words;

/// Days on one page.
const DAYS_PER_PAGE: u64 = 7;
/// Most times on one page; more than a day can have at one a minute.
const TIMES_PER_PAGE_MAX: usize = 2_000;

/// Open times of some days.
#[derive(Default, Serialize)]
pub(crate) struct Times {
    /// Days with open times, ascending.
    pub(crate) days: Vec<Day>,
    /// The first day of the page before, unless it is in the past.
    pub(crate) earlier: Option<NaiveDate>,
    /// The first day of the page after, unless nothing can be booked then.
    pub(crate) later: Option<NaiveDate>,
    /// Where there are no times on this page: the day of the next one, in words and as a date.
    pub(crate) next: Option<(String, NaiveDate)>,
    /// The days of the page, in words.
    pub(crate) span: String,
}

/// Open times of one day.
#[derive(Serialize)]
pub(crate) struct Day {
    name: String,
    times: Vec<Time>,
}

#[derive(Serialize)]
struct Time {
    value: String,
    label: String,
}

/// The open times of a page of days from a date on, decided as the move itself will be.
pub(crate) async fn search(
    parts: &WebParts,
    visit: &Visit,
    ask: &DecideAsk,
    wanted: Option<NaiveDate>,
) -> Result<Times, Trouble> {
    let hosts = hosts(parts, visit, ask).await;
    let question = Question { terms: &ask.terms, hosts: &hosts, now: visit.now, ignoring: ask.ignoring() };
    let leaf = Leaf::of(visit, ask, wanted);
    let found = slots(&question, leaf.range(), TIMES_PER_PAGE_MAX);
    if !found.unknown.is_empty() {
        return Err(Trouble::Unavailable);
    }
    let mut starts: Vec<Timestamp> = found.slots.iter().map(|slot| slot.start).collect();
    let mut end = leaf.end;
    if starts.len() == TIMES_PER_PAGE_MAX {
        // The last day may be cut short; it begins the next page.
        end = starts.last().map_or(end, |&last| date_of(last, leaf.zone));
        starts.retain(|&start| date_of(start, leaf.zone) < end);
    }
    let own = visit.booking().range.start;
    starts.retain(|&start| start != own);
    let next = if starts.is_empty() { next_day(&question, own, leaf.range().end, leaf.zone) } else { None };
    Ok(Times {
        days: by_day(starts, leaf.zone),
        earlier: (leaf.first > leaf.today).then(|| leaf.today.max(back(leaf.first))),
        later: (end <= leaf.last).then_some(end),
        next: next.map(|date| (words::day(date), date)),
        span: format!("{} to {}", words::day(leaf.first), words::day(end.pred_opt().unwrap_or(end))),
    })
}

/// A few times, by day.
pub(crate) fn by_day(starts: impl IntoIterator<Item = Timestamp>, zone: Tz) -> Vec<Day> {
    let mut days: BTreeMap<NaiveDate, Vec<Timestamp>> = BTreeMap::new();
    for start in starts {
        days.entry(date_of(start, zone)).or_default().push(start);
    }
    days.values_mut().for_each(|starts| starts.sort_unstable());
    days.into_iter().map(|(date, starts)| Day { name: words::day(date), times: times(&starts, zone) }).collect()
}

/// Where a clock is set back, one time of day occurs twice: then both say how far they are from UTC.
fn times(starts: &[Timestamp], zone: Tz) -> Vec<Time> {
    let labels: Vec<String> = starts.iter().map(|&start| words::clock(start, zone)).collect();
    let occurs_twice = |label: &String| labels.iter().filter(|other| *other == label).count() > 1;
    let label = |(start, label): (&Timestamp, &String)| match occurs_twice(label) {
        true => format!("{label} ({})", words::offset(zone, *start)),
        false => label.clone(),
    };
    let time = |pair: (&Timestamp, &String)| Time { value: words::machine(*pair.0), label: label(pair) };
    starts.iter().zip(&labels).map(time).collect()
}

async fn hosts(parts: &WebParts, visit: &Visit, ask: &DecideAsk) -> Vec<Host> {
    let users = visit.config.users.iter().filter(|(user, _)| ask.user_ids.contains(&user.id));
    let calendars: Vec<_> = users.flat_map(|(user, _)| user.calendars_read()).collect();
    let max_age = parts.scheduler.stale_after(&visit.config, &calendars);
    let need = Freshness { max_age, deadline: parts.settings.facts_deadline };
    parts.scheduler.hosts(&visit.config, &ask.user_ids, need).await
}

/// The first day after `from` that has an open time other than the booking's own.
fn next_day(question: &Question<'_>, own: Timestamp, from: Timestamp, zone: Tz) -> Option<NaiveDate> {
    let next = next_available(question, from)?;
    let next = if next == own { next_available(question, own.plus_micros(1))? } else { next };
    Some(date_of(next, zone))
}

/// Which days a page shows.
struct Leaf {
    zone: Tz,
    today: NaiveDate,
    first: NaiveDate,
    /// The day after the page's last.
    end: NaiveDate,
    /// The last day on which anything can be booked.
    last: NaiveDate,
}

impl Leaf {
    /// A date that makes no sense is moved to the nearest that does.
    fn of(visit: &Visit, ask: &DecideAsk, wanted: Option<NaiveDate>) -> Self {
        let zone = visit.booking().timezone;
        let today = date_of(visit.now, zone);
        let window_us = i64::from(ask.terms.booking_window_days) * DAY_US;
        let last = date_of(visit.now.plus_micros(window_us), zone).max(today);
        let first = wanted.unwrap_or(today).clamp(today, last);
        Self { zone, today, first, end: first.checked_add_days(Days::new(DAYS_PER_PAGE)).unwrap_or(first), last }
    }

    fn range(&self) -> TimeRange {
        let (start, end) = (day_start(self.first, self.zone), day_start(self.end, self.zone));
        TimeRange { start, end: end.max(start.plus_micros(1)) }
    }
}

fn back(date: NaiveDate) -> NaiveDate {
    date.checked_sub_days(Days::new(DAYS_PER_PAGE)).unwrap_or(date)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// One line per day: its name, then what its times are called.
    #[track_caller]
    fn check(starts: &[&str], zone: Tz, expected: &[&str]) {
        let starts = starts.iter().map(|text| words::read_machine(text).expect("an instant"));
        let line = |day: Day| {
            let labels: Vec<String> = day.times.into_iter().map(|time| time.label).collect();
            format!("{}: {}", day.name, labels.join(", "))
        };
        assert_eq!(by_day(starts, zone).into_iter().map(line).collect::<Vec<_>>(), expected);
    }

    /// Lesson: clock changes, and days grouped in UTC.
    #[test]
    fn days_are_the_readers_and_hours_that_occur_twice_are_told_apart() {
        check(
            &["2026-11-01T03:30:00Z", "2026-11-01T05:30:00Z", "2026-11-01T06:30:00Z", "2026-11-01T07:30:00Z"],
            chrono_tz::America::New_York,
            &[
                "Saturday, 31 October 2026: 23:30",
                "Sunday, 1 November 2026: 01:30 (UTC-04:00), 01:30 (UTC-05:00), 02:30",
            ],
        );
        check(
            &["2026-03-29T01:30:00Z", "2026-03-29T00:30:00Z"],
            chrono_tz::Europe::Berlin,
            &["Sunday, 29 March 2026: 01:30, 03:30"],
        );
        check(&[], Tz::UTC, &[]);
    }
}
