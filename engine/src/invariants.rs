//! What must hold whatever happens, written once: for tests, for the simulator and for `debug_assert`.

use std::collections::BTreeMap;

use crate::commit::{ClaimChange, CommitPlan};
use crate::decision::SlotSearch;
use crate::facts::CalendarFacts;
use crate::ids::{AccountId, ClaimId, UserId};
use crate::model::{BUFFER_MINUTES_MAX, Claim, DURATION_MINUTES_MAX};
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

/// A plan locks in one order and claims only what may be claimed, for its own account.
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
    })
}

/// Slots ascend, none is empty, and somebody is free at each.
pub fn slots_are_sound(search: &SlotSearch) -> Result<(), Violation> {
    let each = search.slots.iter().all(|slot| slot.start < slot.end && !slot.hosts.is_empty());
    ensure(each && search.slots.windows(2).all(|pair| pair[0].start < pair[1].start), "slots")
}

fn ensure(holds: bool, what: &'static str) -> Result<(), Violation> {
    if holds { Ok(()) } else { Err(Violation::Order { what }) }
}
