//! From a notification to facts that know of what it was about, beside a bare route that does one SQL update.

use std::cell::RefCell;
use std::path::Path;
use std::time::{Duration, Instant};

use agentcal_engine::time::DAY_US;
use chrono::{DateTime, Datelike, TimeDelta, Utc, Weekday};
use hdrhistogram::Histogram;

use super::stage::Stage;
use super::vendors::Vendors;
use crate::bare_update::BareUpdate;
use crate::data::FirstSync;
use crate::drive::{Amount, closed_loop, new_histogram, open_loop, open_loop_without};
use crate::process::at_rest;
use crate::progress::Progress;
use crate::report::{Row, Target};
use crate::run::{Effort, wait_until};
use crate::summary::Summary;

/// Notifications a second.
const RATE: usize = 200;
/// How long they come in one round; each is about another calendar.
const SPAN: Duration = Duration::from_secs(6);
/// Calendars, of which half are each provider's: as many as are rung for in a round. Google puts up with 166 requests a second
/// of one client, so that not all of them can be there.
const CALENDARS: usize = RATE * SPAN.as_secs() as usize;
/// As many as may have to be waited for, if each took a second.
const CONNECTIONS: usize = 256;
/// Between two looks whether what was rung for is known, at first, and the part of the time so far after that: how exact the
/// figure is. Who has waited for long looks seldom, or a node that is behind would do nothing but be looked at.
const LOOK_EVERY: Duration = Duration::from_millis(1);
const LOOK_PART: u32 = 20;
/// Longest wait for that.
const KNOWN_WITHIN: Duration = Duration::from_secs(10);
/// Minutes after midnight at which the first of a day's meetings begins, in office hours, and how many there are.
const FIRST_MINUTE: usize = 9 * 60;
const MEETINGS_A_DAY: usize = 16;
/// The 99th percentile, against that of the bare route.
const P99_AT_MOST: f64 = 5.0;

/// What was measured, round by round, in milliseconds: medians and 99th percentiles.
#[derive(Default)]
struct Measured {
    fresh: [Vec<f64>; 2],
    answered: [Vec<f64>; 2],
    bare: [Vec<f64>; 2],
}

/// Measures both, side by side.
pub(super) fn measure(binary: &Path, effort: Effort, progress: &Progress) -> Result<Vec<Row>, String> {
    let folder = tempfile::tempdir().map_err(|error| format!("no temporary folder: {error}"))?;
    progress.step(format!("connecting {CALENDARS} calendars, and waiting for their syncs and watches"));
    let vendors = Vendors::start()?;
    let mailboxes = vendors.mailboxes(CALENDARS / 2, 1);
    let stage = Stage::build(binary, &folder.path().join("data"), vendors, (&mailboxes, FirstSync::AtOnce))?;
    stage.until_watched().map_err(|error| stage.told(error))?;
    let bare = BareUpdate::start(&folder.path().join("bare.db"), CALENDARS)?;
    let mut measured = Measured::default();
    for round in 0..effort.rounds {
        progress.step(format!("round {}: notifications", round + 1));
        let at = stage.meeting(round as usize);
        stage.meet(at).map_err(|error| stage.told(error))?;
        at_rest(stage.node.target().pid)?;
        let (fresh, answered) = stage.ring(at).map_err(|error| stage.told(error))?;
        push(&mut measured.fresh, &fresh);
        push(&mut measured.answered, &answered);
        at_rest(stage.node.target().pid)?;
        progress.step(format!("round {}: updates by a bare route", round + 1));
        let latencies = open_loop(bare.target(), CONNECTIONS, RATE as f64, SPAN, async |connection: &mut _, n| {
            bare.update(connection, n % CALENDARS as u64).await
        })?;
        push(&mut measured.bare, &latencies);
    }
    measured.rows()
}

/// The median and the 99th percentile of a round.
fn push(rounds: &mut [Vec<f64>; 2], latencies: &Histogram<u64>) {
    for (values, quantile) in rounds.iter_mut().zip([0.5, 0.99]) {
        values.push(latencies.value_at_quantile(quantile) as f64 / 1_000.0);
    }
}

