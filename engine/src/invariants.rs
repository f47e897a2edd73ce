//! What must hold whatever happens, written once: for tests, for the simulator and for `debug_assert`.

use std::collections::BTreeMap;

use crate::commit::{BookingChange, ClaimChange, CommitPlan, HoldChange};
use crate::decision::SlotSearch;
use crate::facts::CalendarFacts;
use crate::ids::{AccountId, ClaimId, UserId};
use crate::model::{BUFFER_MINUTES_MAX, Claim, ClaimOwner, DURATION_MINUTES_MAX, Hold, HoldState};
use crate::time::{MINUTE_US, TimeRange, Timestamp};

/// Longest claim, in microseconds. The store's constraint relies on it.
pub const CLAIM_US_MAX: i64 = DURATION_MINUTES_MAX as i64 * MINUTE_US;

/// An invariant that does not hold.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Violation {
    /// Law 1: two live claims of one user overlap.
    #[error("claims {first} and {second} of {user_id} overlap")]
    DoubleBooking {
        /// Whose time was sold twice.
        user_id: UserId,
        /// The earlier claim.
        first: ClaimId,
        /// The later claim.
        second: ClaimId,
    },
    /// A claim is empty, longer than allowed or wants more room than allowed.
    #[error("claim {claim_id} takes {range:?}, out of bounds")]
    ClaimBounds {
        /// Which.
        claim_id: ClaimId,
        /// The time it takes.
        range: TimeRange,
    },
    /// A claim is published with another calendar or account than its own.
    #[error("claim {claim_id} is published where it does not belong")]
    ClaimAstray {
        /// Which.
        claim_id: ClaimId,
    },
    /// Changes that belong together are not there together.
    #[error("a plan is torn: {what}")]
    Torn {
        /// What.
        what: &'static str,
    },
    /// Something that must ascend without repetition does not.
    #[error("{what} out of order")]
    Order {
        /// What.
        what: &'static str,
    },
}

/// Law 1: no two claims of one user of one account overlap that are live at `store_now`.
pub fn no_double_booking<'c>(
    claims: impl IntoIterator<Item = &'c Claim>,
    store_now: Timestamp,
) -> Result<(), Violation> {
    let mut by_user: BTreeMap<(AccountId, UserId), Vec<&Claim>> = BTreeMap::new();
    for claim in claims.into_iter().filter(|claim| claim.is_live(store_now)) {
        by_user.entry((claim.account_id, claim.user_id)).or_default().push(claim);
    }
    for ((_, user_id), mut claims) in by_user {
        claims.sort_unstable_by_key(|claim| (claim.range, claim.id));
        claims.dedup_by_key(|claim| (claim.range, claim.id));
        // Sorted by start: if any two overlap, two neighbours do.
        if let Some(pair) = claims.windows(2).find(|pair| pair[0].range.overlaps(&pair[1].range)) {
            return Err(Violation::DoubleBooking { user_id, first: pair[0].id, second: pair[1].id });
        }
    }
    Ok(())
}

/// A claim takes some time, no more than allowed, and wants no more room than allowed.
pub fn claim_in_bounds(claim: &Claim) -> Result<(), Violation> {
    let length = claim.range.end.as_micros().checked_sub(claim.range.start.as_micros());
    let length_ok = length.is_some_and(|length| (1..=CLAIM_US_MAX).contains(&length));
    let buffers_ok = claim.buffer_before_minutes.max(claim.buffer_after_minutes) <= BUFFER_MINUTES_MAX;
    if length_ok && buffers_ok {
        Ok(())
    } else {
        Err(Violation::ClaimBounds { claim_id: claim.id, range: claim.range })
    }
}

/// Published facts: busy time merged and ascending, displaced events and claims ascending, every claim in bounds and at
/// home.
pub fn facts_are_sound(facts: &CalendarFacts) -> Result<(), Violation> {
    ranges_are_merged(&facts.external)?;
    ensure(facts.displaced.is_sorted_by_key(|(booking_id, range)| (*range, *booking_id)), "displaced events")?;
    ensure(facts.claims.is_sorted_by_key(|claim| (claim.range.start, claim.id)), "claims")?;
    facts.claims.iter().try_for_each(|claim| {
        claim_in_bounds(claim)?;
        let at_home = claim.home_calendar_id == facts.calendar_id && claim.account_id == facts.account_id;
        if at_home { Ok(()) } else { Err(Violation::ClaimAstray { claim_id: claim.id }) }
    })
}

