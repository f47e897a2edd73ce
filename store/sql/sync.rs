//! Saving what a sync found. Deltas merge (law 7): a page replaces the resources it names and no others. A full sync
//! collects the next generation in the shadow of the one that counts and takes its place with the last page, together
//! with the cursor.

use std::collections::BTreeMap;

use agentcal_engine::facts::{ExternalInstance, Knowledge};
use agentcal_engine::ids::{AccountId, CalendarId, ConnectionId};
use agentcal_engine::model::{Connection, ProviderKind};
use agentcal_engine::ports::{ResourceChange, SaveSync, SyncCursor, SyncFailure, SyncState};
use agentcal_engine::time::{TimeRange, Timestamp};
use sqlx::QueryBuilder;
use uuid::Uuid;

use crate::db::{Db, DbConnection};
use crate::error::{Result, store_error};
use crate::text::{Named, range, to_i64, to_u32, to_u64};
use crate::{connection, locks, revisions};

/// Resources that are named in one statement.
const NAMES_PER_STATEMENT: usize = 200;
/// Rows that one statement inserts.
const ROWS_PER_STATEMENT: usize = 200;

#[derive(sqlx::FromRow)]
struct StateRow {
    sync_cursor: Option<String>,
    window_start: Option<i64>,
    window_end: Option<i64>,
    synced_at: Option<i64>,
    generation: i64,
    failures: i64,
    due_at: i64,
    quiet_syncs: i64,
    watched_until: Option<i64>,
    last_error: Option<String>,
}

impl StateRow {
    fn into_engine(self) -> Result<SyncState> {
        let window = self.window_start.zip(self.window_end);
        Ok(SyncState {
            cursor: self.sync_cursor.map(SyncCursor),
            window: window.map(|(start, end)| range(start, end)).transpose()?,
            synced_at: self.synced_at.map(Timestamp::from_micros),
            generation: to_u64(self.generation)?,
            failures: to_u32(self.failures)?,
            due_at: Timestamp::from_micros(self.due_at),
            quiet_syncs: to_u32(self.quiet_syncs)?,
            watched_until: self.watched_until.map(Timestamp::from_micros),
            last_error: self.last_error,
        })
    }
}

/// Where a calendar's sync stands; `None` when it is gone or internal.
pub(crate) async fn state(
    connection: &mut DbConnection,
    account_id: AccountId,
    calendar_id: CalendarId,
) -> Result<Option<SyncState>> {
    let select = sqlx::query_as::<_, StateRow>(
        "SELECT sync_cursor, window_start, window_end, synced_at, generation, failures, due_at, quiet_syncs, \
         watched_until, last_error FROM sync_states WHERE account_id = $1 AND calendar_id = $2",
    );
    let select = select.bind(account_id.as_uuid()).bind(calendar_id.as_uuid());
    let row = select.fetch_optional(connection).await.map_err(store_error)?;
    row.map(StateRow::into_engine).transpose()
}

/// Saves one page. `None`: fenced or gone, and nothing may be committed.
pub(crate) async fn save(work: &mut DbConnection, save: &SaveSync) -> Result<Option<u64>> {
    let (account_id, calendar_id) = (save.account_id, save.calendar_id);
    if locks::held_epoch(work, account_id).await? != save.epoch {
        return Ok(None);
    }
    locks::calendar(work, account_id, calendar_id).await?;
    let Some(before) = state(work, account_id, calendar_id).await? else { return Ok(None) };
    let counts = save.generation == before.generation;
    if save.begins_shadow && !counts {
        delete_generation(work, account_id, calendar_id, save.generation).await?;
    }
    let changed = replace_resources(work, save).await?;
    if changed && counts {
        mark_rows_changed(work, account_id, calendar_id).await?;
    }
    if let Some(after) = &save.finish {
        return finish(work, save, &before, after).await;
    }
    revisions::read(work, account_id, agentcal_engine::commit::RevisionKey::Calendar(calendar_id)).await
}

