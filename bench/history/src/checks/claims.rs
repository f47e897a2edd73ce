//! Whether claims and what they were taken for say the same.

use std::collections::{BTreeMap, BTreeSet};

use agentcal_engine::ids::UserId;
use agentcal_engine::model::{BookingStatus, Claim, ClaimOwner, HoldState};
use agentcal_engine::time::TimeRange;

use crate::report::Report;
use crate::{Final, Violation};

pub(crate) fn check(finale: &Final, report: &mut Report) {
    report.counts.claims = finale.claims.len();
    let wanted = wanted(finale);
    let known = known(finale);
    let mut found: BTreeMap<(ClaimOwner, UserId), usize> = BTreeMap::new();
    for claim in &finale.claims {
        *found.entry((claim.owner, claim.user_id)).or_default() += 1;
        if is_astray(claim, &wanted, &known, finale) {
            report.violations.push(Violation::ClaimAstray {
                claim_id: claim.id,
                user_id: claim.user_id,
                owner: claim.owner,
                range: claim.range,
            });
        }
    }
    for (&(owner, user_id), &count) in found.iter().filter(|(_, count)| **count > 1) {
        report.violations.push(Violation::ClaimTwice { user_id, owner, count });
    }
    if finale.is_whole {
        for (&(owner, user_id), &range) in wanted.iter().filter(|(key, _)| !found.contains_key(key)) {
            report.violations.push(Violation::ClaimMissing { user_id, owner, range });
        }
    }
}

/// The claims there must be.
fn wanted(finale: &Final) -> BTreeMap<(ClaimOwner, UserId), TimeRange> {
    let mut wanted = BTreeMap::new();
    for booking in finale.bookings.iter().filter(|booking| booking.status != BookingStatus::Cancelled) {
        wanted
            .extend(booking.hosts.iter().map(|host| ((ClaimOwner::Booking(booking.id), host.user_id), booking.range)));
    }
    for hold in finale.holds.iter().filter(|hold| hold.state_at(finale.at) == HoldState::Active) {
        wanted.extend(hold.user_ids.iter().map(|&user_id| ((ClaimOwner::Hold(hold.id), user_id), hold.range)));
    }
    wanted
}

/// What claims can belong to.
fn known(finale: &Final) -> BTreeSet<ClaimOwner> {
    let bookings = finale.bookings.iter().map(|booking| ClaimOwner::Booking(booking.id));
    bookings.chain(finale.holds.iter().map(|hold| ClaimOwner::Hold(hold.id))).collect()
}

/// A claim of an expired hold may lie about until somebody tidies; it takes nobody's time.
fn is_astray(
    claim: &Claim,
    wanted: &BTreeMap<(ClaimOwner, UserId), TimeRange>,
    known: &BTreeSet<ClaimOwner>,
    finale: &Final,
) -> bool {
    if !claim.is_live(finale.at) || (!finale.is_whole && !known.contains(&claim.owner)) {
        return false;
    }
    wanted.get(&(claim.owner, claim.user_id)) != Some(&claim.range)
}
