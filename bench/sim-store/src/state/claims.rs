//! Claims: people's time, taken. The last guard of law 1 is here: no two claims of one person overlap.

use agentcal_engine::commit::ClaimChange;
use agentcal_engine::ids::{BookingId, CalendarId, ClaimId, HoldId, UserId};
use agentcal_engine::invariants::claim_in_bounds;
use agentcal_engine::model::{Claim, ClaimKind, ClaimOwner};
use agentcal_engine::ports::StoreError;
use agentcal_engine::time::{TimeRange, Timestamp};

use super::{AccountRows, Present};
use crate::settings::Planted;
use crate::store::refused;

/// Claims published with a calendar that end after an instant, ascending by start.
pub(crate) fn of_home(rows: &AccountRows, home: CalendarId, ending_after: Timestamp) -> Vec<Claim> {
    let own = rows.claims.values().filter(|claim| claim.home_calendar_id == home && claim.range.end > ending_after);
    let mut claims: Vec<Claim> = own.cloned().collect();
    claims.sort_by_key(|claim| (claim.range.start, claim.id));
    claims
}

/// How many claims an owner has that are live.
pub(crate) fn count_live(rows: &AccountRows, owner: ClaimOwner, now: Timestamp) -> u32 {
    let live = rows.claims.values().filter(|claim| claim.owner == owner && claim.is_live(now));
    u32::try_from(live.count()).unwrap_or(u32::MAX)
}

/// What became of a change to claims.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Changed {
    /// As asked.
    Done,
    /// What it rested on is not there.
    Stale,
    /// The user's time is taken.
    Overlap(UserId),
}

/// Performs one change inside a commit.
pub(crate) fn apply(rows: &mut AccountRows, change: &ClaimChange, present: &Present) -> Result<Changed, StoreError> {
    Ok(match change {
        ClaimChange::Insert(claim) if claim.account_id != rows.account.id => Changed::Stale,
        ClaimChange::Insert(claim) => insert(rows, claim, present)?,
        ClaimChange::Move { owner, range, claim_count } => move_all(rows, *owner, *range, *claim_count, present),
        ClaimChange::Delete { owner, claim_count } => {
            let claims = rows.claims.keys_where(|claim| claim.owner == *owner);
            counted(rows.claims.remove_all(&claims), *claim_count)
        }
        ClaimChange::Confirm { hold_id, booking_id, claim_count } => {
            confirm(rows, *hold_id, *booking_id, *claim_count, present)
        }
        ClaimChange::Extend { hold_id, expires_at, claim_count } => {
            let (owner, now) = (ClaimOwner::Hold(*hold_id), present.now);
            let is_live = |claim: &Claim| claim.owner == owner && claim.is_live(now);
            let extended = rows.claims.change_where(is_live, |claim| claim.expires_at = Some(*expires_at));
            counted(extended, *claim_count)
        }
    })
}

fn insert(rows: &mut AccountRows, claim: &Claim, present: &Present) -> Result<Changed, StoreError> {
    delete_expired(rows, claim.user_id, claim.range, present.now);
    if !points_to_rows(rows, claim) {
        return Ok(Changed::Stale);
    }
    let ends_by_itself = claim.expires_at.is_some();
    if claim_in_bounds(claim).is_err() || ends_by_itself != (claim.kind() == ClaimKind::Hold) {
        return Err(refused("a claim out of bounds"));
    }
    if is_taken(rows, claim.user_id, claim.range, &[], present) {
        return Ok(Changed::Overlap(claim.user_id));
    }
    if rows.claims.insert(claim.id, claim.clone()) {
        return Err(refused("a claim id that is taken"));
    }
    Ok(Changed::Done)
}

/// Whether everything a claim points to is there.
fn points_to_rows(rows: &AccountRows, claim: &Claim) -> bool {
    rows.users.contains(&claim.user_id)
        && rows.calendars.contains(&claim.home_calendar_id)
        && claim.booking_id().is_none_or(|booking_id| rows.bookings.contains(&booking_id))
}

/// The constraint: whether another claim of the user shares an instant with the range, live or not.
fn is_taken(rows: &AccountRows, user_id: UserId, range: TimeRange, but: &[ClaimId], present: &Present) -> bool {
    let in_the_way =
        |claim: &&Claim| claim.user_id == user_id && claim.range.overlaps(&range) && !but.contains(&claim.id);
    !present.planted.contains(&Planted::IgnoreConstraint) && rows.claims.values().any(|claim| in_the_way(&claim))
}

fn move_all(rows: &mut AccountRows, owner: ClaimOwner, to: TimeRange, claim_count: u32, present: &Present) -> Changed {
    let own: Vec<Claim> = rows.claims.values().filter(|claim| claim.owner == owner).cloned().collect();
    let mut users: Vec<UserId> = own.iter().map(|claim| claim.user_id).collect();
    users.sort_unstable();
    for &user_id in &users {
        delete_expired(rows, user_id, to, present.now);
    }
    // Expired claims of the owner itself may have gone just now.
    let own: Vec<ClaimId> = rows.claims.keys_where(|claim| claim.owner == owner);
    let taken = users.iter().find(|user_id| is_taken(rows, **user_id, to, &own, present));
    let twice = users.windows(2).find(|pair| pair[0] == pair[1]).map(|pair| &pair[0]);
    if let Some(&user_id) = taken.or(twice) {
        return Changed::Overlap(user_id);
    }
    let moved = rows.claims.change_where(|claim| claim.owner == owner, |claim| claim.range = to);
    counted(moved, claim_count)
}

/// A hold's live claims become the booking's, where they stand.
fn confirm(
    rows: &mut AccountRows,
    hold_id: HoldId,
    booking_id: BookingId,
    claim_count: u32,
    present: &Present,
) -> Changed {
    let ignores_expiry = present.planted.contains(&Planted::ConfirmExpired);
    let is_live =
        |claim: &Claim| claim.owner == ClaimOwner::Hold(hold_id) && (ignores_expiry || claim.is_live(present.now));
    if !rows.bookings.contains(&booking_id) {
        return Changed::Stale;
    }
    let confirmed = rows.claims.change_where(is_live, |claim| {
        claim.owner = ClaimOwner::Booking(booking_id);
        (claim.expires_at, claim.session_id) = (None, None);
    });
    counted(confirmed, claim_count)
}

fn counted(claims: usize, claim_count: u32) -> Changed {
    if u32::try_from(claims) == Ok(claim_count) { Changed::Done } else { Changed::Stale }
}

/// Expired holds of a user that stand in the way go, by the store's clock.
fn delete_expired(rows: &mut AccountRows, user_id: UserId, within: TimeRange, now: Timestamp) {
    let is_expired = |claim: &Claim| claim.user_id == user_id && claim.range.overlaps(&within) && !claim.is_live(now);
    let expired = rows.claims.keys_where(is_expired);
    rows.claims.remove_all(&expired);
}
