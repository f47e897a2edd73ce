//! Changes made to sandbox calendars.

use agentcal_engine::ids::{AccountId, CalendarId};
use agentcal_engine::ports::{SandboxEvent, SandboxState, StoreError};
use async_trait::async_trait;

use crate::state::{CalendarRow, Done, Work};
use crate::store::SimStore;

#[async_trait]
impl SandboxState for SimStore {
    async fn sandbox_changes(
        &self,
        account_id: AccountId,
        calendar_id: CalendarId,
        after: u64,
    ) -> Result<Vec<SandboxEvent>, StoreError> {
        self.read(|state, _| {
            let calendar = state.account(account_id).and_then(|rows| rows.calendars.get(&calendar_id));
            let mut changes: Vec<SandboxEvent> = calendar.into_iter().flat_map(later_changes(after)).collect();
            changes.sort_by_key(|event| event.change);
            changes
        })
        .await
    }

    async fn put_sandbox_event(
        &self,
        account_id: AccountId,
        calendar_id: CalendarId,
        event: &SandboxEvent,
        expected_change: Option<u64>,
    ) -> Result<Option<u64>, StoreError> {
        self.write(|work| {
            let change = put(work, account_id, calendar_id, event, expected_change);
            Ok(Done::keep_if(change.is_some(), change))
        })
        .await
    }
}

fn later_changes(after: u64) -> impl Fn(&CalendarRow) -> Vec<SandboxEvent> {
    move |row| row.sandbox.values().filter(|event| event.change > after).cloned().collect()
}

/// Writes an event with the next number; `None` when it is not as expected, or there is no such calendar.
fn put(
    work: &mut Work<'_>,
    account_id: AccountId,
    calendar_id: CalendarId,
    event: &SandboxEvent,
    expected_change: Option<u64>,
) -> Option<u64> {
    let row = work.account_mut(account_id)?.calendars.get_mut(&calendar_id)?;
    let present = row.sandbox.get(&event.event_id).filter(|event| event.range.is_some());
    let present = present.map_or(0, |event| event.change);
    if expected_change.is_some_and(|expected| expected != present) {
        return None;
    }
    let change = row.sandbox.values().map(|event| event.change).max().unwrap_or(0) + 1;
    row.sandbox.insert(event.event_id.clone(), SandboxEvent { change, ..event.clone() });
    Some(change)
}
