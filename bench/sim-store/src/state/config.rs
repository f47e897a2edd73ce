//! Everything configured in an account, and its event types and rules.

use std::sync::Arc;

use agentcal_engine::commit::RevisionKey;
use agentcal_engine::ids::{AccountId, EventTypeId, UserId};
use agentcal_engine::model::{Account, AvailabilityRules, EventType};
use agentcal_engine::ports::{AccountConfig, StoreError, Write};
use agentcal_engine::schedule::Schedule;

use super::{AccountRows, CalendarRow, Work};
use crate::store::refused;

pub(crate) fn account_config(rows: &AccountRows) -> AccountConfig {
    AccountConfig {
        account: rows.account.clone(),
        config_revision: rows.revision(RevisionKey::Config).unwrap_or_default(),
        users: rows.users.values().cloned().map(|(user, rules)| (Arc::new(user), Arc::new(rules.into()))).collect(),
        event_types: rows.event_types.values().cloned().map(with_schedule).collect(),
        calendars: rows.calendars.values().map(CalendarRow::present).collect(),
    }
}

fn with_schedule((event_type, rules): (EventType, Option<AvailabilityRules>)) -> (EventType, Option<Arc<Schedule>>) {
    (event_type, rules.map(|rules| Arc::new(rules.into())))
}

/// Changes an account's name, zone and metadata.
pub(crate) fn update_account(work: &mut Work<'_>, account: &Account) -> Write {
    let Some(rows) = work.account_mut(account.id) else { return Write::Missing };
    rows.account.name.clone_from(&account.name);
    rows.account.timezone = account.timezone;
    rows.account.metadata = account.metadata.clone();
    Write::Done
}

/// Writes an event type with its hosts.
pub(crate) fn insert_event_type(work: &mut Work<'_>, event_type: &EventType) -> Result<Write, StoreError> {
    let Some(rows) = work.account_mut(event_type.account_id) else { return Ok(Write::Missing) };
    if let Some(write) = objection(rows, event_type) {
        return Ok(write);
    }
    if rows.event_types.insert(event_type.id, (event_type.clone(), None)) {
        return Err(refused("an event type id that is taken"));
    }
    Ok(Write::Done)
}

/// Replaces an event type and its hosts; its rules stay.
pub(crate) fn update_event_type(work: &mut Work<'_>, event_type: &EventType) -> Write {
    let Some(rows) = work.account_mut(event_type.account_id) else { return Write::Missing };
    if !rows.event_types.contains(&event_type.id) {
        return Write::Missing;
    }
    if let Some(write) = objection(rows, event_type) {
        return write;
    }
    if let Some((kept, _)) = rows.event_types.get_mut(&event_type.id) {
        *kept = EventType { created_at: kept.created_at, ..event_type.clone() };
    }
    Write::Done
}

/// What stands against an event type: its slug is another's, or a host is not of the account.
fn objection(rows: &AccountRows, event_type: &EventType) -> Option<Write> {
    let is_taken = |(other, _): &(EventType, _)| other.id != event_type.id && other.slug == event_type.slug;
    if rows.event_types.values().any(is_taken) {
        return Some(Write::Refused("slug"));
    }
    let is_user = |id: &UserId| rows.users.contains(id);
    (!event_type.user_ids.iter().all(is_user)).then_some(Write::Missing)
}

pub(crate) fn delete_event_type(work: &mut Work<'_>, account_id: AccountId, id: EventTypeId) -> Write {
    let is_gone = work.account_mut(account_id).is_some_and(|rows| rows.event_types.remove(&id));
    if is_gone { Write::Done } else { Write::Missing }
}

pub(crate) fn put_user_rules(
    work: &mut Work<'_>,
    account_id: AccountId,
    id: UserId,
    rules: &AvailabilityRules,
) -> Write {
    let user = work.account_mut(account_id).and_then(|rows| rows.users.get_mut(&id));
    let Some((_, kept)) = user else { return Write::Missing };
    kept.clone_from(rules);
    Write::Done
}

pub(crate) fn put_event_type_rules(
    work: &mut Work<'_>,
    account_id: AccountId,
    id: EventTypeId,
    rules: &AvailabilityRules,
) -> Write {
    let event_type = work.account_mut(account_id).and_then(|rows| rows.event_types.get_mut(&id));
    let Some((_, kept)) = event_type else { return Write::Missing };
    *kept = Some(rules.clone());
    Write::Done
}
