//! Holds' own rows, and decision records.

use std::collections::BTreeSet;
use std::time::Duration;

use agentcal_engine::commit::{HoldChange, HoldLimit, HoldLimits};
use agentcal_engine::ids::{AccountId, HoldId, UserId};
use agentcal_engine::model::{Claim, ClaimKind, ClaimOwner, DecisionRecord, Hold, HoldState, Tenant};
use agentcal_engine::ports::HoldStoreItem;
use agentcal_engine::time::Timestamp;

use super::{AccountRows, Present, State, Work, claims};
use crate::settings::Planted;

/// How long a hold's row outlives the hold.
const KEPT_AFTER_END: Duration = Duration::from_secs(24 * 60 * 60);
/// How long a decision record is kept.
const DECISIONS_KEPT_FOR: Duration = Duration::from_secs(30 * 24 * 60 * 60);

pub(crate) fn item(rows: &AccountRows, hold: &Hold, now: Timestamp) -> HoldStoreItem {
    let claim_count = claims::count_live(rows, ClaimOwner::Hold(hold.id), now);
    HoldStoreItem { hold: hold.clone(), claim_count }
}

fn is_active(hold: &Hold, now: Timestamp) -> bool {
    hold.state_at(now) == HoldState::Active
}

/// The active holds of a session, oldest first.
pub(crate) fn of_session(rows: &AccountRows, session_id: &str, now: Timestamp) -> Vec<HoldStoreItem> {
    let own = rows.holds.values().filter(|hold| hold.session_id.as_deref() == Some(session_id));
    own.filter(|hold| is_active(hold, now)).map(|hold| item(rows, hold, now)).collect()
}

/// What became of a change to a hold.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum HoldChanged {
    /// As asked.
    Done,
    /// What it rested on is not there.
    Stale,
    /// As many are live as may be.
    Limit(HoldLimit),
}

/// Performs one change inside a commit. The claims were changed before it, so a limit on a host counts the hold's own.
pub(crate) fn apply(work: &mut Work<'_>, tenant: &Tenant, change: &HoldChange) -> HoldChanged {
    let present = work.present().clone();
    let limit = match change {
        HoldChange::Insert { hold, limits } => limit_met(work.state(), tenant, hold, *limits, present.now),
        HoldChange::Extend { .. } | HoldChange::Confirm { .. } | HoldChange::Release { .. } => None,
    };
    let Some(rows) = work.account_mut(tenant.account_id) else { return HoldChanged::Stale };
    let is_done = match change {
        HoldChange::Insert { hold, .. } if hold.account_id != tenant.account_id => false,
        HoldChange::Insert { hold, .. } => match limit {
            Some(limit) => return HoldChanged::Limit(limit),
            None => !rows.holds.insert(hold.id, Hold::clone(hold)),
        },
        HoldChange::Extend { hold_id, expires_at } => {
            change_active(rows, *hold_id, &present, |hold| hold.expires_at = *expires_at)
        }
        HoldChange::Confirm { hold_id, booking_id } => {
            confirm(rows, *hold_id, &present, |hold| hold.state = HoldState::Confirmed(*booking_id))
        }
        HoldChange::Release { hold_id } => {
            change_active(rows, *hold_id, &present, |hold| hold.state = HoldState::Released)
        }
    };
    if is_done { HoldChanged::Done } else { HoldChanged::Stale }
}

fn change_active(rows: &mut AccountRows, id: HoldId, present: &Present, change: impl FnOnce(&mut Hold)) -> bool {
    let hold = rows.holds.get_mut(&id).filter(|hold| is_active(hold, present.now));
    hold.map(change).is_some()
}

fn confirm(rows: &mut AccountRows, id: HoldId, present: &Present, change: impl FnOnce(&mut Hold)) -> bool {
    if !present.planted.contains(&Planted::ConfirmExpired) {
        return change_active(rows, id, present, change);
    }
    let hold = rows.holds.get_mut(&id).filter(|hold| hold.state == HoldState::Active);
    hold.map(change).is_some()
}