/// Ranges ascend with a gap between any two, and none is empty.
pub fn ranges_are_merged(ranges: &[TimeRange]) -> Result<(), Violation> {
    let whole = ranges.iter().all(|range| range.start < range.end);
    ensure(whole && ranges.windows(2).all(|pair| pair[0].end < pair[1].start), "busy time")
}

/// A plan locks in one order, claims only what may be claimed, for its own account, and no row of it is alone: a new
/// booking or hold comes with a claim for each host, and whatever ends or moves does so with its claims.
pub fn plan_is_sound(plan: &CommitPlan) -> Result<(), Violation> {
    ensure(plan.expected_revisions.windows(2).all(|pair| pair[0].key < pair[1].key), "expected revisions")?;
    plan.claims.iter().try_for_each(|change| match change {
        ClaimChange::Insert(claim) => {
            claim_in_bounds(claim)?;
            let own = claim.account_id == plan.tenant.account_id;
            if own { Ok(()) } else { Err(Violation::ClaimAstray { claim_id: claim.id }) }
        }
        ClaimChange::Move { range, .. } => {
            ensure((1..=CLAIM_US_MAX).contains(&range.len_micros()), "a moved claim's ends")
        }
        ClaimChange::Delete { .. } | ClaimChange::Confirm { .. } | ClaimChange::Extend { .. } => Ok(()),
    })?;
    holds_are_whole(plan)?;
    booking_is_whole(plan)?;
    let record = plan.decision.as_deref();
    whole(record.is_none_or(|record| record.is_accepted()), "the record of a success names who was chosen")?;
    whole(record.is_none_or(|record| record.account_id == plan.tenant.account_id), "the record is of the account")
}

/// Every change to a hold's row has its change to the hold's claims, and the other way round. A hold that is confirmed
/// becomes the booking of the same plan.
pub fn holds_are_whole(plan: &CommitPlan) -> Result<(), Violation> {
    for change in &plan.holds {
        match change {
            HoldChange::Insert { hold, .. } => hold_has_its_claims(plan, hold)?,
            HoldChange::Extend { hold_id, expires_at } => {
                let is_pair = |change: &ClaimChange| {
                    matches!(change, ClaimChange::Extend { hold_id: id, expires_at: at, .. }
                        if (id, at) == (hold_id, expires_at))
                };
                whole(plan.claims.iter().any(is_pair), "an extended hold's claims end with it")?;
            }
            HoldChange::Confirm { hold_id, booking_id } => {
                let is_pair = |change: &ClaimChange| {
                    matches!(change, ClaimChange::Confirm { hold_id: id, booking_id: as_booking, .. }
                        if (id, as_booking) == (hold_id, booking_id))
                };
                whole(plan.claims.iter().any(is_pair), "a confirmed hold's claims become the booking's")?;
            }
            HoldChange::Release { hold_id } => {
                let owner = ClaimOwner::Hold(*hold_id);
                let is_pair =
                    |change: &ClaimChange| matches!(change, ClaimChange::Delete { owner: of, .. } if *of == owner);
                whole(plan.claims.iter().any(is_pair), "a released hold gives its claims back")?;
            }
        }
    }
    plan.claims.iter().try_for_each(|change| claims_have_their_hold(plan, change))
}

fn hold_has_its_claims(plan: &CommitPlan, hold: &Hold) -> Result<(), Violation> {
    let owner = ClaimOwner::Hold(hold.id);
    let mut held: Vec<UserId> = Vec::new();
    for change in &plan.claims {
        let ClaimChange::Insert(claim) = change else { continue };
        if claim.owner != owner {
            continue;
        }
        let is_like_hold = claim.range == hold.range && claim.expires_at == Some(hold.expires_at);
        whole(is_like_hold && claim.session_id == hold.session_id, "a hold's claim says what the hold says")?;
        held.push(claim.user_id);
    }
    whole(hold.state == HoldState::Active && held == hold.user_ids, "a new hold has a claim for each host")
}

