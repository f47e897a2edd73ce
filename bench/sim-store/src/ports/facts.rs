//! Facts and sync, for calendar actors.

use std::sync::Arc;

use agentcal_engine::facts::{ExternalInstance, FactSource};
use agentcal_engine::ids::{AccountId, CalendarId};
use agentcal_engine::ports::{
    CalendarRecord, DueCalendar, ExternalObservation, FactStore, SaveSync, SaveWatch, StoreError, SyncFailure,
};
use agentcal_engine::shard::{Epoch, NodeId};
use agentcal_engine::time::Timestamp;
use async_trait::async_trait;

use crate::state::{Done, State, Work, sync, writebacks};
use crate::store::SimStore;

#[async_trait]
impl FactStore for SimStore {
    async fn raise_epoch(&self) -> Result<Epoch, StoreError> {
        self.write(|work| Ok(Done::Keep(raise_epoch(work)))).await
    }

    async fn store_now(&self) -> Result<Timestamp, StoreError> {
        self.read(|_, present| present.now).await
    }

    async fn load_calendar(
        &self,
        account_id: AccountId,
        calendar_id: CalendarId,
    ) -> Result<Option<CalendarRecord>, StoreError> {
        self.read(|state, present| {
            sync::calendar_record(
                state.account(account_id)?,
                calendar_id,
                state.globals.epoch_of(account_id),
                present.now,
            )
        })
        .await
    }

    async fn load_facts(
        &self,
        account_id: AccountId,
        calendar_id: CalendarId,
    ) -> Result<Option<FactSource>, StoreError> {
        self.read(|state, present| {
            sync::facts(state.account(account_id)?, calendar_id, state.globals.epoch_of(account_id), present.now)
        })
        .await
    }

    async fn account_of_calendar(&self, calendar_id: CalendarId) -> Result<Option<AccountId>, StoreError> {
        self.read(|state, _| state.calendar_owners.get(&calendar_id).copied()).await
    }

    async fn save_sync(&self, save: &SaveSync) -> Result<Option<u64>, StoreError> {
        self.write(|work| Ok(sync::save(work, save))).await
    }

    async fn save_sync_failure(&self, failure: &SyncFailure) -> Result<Option<u64>, StoreError> {
        self.write(|work| Ok(sync::save_failure(work, failure))).await
    }

    async fn save_watch(&self, save: &SaveWatch) -> Result<bool, StoreError> {
        self.write(|work| Ok(sync::save_watch(work, save))).await
    }

    async fn due_calendars(
        &self,
        owner: Option<NodeId>,
        now: Timestamp,
        limit: u32,
    ) -> Result<Vec<DueCalendar>, StoreError> {
        self.read(|state, _| due_calendars(state, owner, now, limit)).await
    }

    async fn own_instances(
        &self,
        account_id: AccountId,
        calendar_id: CalendarId,
    ) -> Result<Vec<ExternalInstance>, StoreError> {
        self.read(|state, _| {
            state.account(account_id).map(|rows| sync::own_instances(rows, calendar_id)).unwrap_or_default()
        })
        .await
    }

    async fn observe_external(
        &self,
        account_id: AccountId,
        calendar_id: CalendarId,
        epoch: Epoch,
        observations: &[ExternalObservation],
    ) -> Result<(), StoreError> {
        self.write(|work| {
            if work.state().globals.epoch_of(account_id) != epoch {
                return Ok(Done::Undo(()));
            }
            if let Some(rows) = work.account_mut(account_id) {
                writebacks::observe(rows, calendar_id, observations);
            }
            Ok(Done::Keep(()))
        })
        .await
    }
}

/// At least the clock's milliseconds: a store restored from a copy then begins above every epoch it ever had.
fn raise_epoch(work: &mut Work<'_>) -> Epoch {
    let floor = u64::try_from(work.now().as_micros() / 1_000).unwrap_or(0);
    let globals = work.globals();
    let highest = globals.shards.iter().map(|ownership| ownership.epoch.0).max().unwrap_or(0);
    let epoch = Epoch(floor.max(highest + 1));
    for ownership in Arc::make_mut(&mut globals.shards) {
        ownership.epoch = epoch;
    }
    globals.map_version += 1;
    epoch
}

fn due_calendars(state: &State, owner: Option<NodeId>, now: Timestamp, limit: u32) -> Vec<DueCalendar> {
    let all = state.rows_of(owner).flat_map(|(account_id, rows)| {
        rows.calendars.iter().filter_map(move |(&calendar_id, row)| {
            let due_at = row.sync.as_ref()?.state.due_at;
            (due_at <= now).then_some((due_at, DueCalendar { account_id, calendar_id }))
        })
    });
    writebacks::most_overdue(all.collect(), limit)
}
