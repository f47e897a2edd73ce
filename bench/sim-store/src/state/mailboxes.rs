//! Mailboxes that their owners consented to, and the credentials they are reached with.

use agentcal_engine::ids::{AccountId, ConnectionId};
use agentcal_engine::model::{Calendar, Connection, ConnectionStatus, Tenant};
use agentcal_engine::ports::{Credentials, KeptCredentials, Mailbox, StoreError, Write};
use agentcal_engine::time::Timestamp;

use super::frame::ConfigWrite;
use super::{AccountRows, Done, Kept, Work, calendars};
use crate::store::refused;

/// A connection and its calendars.
type Connected = (Connection, Vec<Calendar>);

/// Keeps what the owner of a mailbox consented to: for a new connection, or for the one it has.
pub(crate) fn connect(
    work: &mut Work<'_>,
    tenant: &Tenant,
    mailbox: &Mailbox,
) -> Result<Done<Option<Connected>>, StoreError> {
    let account_id = tenant.account_id;
    let found = work.account(account_id).and_then(|rows| find(rows, mailbox));
    let id = found.unwrap_or(mailbox.connection.id);
    let performed = ConfigWrite::any(tenant, None).perform(work, |work| match found {
        Some(id) => heal(work, account_id, id, mailbox),
        None => connect_anew(work, mailbox),
    })?;
    let rows = work.account(account_id);
    let connected = rows.and_then(|rows| {
        let (connection, _) = rows.connections.get(&id)?;
        Some((connection.clone(), calendars::of_connection(rows, id)))
    });
    Ok(match performed {
        Done::Keep(_) => Done::Keep(connected),
        Done::Undo(_) => Done::Undo(None),
    })
}

/// Replaces credentials if they are still of a version.
pub(crate) fn replace_credentials(
    work: &mut Work<'_>,
    account_id: AccountId,
    connection_id: ConnectionId,
    version: u64,
    credentials: &Credentials,
) -> Done<bool> {
    let Some(rows) = work.account_mut(account_id) else { return Done::Undo(false) };
    match rows.connections.get_mut(&connection_id) {
        Some((_, kept)) if kept.kept.version == version => {
            kept.kept = KeptCredentials { credentials: credentials.clone(), version: version + 1 };
            Done::Keep(true)
        }
        _ => Done::Undo(false),
    }
}

/// The connection of the same mailbox, by its owner or by its address.
fn find(rows: &AccountRows, mailbox: &Mailbox) -> Option<ConnectionId> {
    let of_provider = || rows.connections.values().filter(|(known, _)| known.provider == mailbox.connection.provider);
    let by_subject = of_provider().find(|(_, kept)| kept.subject.as_deref() == Some(mailbox.subject.as_str()));
    let name = &mailbox.connection.display_name;
    let has_address = mailbox.connection.owner_addresses.contains(&name.to_lowercase());
    let by_name = || of_provider().find(|(known, _)| has_address && known.display_name == *name);
    by_subject.or_else(by_name).map(|(known, _)| known.id)
}

fn connect_anew(work: &mut Work<'_>, mailbox: &Mailbox) -> Result<Write, StoreError> {
    let credentials = Credentials::Oauth(mailbox.grant.clone());
    let write = calendars::create_connection(work, &mailbox.connection, &credentials, &mailbox.calendars)?;
    let rows = work.account_mut(mailbox.connection.account_id);
    if let Some((_, kept)) = rows.and_then(|rows| rows.connections.get_mut(&mailbox.connection.id)) {
        kept.subject = Some(mailbox.subject.clone());
    }
    Ok(write)
}

fn heal(work: &mut Work<'_>, account_id: AccountId, id: ConnectionId, mailbox: &Mailbox) -> Result<Write, StoreError> {
    let now = work.present().now;
    let Some(rows) = work.account_mut(account_id) else { return Ok(Write::Missing) };
    let Some((connection, kept)) = rows.connections.get_mut(&id) else { return Ok(Write::Missing) };
    let was_refused = connection.status == ConnectionStatus::ReauthorizationRequired;
    let found = &mailbox.connection;
    connection.display_name.clone_from(&found.display_name);
    connection.owner_addresses.clone_from(&found.owner_addresses);
    (connection.status, connection.status_reason) = (ConnectionStatus::Active, None);
    let credentials = Credentials::Oauth(mailbox.grant.clone());
    let version = kept.kept.version + 1;
    *kept = Kept { kept: KeptCredentials { credentials, version }, subject: Some(mailbox.subject.clone()) };
    let known = calendars::of_connection(rows, id);
    for calendar in &known {
        refresh(rows, calendar, mailbox, now);
        if was_refused {
            rows.raise_calendar(calendar.id);
        }
    }
    for found in &mailbox.calendars {
        if known.iter().any(|calendar| calendar.provider_calendar_id == found.provider_calendar_id) {
            continue;
        }
        let calendar = Calendar { connection_id: Some(id), ..found.clone() };
        if !calendars::insert(work, &calendar, now) {
            return Err(refused("a calendar id that is taken"));
        }
    }
    Ok(Write::Done)
}

/// A calendar that was there is due at once, and called as it now is.
fn refresh(rows: &mut AccountRows, calendar: &Calendar, mailbox: &Mailbox, now: Timestamp) {
    let Some(row) = rows.calendars.get_mut(&calendar.id) else { return };
    let is_same = |found: &&Calendar| found.provider_calendar_id == calendar.provider_calendar_id;
    if let Some(found) = mailbox.calendars.iter().find(is_same) {
        row.calendar.name.clone_from(&found.name);
        row.calendar.writable = found.writable;
    }
    if let Some(sync) = &mut row.sync {
        sync.state.due_at = sync.state.due_at.min(now);
    }
}
