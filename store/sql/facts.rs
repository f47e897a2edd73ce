//! Facts of calendars, read; the writing side of sync is in [`crate::sync`].

use agentcal_engine::commit::RevisionKey;
use agentcal_engine::facts::{ExternalInstance, FactSource, PendingEcho};
use agentcal_engine::ids::{AccountId, BookingId, CalendarId};
use agentcal_engine::model::{Calendar, Connection, EventKind, ExternalState, Tenant};
use agentcal_engine::ports::{
    CalendarRecord, DueCalendar, ExternalObservation, FACTS_PAST, FactStore, SaveSync, SaveWatch, StoreError,
    SyncFailure, SyncState,
};
use agentcal_engine::shard::{Epoch, NodeId};
use agentcal_engine::time::Timestamp;
use async_trait::async_trait;
use uuid::Uuid;

use crate::db::{DbConnection, DbStore};
use crate::error::{Result, store_error};
use crate::events::Moment;
use crate::rows::{AccountRow, CalendarRow};
use crate::scope::Scope;
use crate::sync;
use crate::text::{Named, range, to_i64};
use crate::{claims, connection, locks, revisions, watches, words, writeback};

#[async_trait]
impl FactStore for DbStore {
    async fn raise_epoch(&self) -> Result<Epoch, StoreError> {
        self.raise_every_epoch().await
    }

    async fn store_now(&self) -> Result<Timestamp, StoreError> {
        let mut reader = self.reader(Scope::All).await?;
        self.now_on(&mut reader).await
    }

    async fn load_calendar(
        &self,
        account_id: AccountId,
        calendar_id: CalendarId,
    ) -> Result<Option<CalendarRecord>, StoreError> {
        let mut reader = self.begin_read(Scope::Account(account_id)).await?;
        let Some(known) = known_calendar(&mut reader, account_id, calendar_id).await? else { return Ok(None) };
        let now = self.now_on(&mut reader).await?;
        let facts = fact_source(&mut reader, &known, now).await?;
        let tenant = tenant_of(&mut reader, account_id).await?;
        let user_emails = emails_of(&mut reader, account_id, calendar_id).await?;
        let watch = watches::record(&mut reader, account_id, calendar_id).await?;
        let Known { calendar, connection, sync } = known;
        Ok(Some(CalendarRecord { calendar, tenant, connection, sync, watch, facts, user_emails }))
    }

    async fn load_facts(
        &self,
        account_id: AccountId,
        calendar_id: CalendarId,
    ) -> Result<Option<FactSource>, StoreError> {
        let mut reader = self.begin_read(Scope::Account(account_id)).await?;
        let now = self.now_on(&mut reader).await?;
        match known_calendar(&mut reader, account_id, calendar_id).await? {
            Some(known) => fact_source(&mut reader, &known, now).await.map(Some),
            None => Ok(None),
        }
    }

    async fn account_of_calendar(&self, calendar_id: CalendarId) -> Result<Option<AccountId>, StoreError> {
        let mut reader = self.reader(Scope::All).await?;
        let select = sqlx::query_scalar::<_, Uuid>("SELECT account_id FROM calendars WHERE calendar_id = $1");
        let id = select.bind(calendar_id.as_uuid()).fetch_optional(&mut *reader).await.map_err(store_error)?;
        Ok(id.map(AccountId::from_uuid))
    }

    async fn save_sync(&self, save: &SaveSync) -> Result<Option<u64>, StoreError> {
        let mut work = self.begin_write(Scope::Account(save.account_id)).await?;
        let revision = sync::save(&mut work, save).await?;
        if revision.is_some() {
            work.commit().await.map_err(store_error)?;
        }
        Ok(revision)
    }

    async fn save_sync_failure(&self, failure: &SyncFailure) -> Result<Option<u64>, StoreError> {
        let mut work = self.begin_write(Scope::Account(failure.account_id)).await?;
        let revision = sync::save_failure(&mut work, failure).await?;
        if revision.is_some() {
            work.commit().await.map_err(store_error)?;
        }
        Ok(revision)
    }

    async fn save_watch(&self, save: &SaveWatch) -> Result<bool, StoreError> {
        let mut work = self.begin_write(Scope::Account(save.account_id)).await?;
        let is_saved = watches::save(&mut work, save).await?;
        if is_saved {
            work.commit().await.map_err(store_error)?;
        }
        Ok(is_saved)
    }