fn claims_have_their_hold(plan: &CommitPlan, change: &ClaimChange) -> Result<(), Violation> {
    let of_hold = |is_pair: &dyn Fn(&HoldChange) -> bool| {
        whole(plan.holds.iter().filter(|change| is_pair(change)).count() == 1, "a hold's claims change with its row")
    };
    match change {
        ClaimChange::Insert(Claim { owner: ClaimOwner::Hold(id), .. }) => {
            of_hold(&|change| matches!(change, HoldChange::Insert { hold, .. } if hold.id == *id))
        }
        ClaimChange::Delete { owner: ClaimOwner::Hold(id), .. } => {
            of_hold(&|change| matches!(change, HoldChange::Release { hold_id } if hold_id == id))
        }
        ClaimChange::Extend { hold_id: id, .. } => {
            of_hold(&|change| matches!(change, HoldChange::Extend { hold_id, .. } if hold_id == id))
        }
        ClaimChange::Confirm { hold_id: id, booking_id, .. } => {
            of_hold(&|change| matches!(change, HoldChange::Confirm { hold_id, .. } if hold_id == id))?;
            let is_booked = matches!(&plan.booking, Some(BookingChange::Insert(booking)) if booking.id == *booking_id);
            whole(is_booked, "a confirmed hold becomes the plan's booking")
        }
        ClaimChange::Move { owner: ClaimOwner::Hold(_), .. } => whole(false, "holds do not move"),
        ClaimChange::Insert(_) | ClaimChange::Delete { .. } | ClaimChange::Move { .. } => Ok(()),
    }
}

/// A new booking takes a claim for each of its hosts, or those of the hold it is made of; one that moves or ends does so
/// with its claims.
fn booking_is_whole(plan: &CommitPlan) -> Result<(), Violation> {
    let count = |is_its: &dyn Fn(&ClaimChange) -> bool| plan.claims.iter().filter(|change| is_its(change)).count();
    match &plan.booking {
        None => Ok(()),
        Some(BookingChange::Insert(booking)) => {
            let owner = ClaimOwner::Booking(booking.id);
            let taken = count(
                &|change| matches!(change, ClaimChange::Insert(claim) if claim.owner == owner && claim.range == booking.range),
            );
            let confirmed = plan.claims.iter().find_map(|change| match change {
                ClaimChange::Confirm { claim_count, .. } => Some(*claim_count as usize),
                _ => None,
            });
            let hosts = booking.hosts.len();
            whole(hosts > 0 && taken + confirmed.unwrap_or(0) == hosts, "a new booking has a claim for each host")
        }
        Some(BookingChange::Reschedule { booking_id, range, .. }) => {
            let owner = ClaimOwner::Booking(*booking_id);
            let moved = count(
                &|change| matches!(change, ClaimChange::Move { owner: of, range: to, .. } if (of, to) == (&owner, range)),
            );
            whole(moved == 1, "a booking moves with its claims")
        }
        Some(BookingChange::Cancel { booking_id, .. }) => {
            let owner = ClaimOwner::Booking(*booking_id);
            let freed = count(&|change| matches!(change, ClaimChange::Delete { owner: of, .. } if *of == owner));
            whole(freed == 1, "a cancelled booking gives its claims back")
        }
    }
}

/// Slots ascend, none is empty, and somebody is free at each.
pub fn slots_are_sound(search: &SlotSearch) -> Result<(), Violation> {
    let each = search.slots.iter().all(|slot| slot.start < slot.end && !slot.hosts.is_empty());
    ensure(each && search.slots.windows(2).all(|pair| pair[0].start < pair[1].start), "slots")
}

fn ensure(holds: bool, what: &'static str) -> Result<(), Violation> {
    if holds { Ok(()) } else { Err(Violation::Order { what }) }
}

fn whole(holds: bool, what: &'static str) -> Result<(), Violation> {
    if holds { Ok(()) } else { Err(Violation::Torn { what }) }
}
