//! Connections and calendars: made, listed and taken away.

use std::collections::BTreeMap;

use agentcal_engine::commit::RevisionKey;
use agentcal_engine::ids::{AccountId, CalendarId, ConnectionId, UserId};
use agentcal_engine::model::{
    Calendar, Connection, ConnectionStatus, ProviderKind, Tenant, User, Watch, WatchState, WritebackState,
};
use agentcal_engine::ports::{Credentials, KeptCredentials, StoreError, SyncState, WatchRecord, Write};
use agentcal_engine::time::Timestamp;

use super::users::move_home;
use super::{AccountRows, CalendarRow, Done, Kept, SyncRow, Work};
use crate::store::refused;

/// What is said of a writeback whose calendar was disconnected.
const DISCONNECTED: &str = "the calendar was disconnected";

impl CalendarRow {
    /// The calendar as callers see it.
    pub(crate) fn present(&self) -> Calendar {
        let last_synced_at = self.sync.as_ref().and_then(|sync| sync.state.synced_at);
        Calendar { last_synced_at, ..self.calendar.clone() }
    }
}

/// The calendars of a connection.
pub(crate) fn of_connection(rows: &AccountRows, connection_id: ConnectionId) -> Vec<Calendar> {
    let own = rows.calendars.values().filter(|row| row.calendar.connection_id == Some(connection_id));
    own.map(CalendarRow::present).collect()
}

/// Writes a connection with its calendars, each due for a full sync at once.
pub(crate) fn create_connection(
    work: &mut Work<'_>,
    connection: &Connection,
    credentials: &Credentials,
    calendars: &[Calendar],
) -> Result<Write, StoreError> {
    let Some(rows) = work.account_mut(connection.account_id) else { return Ok(Write::Missing) };
    let kept = Kept { kept: KeptCredentials { credentials: credentials.clone(), version: 0 }, subject: None };
    if rows.connections.insert(connection.id, (connection.clone(), kept)) {
        return Err(refused("a connection id that is taken"));
    }
    for calendar in calendars {
        if !insert(work, calendar, connection.created_at) {
            return Ok(Write::Missing);
        }
    }
    Ok(Write::Done)
}

/// Writes a calendar that is due for a full sync at once; false when it is there already, or its id is another's.
pub(crate) fn insert(work: &mut Work<'_>, calendar: &Calendar, due_at: Timestamp) -> bool {
    let name = |calendar: &Calendar| (calendar.connection_id, calendar.provider_calendar_id.clone());
    let is_known = |rows: &AccountRows| rows.calendars.values().any(|row| name(&row.calendar) == name(calendar));
    if work.account(calendar.account_id).is_some_and(is_known) {
        return false;
    }
    let state = SyncState { due_at, ..SyncState::default() };
    let sync = Some(SyncRow { state, ..SyncRow::default() });
    let watch = WatchRecord { watch: calendar.watch, ..WatchRecord::default() };
    insert_row(work, CalendarRow { calendar: calendar.clone(), watch, sync, sandbox: BTreeMap::new() })
}

/// Makes a user's internal calendar; false when the id is another's.
pub(crate) fn insert_internal(work: &mut Work<'_>, user: &User, home: CalendarId, now: Timestamp) -> bool {
    let calendar = Calendar {
        id: home,
        account_id: user.account_id,
        connection_id: None,
        provider: ProviderKind::Internal,
        provider_calendar_id: String::new(),
        name: String::new(),
        timezone: user.timezone,
        writable: false,
        watch: Watch { state: WatchState::None, expires_at: None },
        last_synced_at: None,
        created_at: now,
    };
    let watch = WatchRecord::default();
    insert_row(work, CalendarRow { calendar, watch, sync: None, sandbox: BTreeMap::new() })
}

fn insert_row(work: &mut Work<'_>, row: CalendarRow) -> bool {
    let (id, account_id) = (row.calendar.id, row.calendar.account_id);
    if !work.take_calendar_id(id, account_id) {
        return false;
    }
    let Some(rows) = work.account_mut(account_id) else { return false };
    rows.calendars.insert(id, row);
    rows.begin_revisions(RevisionKey::Calendar(id));
    true
}

