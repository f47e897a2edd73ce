//! Whether holds ended as they were said to, and only live ones became bookings.

use std::collections::BTreeMap;

use agentcal_engine::ids::HoldId;
use agentcal_engine::model::{HOLD_TTL_SECONDS_MAX, Hold, HoldState};
use agentcal_engine::time::{DAY_US, SECOND_US, Timestamp};

use crate::ledger::{HoldLife, Ledger, Span};
use crate::report::Report;
use crate::{Allowances, Event, Final, Violation};

/// Longest time an extension can reach from the moment it is asked for, in microseconds.
const EXTENSION_US_MAX: i64 = HOLD_TTL_SECONDS_MAX as i64 * SECOND_US;

pub(crate) fn check(events: &[Event], ledger: &Ledger, finale: &Final, allowances: &Allowances, report: &mut Report) {
    report.counts.holds = finale.holds.len();
    let stored: BTreeMap<HoldId, &Hold> = finale.holds.iter().map(|hold| (hold.id, hold)).collect();
    for (&hold_id, life) in &ledger.holds {
        confirms(events, hold_id, life, allowances, report);
        match stored.get(&hold_id) {
            Some(hold) if !explains(life, hold) => report.violations.push(Violation::HoldAltered { hold_id }),
            Some(_) => {}
            None if finale.is_whole => lost(hold_id, life, finale.at, report),
            None => {}
        }
    }
}

/// The row of a hold stays for a day after it ended.
fn lost(hold_id: HoldId, life: &HoldLife, at: Timestamp, report: &mut Report) {
    let Some((span, _)) = &life.made else { return };
    let first_end = life.ends.iter().map(|(_, end)| *end).chain(life.releases.iter().map(|span| span.invoked_at)).min();
    let first_end = first_end.into_iter().chain(life.confirms.iter().map(|(span, _)| span.invoked_at)).min();
    if span.acknowledged_at.is_some() && first_end.is_none_or(|end| at < end.plus_micros(DAY_US)) {
        report.violations.push(Violation::HoldLost { event: span.event, hold_id });
    }
}

fn explains(life: &HoldLife, hold: &Hold) -> bool {
    let Some((_, range)) = life.made else { return true };
    let is_same = hold.range == range && hold.user_ids == life.user_ids;
    let acknowledged = |span: &Span| span.acknowledged_at.is_some();
    let must_be_confirmed = life.confirms.iter().find_map(|(span, made)| made.filter(|_| acknowledged(span)));
    let state_fits = match hold.state {
        HoldState::Confirmed(booking_id) => match must_be_confirmed {
            Some(expected) => booking_id == expected,
            None => !life.confirms.is_empty(),
        },
        HoldState::Released => must_be_confirmed.is_none() && !life.releases.is_empty(),
        // A session's release may meet a hold that has expired, and then leaves it as it is.
        HoldState::Active | HoldState::Expired => {
            let ended = life.releases.iter().any(|span| {
                acknowledged(span)
                    && life.made.is_some_and(|(made, _)| made.is_before(span))
                    && !had_expired(life, span)
            });
            must_be_confirmed.is_none() && !ended
        }
    };
    is_same && state_fits
}

/// Whether the hold may have run out by itself before the request was over.
fn had_expired(life: &HoldLife, span: &Span) -> bool {
    let soonest = life.ends.iter().map(|(_, end)| *end).min();
    soonest.is_some_and(|end| span.acknowledged_at.is_none_or(|at| end <= at))
}

fn confirms(events: &[Event], hold_id: HoldId, life: &HoldLife, allowances: &Allowances, report: &mut Report) {
    let made: Vec<_> = life.confirms.iter().filter_map(|(span, made)| Some((span, (*made)?))).collect();
    // What a replay repeats was done by an earlier request, at an earlier time.
    for (span, _) in made.iter().filter(|(span, _)| !events[span.event].is_replay()) {
        let event = span.event;
        if let Some(expires_at) = latest_end(life, span)
            && expires_at.plus_micros(allowances.clock_slack_us) < span.invoked_at
        {
            report.violations.push(Violation::ConfirmedExpired { event, hold_id, expires_at });
        }
        let is_released = |release: &Span| {
            let is_after_made = life.made.is_some_and(|(made, _)| made.is_before(release));
            release.is_before(span) && is_after_made && !had_expired(life, release)
        };
        if life.releases.iter().any(is_released) {
            report.violations.push(Violation::ConfirmedReleased { event, hold_id });
        }
    }
    if let Some(pair) = made.windows(2).find(|pair| pair[0].1 != pair[1].1) {
        report.violations.push(Violation::ConfirmedTwice { hold_id, first: pair[0].1, second: pair[1].1 });
    }
}

/// The latest instant the hold can have lived to when it was confirmed; `None` when nobody saw it made.
fn latest_end(life: &HoldLife, confirm: &Span) -> Option<Timestamp> {
    let said = life.ends.iter().filter(|(span, _)| !confirm.is_before(span)).map(|(_, end)| *end);
    // When an extension in doubt was made, if it was, nobody knows; no request is under way for longer than that.
    let doubtful = life.extensions_in_doubt.iter().map(|span| span.invoked_at.plus_micros(EXTENSION_US_MAX * 2));
    let is_known = life.made.is_some();
    said.chain(doubtful).max().filter(|_| is_known)
}