/// Ends a sync: the state and the generation that counts from now on.
async fn finish(
    work: &mut DbConnection,
    save: &SaveSync,
    before: &SyncState,
    after: &SyncState,
) -> Result<Option<u64>> {
    let (account_id, calendar_id) = (save.account_id, save.calendar_id);
    let rows_changed = if after.generation == before.generation {
        are_rows_changed(work, account_id, calendar_id).await?
    } else {
        let left = are_rows_changed(work, account_id, calendar_id).await?;
        left || differ(work, account_id, calendar_id, before.generation, after.generation).await?
    };
    write_state(work, account_id, calendar_id, after, Rows::Settled).await?;
    delete_other_generations(work, account_id, calendar_id, after.generation).await?;
    if before.synced_at.is_none() {
        begin_polling(work, account_id, calendar_id).await?;
    }
    let known_otherwise = knows_otherwise(work, account_id, calendar_id, before, after).await?;
    raise_if(work, account_id, calendar_id, rows_changed || known_otherwise).await
}

/// Saves a failure. `None`: fenced or gone, and nothing may be committed.
pub(crate) async fn save_failure(work: &mut DbConnection, failure: &SyncFailure) -> Result<Option<u64>> {
    let (account_id, calendar_id) = (failure.account_id, failure.calendar_id);
    if locks::held_epoch(work, account_id).await? != failure.epoch {
        return Ok(None);
    }
    locks::calendar(work, account_id, calendar_id).await?;
    let Some(before) = state(work, account_id, calendar_id).await? else { return Ok(None) };
    let after = before.after_failure(&failure.state);
    write_state(work, account_id, calendar_id, &after, Rows::AsTheyWere).await?;
    let known_otherwise = knows_otherwise(work, account_id, calendar_id, &before, &after).await?;
    raise_if(work, account_id, calendar_id, known_otherwise).await
}

async fn raise_if(
    work: &mut DbConnection,
    account_id: AccountId,
    calendar_id: CalendarId,
    raise: bool,
) -> Result<Option<u64>> {
    if raise {
        return revisions::raise_calendar(work, account_id, calendar_id).await;
    }
    revisions::read(work, account_id, agentcal_engine::commit::RevisionKey::Calendar(calendar_id)).await
}

/// Whether a calendar is known in another way, or for another window. A later `as_of`, or end of
/// a watch, is not another way.
async fn knows_otherwise(
    work: &mut DbConnection,
    account_id: AccountId,
    calendar_id: CalendarId,
    before: &SyncState,
    after: &SyncState,
) -> Result<bool> {
    let select = sqlx::query_as::<_, (String, Option<Uuid>)>(
        "SELECT provider, connection_id FROM calendars WHERE account_id = $1 AND calendar_id = $2",
    );
    let select = select.bind(account_id.as_uuid()).bind(calendar_id.as_uuid());
    let (provider, connection_id) = select.fetch_one(&mut *work).await.map_err(store_error)?;
    let provider: ProviderKind = Named::named(&provider)?;
    let connection: Option<Connection> = match connection_id {
        Some(id) => connection::lookup(work, account_id, ConnectionId::from_uuid(id)).await?,
        None => None,
    };
    let timeless = |state: &SyncState| match state.knowledge(provider, connection.as_ref()) {
        Knowledge::Synced { window, .. } => {
            Knowledge::Synced { as_of: Timestamp::default(), window, watched_until: None }
        }
        other => other,
    };
    Ok(timeless(before) != timeless(after))
}

type InstanceColumns = (i64, i64, Option<Uuid>, bool);

/// Instances of resources, by the resource's name, in their order.
type Resources = BTreeMap<String, Vec<InstanceColumns>>;

/// Puts the instances of a page's resources in place of those they had in the generation; whether that changed anything. A
/// calendar's bookings wait meanwhile, so it takes a few statements, however many resources the page has.
async fn replace_resources(work: &mut DbConnection, save: &SaveSync) -> Result<bool> {
    // Of a resource that is named twice, the last word counts.
    let mut new: Resources = save.changes.iter().map(columns_of).collect();
    let mut names: Vec<String> = new.keys().cloned().collect();
    let old = resources(work, save, &names).await?;
    new.retain(|name, instances| old.get(name).map_or(&[][..], Vec::as_slice) != instances.as_slice());
    names.retain(|name| new.contains_key(name) && old.contains_key(name));
    delete_resources(work, save, &names).await?;
    insert_resources(work, save, &new).await?;
    Ok(!new.is_empty())
}

