//! Users, the calendars they name, and the home of their claims.

use agentcal_engine::commit::RevisionKey;
use agentcal_engine::ids::{AccountId, CalendarId, UserId};
use agentcal_engine::model::{AvailabilityRules, ClaimKind, ProviderKind, User};
use agentcal_engine::ports::{StoreError, Write};
use agentcal_engine::time::Timestamp;

use super::calendars::{self, forget_cursor, insert_internal, provider_of};
use super::{AccountRows, Work, holds};
use crate::store::refused;

/// Writes a user; [`Write::Missing`] when it names a calendar that is not of its account.
pub(crate) fn insert(work: &mut Work<'_>, user: &User, rules: &AvailabilityRules) -> Result<Write, StoreError> {
    if !has_calendars(work, user, user.created_at) {
        return Ok(Write::Missing);
    }
    let Some(rows) = work.account_mut(user.account_id) else { return Ok(Write::Missing) };
    if rows.users.insert(user.id, (user.clone(), rules.clone())) {
        return Err(refused("a user id that is taken"));
    }
    forget_cursor(rows, user.calendar_id);
    rows.begin_revisions(RevisionKey::User(user.id));
    Ok(Write::Done)
}

/// Replaces a user; its claims follow its home.
pub(crate) fn update(work: &mut Work<'_>, user: &User) -> Write {
    let Some(old) = lookup(work, user.account_id, user.id) else { return Write::Missing };
    let now = work.now();
    if !has_calendars(work, user, now) {
        return Write::Missing;
    }
    let Some(rows) = work.account_mut(user.account_id) else { return Write::Missing };
    if (&old.email, old.calendar_id) != (&user.email, user.calendar_id) {
        forget_cursor(rows, old.calendar_id);
        forget_cursor(rows, user.calendar_id);
    }
    if let Some((kept, _)) = rows.users.get_mut(&user.id) {
        *kept = User { created_at: old.created_at, ..user.clone() };
    }
    if old.home_calendar_id != user.home_calendar_id {
        move_home(rows, user.id, user.home_calendar_id);
        leave_home(work, user.account_id, old.home_calendar_id);
    }
    Write::Done
}

/// Deletes a user, unless it is still needed. Live holds on it end, by the store's clock; what expired goes with it.
pub(crate) fn delete(work: &mut Work<'_>, account_id: AccountId, user_id: UserId, now: Timestamp) -> Write {
    let store_now = work.now();
    let Some(user) = lookup(work, account_id, user_id) else { return Write::Missing };
    let Some(rows) = work.account_mut(account_id) else { return Write::Missing };
    let has_bookings = rows
        .claims
        .values()
        .any(|claim| claim.user_id == user_id && claim.kind() == ClaimKind::Booking && claim.range.end > now);
    if has_bookings {
        return Write::Refused("future_bookings");
    }
    if rows.event_types.values().any(|(event_type, _)| event_type.user_ids == [user_id]) {
        return Write::Refused("in_use");
    }
    forget_cursor(rows, user.calendar_id);
    rows.event_types.change_where(
        |(event_type, _)| event_type.user_ids.contains(&user_id),
        |(event_type, _)| event_type.user_ids.retain(|id| *id != user_id),
    );
    holds::end_of_user(rows, user_id, store_now);
    let claims = rows.claims.keys_where(|claim| claim.user_id == user_id);
    rows.claims.remove_all(&claims);
    rows.users.remove(&user_id);
    rows.end_revisions(RevisionKey::User(user_id));
    leave_home(work, account_id, user.home_calendar_id);
    Write::Done
}

fn lookup(work: &Work<'_>, account_id: AccountId, user_id: UserId) -> Option<User> {
    work.account(account_id)?.users.get(&user_id).map(|(user, _)| user.clone())
}

/// Publishes a user's claims with another calendar from now on, and raises what that concerns there.
pub(crate) fn move_home(rows: &mut AccountRows, user_id: UserId, home: CalendarId) {
    rows.claims.change_where(|claim| claim.user_id == user_id, |claim| claim.home_calendar_id = home);
    rows.raise_calendar(home);
    rows.raise_user(user_id);
}

/// A calendar that lost a user: raised, or deleted when it was that user's internal one.
fn leave_home(work: &mut Work<'_>, account_id: AccountId, home: CalendarId) {
    let Some(rows) = work.account_mut(account_id) else { return };
    if provider_of(rows, home) == Some(ProviderKind::Internal) {
        calendars::remove(work, account_id, home);
    } else {
        rows.raise_calendar(home);
    }
}

/// Whether every calendar a user names is there for it; makes its internal home where it has none yet.
fn has_calendars(work: &mut Work<'_>, user: &User, now: Timestamp) -> bool {
    let Some(rows) = work.account(user.account_id) else { return false };
    let mut named = user.calendar_id.iter().chain(&user.busy_calendar_ids);
    let is_external = |id: &CalendarId| !matches!(provider_of(rows, *id), None | Some(ProviderKind::Internal));
    if !named.all(is_external) {
        return false;
    }
    let home = user.home_calendar_id;
    match (user.calendar_id, provider_of(rows, home)) {
        (Some(calendar_id), _) => calendar_id == home,
        (None, None) => insert_internal(work, user, home, now),
        (None, Some(ProviderKind::Internal)) => {
            rows.users.get(&user.id).is_some_and(|(present, _)| present.home_calendar_id == home)
        }
        (None, Some(_)) => false,
    }
}