/// The first limit a new hold meets, if any.
fn limit_met(state: &State, tenant: &Tenant, hold: &Hold, limits: HoldLimits, now: Timestamp) -> Option<HoldLimit> {
    let rows = state.account(tenant.account_id)?;
    let held_of = |user_id| {
        let holds = |claim: &&Claim| claim.user_id == user_id && claim.kind() == ClaimKind::Hold && claim.is_live(now);
        rows.claims.values().filter(holds).count()
    };
    let is_over = |count: usize, limit: u32| u32::try_from(count).is_ok_and(|count| count <= limit);
    if let Some(&user_id) = hold.user_ids.iter().find(|user_id| !is_over(held_of(**user_id), limits.per_user)) {
        return Some(HoldLimit::User(user_id));
    }
    // The hold itself is not among these yet.
    if let Some(session_id) = &hold.session_id
        && !is_over(of_session(rows, session_id, now).len() + 1, limits.per_session)
    {
        return Some(HoldLimit::Session);
    }
    (!is_over(live_of_organization(state, tenant, now) + 1, limits.per_organization)).then_some(HoldLimit::Organization)
}

/// Live holds of an organization, over all its accounts of one mode.
fn live_of_organization(state: &State, tenant: &Tenant, now: Timestamp) -> usize {
    let of_tenant =
        |rows: &AccountRows| (rows.account.organization_id, rows.account.mode) == (tenant.organization_id, tenant.mode);
    let accounts = state.all_rows().filter(|(_, rows)| of_tenant(rows));
    accounts.flat_map(|(_, rows)| rows.holds.values()).filter(|hold| is_active(hold, now)).count()
}

/// Ends every live hold on a user: it is released, and gives back the time of its other hosts too.
pub(crate) fn end_of_user(rows: &mut AccountRows, user_id: UserId, now: Timestamp) {
    let takes = |claim: &&Claim| claim.user_id == user_id && claim.is_live(now);
    let holds: BTreeSet<HoldId> = rows.claims.values().filter(takes).filter_map(hold_of).collect();
    for hold_id in holds {
        if let Some(hold) = rows.holds.get_mut(&hold_id).filter(|hold| hold.state == HoldState::Active) {
            hold.state = HoldState::Released;
        }
        let freed = rows.claims.keys_where(|claim| hold_of(claim) == Some(hold_id));
        let whose = freed.iter().filter_map(|id| rows.claims.get(id));
        let whose: Vec<_> = whose.map(|claim| (claim.home_calendar_id, claim.user_id)).collect();
        rows.claims.remove_all(&freed);
        for (home, host) in whose {
            rows.raise_calendar(home);
            rows.raise_user(host);
        }
    }
}

fn hold_of(claim: &Claim) -> Option<HoldId> {
    match claim.owner {
        ClaimOwner::Hold(id) => Some(id),
        ClaimOwner::Booking(_) => None,
    }
}

/// Deletes claims of holds that expired, and rows of holds that ended long ago, at most `limit` of each.
pub(crate) fn tidy(work: &mut Work<'_>, limit: u32) -> u64 {
    let now = work.now();
    let claims = tidy_rows(work, limit, |rows, left| {
        let mut expired = rows.claims.keys_where(|claim| !claim.is_live(now));
        expired.truncate(left);
        rows.claims.remove_all(&expired)
    });
    let until = now - KEPT_AFTER_END;
    let holds = tidy_rows(work, limit, |rows, left| {
        let mut ended = rows.holds.keys_where(|hold| hold.expires_at <= until);
        ended.truncate(left);
        rows.holds.remove_all(&ended)
    });
    claims + holds
}

/// Writes a record. One of an account that is gone is left out, and one that is there already stays.
pub(crate) fn record_decision(work: &mut Work<'_>, record: &DecisionRecord) {
    let Some(rows) = work.account_mut(record.account_id) else { return };
    if !rows.decisions.contains(&record.id) {
        rows.decisions.insert(record.id, record.clone());
    }
}

/// Deletes records that are too old, at most `limit`; returns how many.
pub(crate) fn forget_old_decisions(work: &mut Work<'_>, limit: u32) -> u64 {
    let until = work.now() - DECISIONS_KEPT_FOR;
    tidy_rows(work, limit, |rows, left| {
        let mut old = rows.decisions.keys_where(|record| record.decided_at <= until);
        old.truncate(left);
        rows.decisions.remove_all(&old)
    })
}

/// Deletes from one account after the other until `limit` rows are gone; returns how many went.
fn tidy_rows(work: &mut Work<'_>, limit: u32, delete: impl Fn(&mut AccountRows, usize) -> usize) -> u64 {
    let ids: Vec<AccountId> = work.state().all_rows().map(|(id, _)| id).collect();
    let mut left = usize::try_from(limit).unwrap_or(usize::MAX);
    let mut gone = 0;
    for id in ids {
        let Some(rows) = work.account_mut(id) else { continue };
        let deleted = delete(rows, left);
        (left, gone) = (left - deleted, gone + deleted);
    }
    u64::try_from(gone).unwrap_or(u64::MAX)
}