fn columns_of(change: &ResourceChange) -> (String, Vec<InstanceColumns>) {
    let columns = |instance: &ExternalInstance| {
        let TimeRange { start, end } = instance.range;
        (start.as_micros(), end.as_micros(), instance.booking_id.map(|id| id.as_uuid()), instance.blocks)
    };
    (change.provider_event_id.clone(), change.instances.iter().map(columns).collect())
}

/// What is kept of some resources.
async fn resources(work: &mut DbConnection, save: &SaveSync, names: &[String]) -> Result<Resources> {
    let mut kept = Resources::new();
    for names in names.chunks(NAMES_PER_STATEMENT) {
        let mut select =
            QueryBuilder::new("SELECT provider_event_id, start_at, end_at, booking_id, blocks FROM external_instances");
        push_named(&mut select, save, names);
        select.push(" ORDER BY provider_event_id, n");
        let rows: Vec<(String, i64, i64, Option<Uuid>, bool)> =
            select.build_query_as().persistent(false).fetch_all(&mut *work).await.map_err(store_error)?;
        for (name, start, end, booking_id, blocks) in rows {
            kept.entry(name).or_default().push((start, end, booking_id, blocks));
        }
    }
    Ok(kept)
}

async fn delete_resources(work: &mut DbConnection, save: &SaveSync, names: &[String]) -> Result<()> {
    for names in names.chunks(NAMES_PER_STATEMENT) {
        let mut delete = QueryBuilder::new("DELETE FROM external_instances");
        push_named(&mut delete, save, names);
        delete.build().persistent(false).execute(&mut *work).await.map_err(store_error)?;
    }
    Ok(())
}

async fn insert_resources(work: &mut DbConnection, save: &SaveSync, resources: &Resources) -> Result<()> {
    let rows: Vec<(&str, i64, &InstanceColumns)> = resources
        .iter()
        .flat_map(|(name, instances)| (0i64..).zip(instances).map(|(n, columns)| (name.as_str(), n, columns)))
        .collect();
    for rows in rows.chunks(ROWS_PER_STATEMENT) {
        let mut insert = QueryBuilder::new(
            "INSERT INTO external_instances (account_id, calendar_id, generation, provider_event_id, n, start_at, \
             end_at, booking_id, blocks) ",
        );
        insert.push_values(rows, |mut row, (name, n, (start, end, booking_id, blocks))| {
            row.push_bind(save.account_id.as_uuid()).push_bind(save.calendar_id.as_uuid());
            row.push_bind(to_i64(save.generation)).push_bind(*name).push_bind(n);
            row.push_bind(start).push_bind(end).push_bind(booking_id).push_bind(blocks);
        });
        insert.build().persistent(false).execute(&mut *work).await.map_err(store_error)?;
    }
    Ok(())
}

/// `WHERE` it is one of these resources in the generation that is saved.
fn push_named(statement: &mut QueryBuilder<Db>, save: &SaveSync, names: &[String]) {
    statement.push(" WHERE account_id = ").push_bind(save.account_id.as_uuid());
    statement.push(" AND calendar_id = ").push_bind(save.calendar_id.as_uuid());
    statement.push(" AND generation = ").push_bind(to_i64(save.generation));
    statement.push(" AND provider_event_id IN (");
    let mut list = statement.separated(", ");
    for name in names {
        list.push_bind(name.clone());
    }
    statement.push(")");
}

/// What a written state says of the rows of the generation that counts.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Rows {
    /// They are those of the revision that goes with the state.
    Settled,
    /// As before.
    AsTheyWere,
}

async fn write_state(
    work: &mut DbConnection,
    account_id: AccountId,
    calendar_id: CalendarId,
    state: &SyncState,
    rows: Rows,
) -> Result<()> {
    let update = sqlx::query(
        "UPDATE sync_states SET sync_cursor = $3, window_start = $4, window_end = $5, synced_at = $6, generation = $7, \
         failures = $8, due_at = $9, quiet_syncs = $10, last_error = $11, watched_until = $12, \
         rows_changed = CASE WHEN $13 THEN FALSE ELSE rows_changed END WHERE account_id = $1 AND calendar_id = $2",
    );
    let update = update.bind(account_id.as_uuid()).bind(calendar_id.as_uuid());
    let update = update.bind(state.cursor.as_ref().map(|cursor| &cursor.0));
    let update = update.bind(state.window.map(|window| window.start.as_micros()));
    let update = update.bind(state.window.map(|window| window.end.as_micros()));
    let update = update.bind(state.synced_at.map(Timestamp::as_micros)).bind(to_i64(state.generation));
    let update =
        update.bind(i64::from(state.failures)).bind(state.due_at.as_micros()).bind(i64::from(state.quiet_syncs));
    let update = update.bind(&state.last_error).bind(state.watched_until.map(Timestamp::as_micros));
    let update = update.bind(rows == Rows::Settled);
    update.execute(work).await.map(drop).map_err(store_error)
}