    async fn due_calendars(
        &self,
        owner: Option<NodeId>,
        now: Timestamp,
        limit: u32,
    ) -> Result<Vec<DueCalendar>, StoreError> {
        let mut reader = self.reader(Scope::All).await?;
        let select = sqlx::query_as::<_, (Uuid, Uuid)>(words::DUE_CALENDARS);
        let select = select.bind(now.as_micros()).bind(i64::from(limit)).bind(owner.map(|node| node.0));
        let rows = select.fetch_all(&mut *reader).await.map_err(store_error)?;
        Ok(rows.into_iter().map(due_calendar).collect())
    }

    async fn own_instances(
        &self,
        account_id: AccountId,
        calendar_id: CalendarId,
    ) -> Result<Vec<ExternalInstance>, StoreError> {
        let mut reader = self.begin_read(Scope::Account(account_id)).await?;
        let Some(state) = sync::state(&mut reader, account_id, calendar_id).await? else { return Ok(Vec::new()) };
        let select = sqlx::query_as::<_, InstanceRow>(
            "SELECT start_at, end_at, booking_id, blocks FROM external_instances \
             WHERE account_id = $1 AND calendar_id = $2 AND generation = $3 AND booking_id IS NOT NULL \
             ORDER BY booking_id",
        );
        let select = select.bind(account_id.as_uuid()).bind(calendar_id.as_uuid()).bind(to_i64(state.generation));
        let rows = select.fetch_all(&mut *reader).await.map_err(store_error)?;
        rows.into_iter().map(InstanceRow::into_engine).collect()
    }

    async fn observe_external(
        &self,
        account_id: AccountId,
        calendar_id: CalendarId,
        epoch: Epoch,
        observations: &[ExternalObservation],
    ) -> Result<(), StoreError> {
        let mut work = self.begin_write(Scope::Account(account_id)).await?;
        if locks::held_epoch(&mut work, account_id).await? != epoch {
            return Ok(());
        }
        locks::calendar(&mut work, account_id, calendar_id).await?;
        for observation in observations {
            let update = sqlx::query(
                "UPDATE writebacks SET external_state = $4 \
                 WHERE account_id = $1 AND booking_id = $2 AND calendar_id = $3 AND state <> 'pending' \
                 AND external_state <> $4",
            );
            let update = update.bind(account_id.as_uuid()).bind(observation.booking_id.as_uuid());
            let update = update.bind(calendar_id.as_uuid()).bind(observation.state.name());
            let is_news = update.execute(&mut *work).await.map_err(store_error)?.rows_affected() == 1;
            if is_news && observation.state == ExternalState::Conflict {
                let moment = Moment { now: self.now_on(&mut work).await?, entropy: self.entropy.as_ref() };
                let kind = EventKind::BookingConflict;
                writeback::tell(&mut work, account_id, observation.booking_id, kind, moment).await?;
            }
        }
        work.commit().await.map_err(store_error)
    }
}

/// A row of two ids.
pub(crate) fn due_calendar((account_id, calendar_id): (Uuid, Uuid)) -> DueCalendar {
    DueCalendar { account_id: AccountId::from_uuid(account_id), calendar_id: CalendarId::from_uuid(calendar_id) }
}

#[derive(sqlx::FromRow)]
struct InstanceRow {
    start_at: i64,
    end_at: i64,
    booking_id: Option<Uuid>,
    blocks: bool,
}

impl InstanceRow {
    fn into_engine(self) -> Result<ExternalInstance> {
        Ok(ExternalInstance {
            range: range(self.start_at, self.end_at)?,
            booking_id: self.booking_id.map(BookingId::from_uuid),
            blocks: self.blocks,
        })
    }
}

/// A calendar, and what says how much is known of it.
struct Known {
    calendar: Calendar,
    connection: Option<Connection>,
    sync: SyncState,
}