/// Changes how a connection is. Its calendars are raised where that decides whether they are known.
pub(crate) fn set_status(
    work: &mut Work<'_>,
    account_id: AccountId,
    connection_id: ConnectionId,
    status: ConnectionStatus,
    reason: Option<&str>,
) -> Done<()> {
    let now = work.now();
    let Some(rows) = work.account_mut(account_id) else { return Done::Undo(()) };
    let Some((connection, _)) = rows.connections.get_mut(&connection_id) else { return Done::Undo(()) };
    let refuses = |status| status == ConnectionStatus::ReauthorizationRequired;
    let known_otherwise = refuses(connection.status) != refuses(status);
    let is_mended = refuses(connection.status) && status == ConnectionStatus::Active;
    connection.status = status;
    connection.status_reason = reason.map(str::to_owned);
    for calendar in of_connection(rows, connection_id) {
        if known_otherwise {
            rows.raise_calendar(calendar.id);
        }
        let sync = rows.calendars.get_mut(&calendar.id).and_then(|row| row.sync.as_mut());
        if let Some(sync) = sync.filter(|sync| is_mended && sync.state.failures > 0) {
            sync.state.due_at = sync.state.due_at.min(now);
        }
    }
    Done::Keep(())
}

/// Deletes a connection with its calendars; those who live in one of them move.
pub(crate) fn delete_connection(
    work: &mut Work<'_>,
    tenant: &Tenant,
    connection_id: ConnectionId,
    internal_homes: &[(UserId, CalendarId)],
    now: Timestamp,
) -> Write {
    let account_id = tenant.account_id;
    let Some(rows) = work.account(account_id).filter(|rows| rows.connections.contains(&connection_id)) else {
        return Write::Missing;
    };
    for calendar in of_connection(rows, connection_id) {
        if !rehome_users(work, account_id, calendar.id, internal_homes, now) {
            return Write::Stale;
        }
        delete(work, account_id, calendar.id);
    }
    if let Some(rows) = work.account_mut(account_id) {
        rows.connections.remove(&connection_id);
    }
    Write::Done
}

/// Gives every user that lives in a calendar an internal home; false when none was offered for one of them.
fn rehome_users(
    work: &mut Work<'_>,
    account_id: AccountId,
    calendar_id: CalendarId,
    internal_homes: &[(UserId, CalendarId)],
    now: Timestamp,
) -> bool {
    let Some(rows) = work.account(account_id) else { return false };
    let lives_there = |(user, _): &&(User, _)| user.home_calendar_id == calendar_id;
    let users: Vec<User> = rows.users.values().filter(lives_there).map(|(user, _)| user.clone()).collect();
    for user in users {
        let Some(&(_, home)) = internal_homes.iter().find(|(offered, _)| *offered == user.id) else { return false };
        if !insert_internal(work, &user, home, now) {
            return false;
        }
        let Some(rows) = work.account_mut(account_id) else { return false };
        if let Some((user, _)) = rows.users.get_mut(&user.id) {
            (user.calendar_id, user.home_calendar_id) = (None, home);
        }
        move_home(rows, user.id, home);
    }
    true
}

/// Deletes a calendar nobody lives in any more, with its facts; what waits to be written to it never will be.
fn delete(work: &mut Work<'_>, account_id: AccountId, calendar_id: CalendarId) {
    let Some(rows) = work.account_mut(account_id) else { return };
    for key in rows.writebacks.keys_where(|row| row.state == WritebackState::Pending) {
        if key.1 == calendar_id
            && let Some(row) = rows.writebacks.get_mut(&key)
        {
            (row.state, row.last_error) = (WritebackState::Failed, Some(DISCONNECTED.to_owned()));
        }
    }
    rows.users.change_where(
        |(user, _)| user.busy_calendar_ids.contains(&calendar_id),
        |(user, _)| user.busy_calendar_ids.retain(|id| *id != calendar_id),
    );
    remove(work, account_id, calendar_id);
}

/// Deletes a calendar's row and its revisions.
pub(crate) fn remove(work: &mut Work<'_>, account_id: AccountId, calendar_id: CalendarId) {
    if let Some(rows) = work.account_mut(account_id) {
        rows.calendars.remove(&calendar_id);
        rows.end_revisions(RevisionKey::Calendar(calendar_id));
    }
    work.release_calendar_id(calendar_id);
}

/// A calendar whose connection does not say whose it is belongs to its users. When these change, other answers to
/// invitations count, and those were not kept: the next sync is a full one.
pub(crate) fn forget_cursor(rows: &mut AccountRows, calendar_id: Option<CalendarId>) {
    let Some(row) = calendar_id.and_then(|id| rows.calendars.get_mut(&id)) else { return };
    let connection = row.calendar.connection_id.and_then(|id| rows.connections.get(&id));
    if connection.is_some_and(|(connection, _)| connection.owner_addresses.is_empty())
        && let Some(sync) = &mut row.sync
    {
        sync.state.cursor = None;
    }
}

/// Who keeps a calendar.
pub(crate) fn provider_of(rows: &AccountRows, calendar_id: CalendarId) -> Option<ProviderKind> {
    rows.calendars.get(&calendar_id).map(|row| row.calendar.provider)
}