impl Measured {
    fn rows(self) -> Result<Vec<Row>, String> {
        let of = |values: Vec<f64>| Summary::of(values).ok_or("nothing was measured");
        let ([fresh, fresh_p99], [answered, answered_p99], [bare, bare_p99]) = (self.fresh, self.answered, self.bare);
        let (bare, bare_p99) = (of(bare)?, of(bare_p99)?);
        let row = |name, values, ceiling: &Summary, target| {
            Ok::<_, String>(Row { name, value: of(values)?, unit: "ms", ceiling: Some(ceiling.clone()), target })
        };
        Ok(vec![
            row("notification_to_facts_p50", fresh, &bare, None)?,
            row("notification_to_facts_p99", fresh_p99, &bare_p99, Some(Target::AtMost(P99_AT_MOST)))?,
            row("notification_answered_p50", answered, &bare, None)?,
            row("notification_answered_p99", answered_p99, &bare_p99, None)?,
        ])
    }
}

impl Stage {
    /// Waits until every calendar is watched, and nothing moves any more.
    fn until_watched(&self) -> Result<(), String> {
        wait_until("the calendars were not watched in time", || {
            let watched = self.vendors.google.channel_count() + self.vendors.graph.subscriptions();
            (watched >= self.people.len()).then_some(())
        })?;
        at_rest(self.node.target().pid)
    }

    /// The half hour that everybody's meeting of a round is in: on weekdays, in office hours.
    fn meeting(&self, round: usize) -> DateTime<Utc> {
        let mut day = self.data.first_day;
        let is_weekend = |day: DateTime<Utc>| matches!(day.weekday(), Weekday::Sat | Weekday::Sun);
        for _ in 0..round / MEETINGS_A_DAY {
            day = day.plus_micros(DAY_US);
        }
        while is_weekend(day.to_utc()) {
            day = day.plus_micros(DAY_US);
        }
        day.to_utc() + TimeDelta::minutes((FIRST_MINUTE + 30 * (round % MEETINGS_A_DAY)) as i64)
    }

    /// Puts a meeting into each calendar; nobody is rung for it. Everybody is free there as yet, which is looked at.
    fn meet(&self, at: DateTime<Utc>) -> Result<(), String> {
        let count = Amount::Count(self.people.len() as u64);
        closed_loop(self.node.target(), CONNECTIONS, count, async |connection: &mut _, n| {
            match self.is_offered(connection, n as usize, at).await? {
                true => Ok(()),
                false => Err(format!("somebody is not free at {at}, though nothing is in their calendar")),
            }
        })?;
        self.people.iter().for_each(|whom| self.vendors.meet(whom, at));
        Ok(())
    }

    /// Rings for everybody in turn: how long it took until what was rung for was known, less what the provider took; and how
    /// long until the notification was answered.
    fn ring(&self, at: DateTime<Utc>) -> Result<(Histogram<u64>, Histogram<u64>), String> {
        let answered = RefCell::new(new_histogram());
        let (target, rate) = (self.node.target(), RATE as f64);
        let fresh = open_loop_without(target, CONNECTIONS, rate, SPAN, async |connection: &mut _, n| {
            let (whom, begun) = (n as usize, Instant::now());
            let calendar = &self.people[whom].name;
            let before = self.vendors.took(calendar);
            self.notify(connection, whom).await?;
            answered.borrow_mut().saturating_record(u64::try_from(begun.elapsed().as_micros()).unwrap_or(u64::MAX));
            while self.is_offered(connection, whom, at).await? {
                if begun.elapsed() > KNOWN_WITHIN {
                    return Err(format!("a change was not known within {KNOWN_WITHIN:?}"));
                }
                tokio::time::sleep(LOOK_EVERY.max(begun.elapsed() / LOOK_PART)).await;
            }
            Ok(self.vendors.took(calendar) - before)
        })?;
        Ok((fresh, answered.into_inner()))
    }
}