/// What has synced is asked at intervals, until somebody watches it.
async fn begin_polling(work: &mut DbConnection, account_id: AccountId, calendar_id: CalendarId) -> Result<()> {
    let update = sqlx::query(
        "UPDATE calendars SET watch_state = 'polling' \
         WHERE account_id = $1 AND calendar_id = $2 AND watch_state = 'none'",
    );
    let update = update.bind(account_id.as_uuid()).bind(calendar_id.as_uuid());
    update.execute(work).await.map(drop).map_err(store_error)
}

async fn mark_rows_changed(work: &mut DbConnection, account_id: AccountId, calendar_id: CalendarId) -> Result<()> {
    let update = sqlx::query("UPDATE sync_states SET rows_changed = TRUE WHERE account_id = $1 AND calendar_id = $2");
    let update = update.bind(account_id.as_uuid()).bind(calendar_id.as_uuid());
    update.execute(work).await.map(drop).map_err(store_error)
}

async fn are_rows_changed(work: &mut DbConnection, account_id: AccountId, calendar_id: CalendarId) -> Result<bool> {
    let select = sqlx::query_scalar("SELECT rows_changed FROM sync_states WHERE account_id = $1 AND calendar_id = $2");
    let select = select.bind(account_id.as_uuid()).bind(calendar_id.as_uuid());
    select.fetch_one(work).await.map_err(store_error)
}

/// Whether two generations say different things.
async fn differ(
    work: &mut DbConnection,
    account_id: AccountId,
    calendar_id: CalendarId,
    one: u64,
    other: u64,
) -> Result<bool> {
    const ROWS_OF_ONE_ALONE: &str = "SELECT count(*) FROM (SELECT provider_event_id, start_at, end_at, booking_id, blocks FROM external_instances \
         WHERE account_id = $1 AND calendar_id = $2 AND generation = $3 EXCEPT \
         SELECT provider_event_id, start_at, end_at, booking_id, blocks FROM external_instances \
         WHERE account_id = $1 AND calendar_id = $2 AND generation = $4) AS alone";
    for (left, right) in [(one, other), (other, one)] {
        let select = sqlx::query_scalar(ROWS_OF_ONE_ALONE).bind(account_id.as_uuid()).bind(calendar_id.as_uuid());
        let select = select.bind(to_i64(left)).bind(to_i64(right));
        let count: i64 = select.fetch_one(&mut *work).await.map_err(store_error)?;
        if count > 0 {
            return Ok(true);
        }
    }
    Ok(false)
}

async fn delete_generation(
    work: &mut DbConnection,
    account_id: AccountId,
    calendar_id: CalendarId,
    generation: u64,
) -> Result<()> {
    let delete =
        sqlx::query("DELETE FROM external_instances WHERE account_id = $1 AND calendar_id = $2 AND generation = $3");
    let delete = delete.bind(account_id.as_uuid()).bind(calendar_id.as_uuid()).bind(to_i64(generation));
    delete.execute(work).await.map(drop).map_err(store_error)
}

/// Two ranges instead of one inequality, so that the rows that stay are not even looked at.
async fn delete_other_generations(
    work: &mut DbConnection,
    account_id: AccountId,
    calendar_id: CalendarId,
    generation: u64,
) -> Result<()> {
    for delete in [
        "DELETE FROM external_instances WHERE account_id = $1 AND calendar_id = $2 AND generation < $3",
        "DELETE FROM external_instances WHERE account_id = $1 AND calendar_id = $2 AND generation > $3",
    ] {
        let delete = sqlx::query(delete).bind(account_id.as_uuid()).bind(calendar_id.as_uuid());
        delete.bind(to_i64(generation)).execute(&mut *work).await.map_err(store_error)?;
    }
    Ok(())
}