async fn known_calendar(
    reader: &mut DbConnection,
    account_id: AccountId,
    calendar_id: CalendarId,
) -> Result<Option<Known>> {
    let select = sqlx::query_as::<_, CalendarRow>(
        "SELECT c.account_id, c.calendar_id, c.connection_id, c.provider, c.provider_calendar_id, c.name, c.timezone, c.writable, \
         c.watch_state, c.watch_expires_at, c.created_at, s.synced_at FROM calendars AS c LEFT JOIN sync_states AS s \
         ON s.account_id = c.account_id AND s.calendar_id = c.calendar_id \
         WHERE c.account_id = $1 AND c.calendar_id = $2",
    );
    let select = select.bind(account_id.as_uuid()).bind(calendar_id.as_uuid());
    let Some(row) = select.fetch_optional(&mut *reader).await.map_err(store_error)? else { return Ok(None) };
    let calendar = row.into_engine()?;
    let connection = match calendar.connection_id {
        Some(connection_id) => connection::lookup(reader, account_id, connection_id).await?,
        None => None,
    };
    let sync = sync::state(reader, account_id, calendar_id).await?.unwrap_or_default();
    Ok(Some(Known { calendar, connection, sync }))
}

async fn fact_source(reader: &mut DbConnection, known: &Known, now: Timestamp) -> Result<FactSource> {
    let Known { calendar, connection, sync } = known;
    let (account_id, calendar_id) = (calendar.account_id, calendar.id);
    let revision = revisions::read(reader, account_id, RevisionKey::Calendar(calendar_id)).await?;
    let revision = revision.ok_or_else(|| StoreError::Corrupt("a calendar without a revision".to_owned()))?;
    let ended_after = now - FACTS_PAST;
    Ok(FactSource {
        calendar_id,
        account_id,
        epoch: locks::epoch(reader, account_id).await?,
        revision,
        knowledge: sync.knowledge(calendar.provider, connection.as_ref()),
        instances: instances(reader, account_id, calendar_id, sync.generation, ended_after).await?,
        claims: claims::of_home(reader, account_id, calendar_id, ended_after).await?,
        echoes: echoes(reader, account_id, calendar_id).await?,
    })
}

async fn instances(
    reader: &mut DbConnection,
    account_id: AccountId,
    calendar_id: CalendarId,
    generation: u64,
    ended_after: Timestamp,
) -> Result<Vec<ExternalInstance>> {
    let select = sqlx::query_as::<_, InstanceRow>(
        "SELECT start_at, end_at, booking_id, blocks FROM external_instances \
         WHERE account_id = $1 AND calendar_id = $2 AND generation = $3 AND end_at > $4 ORDER BY end_at",
    );
    let select = select.bind(account_id.as_uuid()).bind(calendar_id.as_uuid()).bind(to_i64(generation));
    let rows = select.bind(ended_after.as_micros()).fetch_all(reader).await.map_err(store_error)?;
    rows.into_iter().map(InstanceRow::into_engine).collect()
}

/// Where bookings with a waiting change were last written. `due_at` is named so that the index of pending rows serves.
async fn echoes(reader: &mut DbConnection, account_id: AccountId, calendar_id: CalendarId) -> Result<Vec<PendingEcho>> {
    let select = sqlx::query_as::<_, (Uuid, i64, i64)>(
        "SELECT booking_id, written_start_at, written_end_at FROM writebacks \
         WHERE account_id = $1 AND calendar_id = $2 AND state = 'pending' AND written_start_at IS NOT NULL \
         ORDER BY due_at, booking_id",
    );
    let select = select.bind(account_id.as_uuid()).bind(calendar_id.as_uuid());
    let rows = select.fetch_all(reader).await.map_err(store_error)?;
    let echo = |(id, start, end): (Uuid, i64, i64)| {
        Ok(PendingEcho { booking_id: BookingId::from_uuid(id), range: range(start, end)? })
    };
    rows.into_iter().map(echo).collect()
}

async fn tenant_of(reader: &mut DbConnection, account_id: AccountId) -> Result<Tenant> {
    let select = sqlx::query_as::<_, AccountRow>(
        "SELECT account_id, organization_id, mode, name, timezone, metadata, created_at FROM accounts \
         WHERE account_id = $1",
    );
    let row = select.bind(account_id.as_uuid()).fetch_one(reader).await.map_err(store_error)?;
    let account = row.into_engine()?;
    Ok(Tenant { organization_id: account.organization_id, mode: account.mode, account_id: account.id })
}

async fn emails_of(reader: &mut DbConnection, account_id: AccountId, calendar_id: CalendarId) -> Result<Vec<String>> {
    let select = sqlx::query_scalar("SELECT email FROM users WHERE account_id = $1 AND calendar_id = $2");
    let select = select.bind(account_id.as_uuid()).bind(calendar_id.as_uuid());
    let mut emails: Vec<String> = select.fetch_all(reader).await.map_err(store_error)?;
    emails.sort();
    Ok(emails)
}
