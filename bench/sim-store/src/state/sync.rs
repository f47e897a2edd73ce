//! Facts of calendars, and saving what a sync found. Deltas merge (law 7): a page replaces the resources it names and no
//! others. A full sync collects the next generation in the shadow of the one that counts and takes its place with the
//! last page, together with the cursor.

use std::collections::BTreeSet;

use agentcal_engine::commit::RevisionKey;
use agentcal_engine::facts::{ExternalInstance, FactSource, Knowledge, PendingEcho};
use agentcal_engine::ids::CalendarId;
use agentcal_engine::model::{Connection, Tenant, Watch, WatchState, WritebackState};
use agentcal_engine::ports::{CalendarRecord, FACTS_PAST, ResourceChange, SaveSync, SaveWatch, SyncFailure, SyncState};
use agentcal_engine::shard::Epoch;
use agentcal_engine::time::Timestamp;

use super::{AccountRows, CalendarRow, Done, Generation, SyncRow, Work, claims, note_sync};
use crate::settings::Planted;

/// Of so many syncs one is unlucky, under [`Planted::CursorWithoutFacts`].
const UNLUCKY_OF: i64 = 5;

/// Everything about a calendar; `None` when it is gone.
pub(crate) fn calendar_record(
    rows: &AccountRows,
    calendar_id: CalendarId,
    epoch: Epoch,
    now: Timestamp,
) -> Option<CalendarRecord> {
    let row = rows.calendars.get(&calendar_id)?;
    let account = &rows.account;
    let lives_there = rows.users.values().filter(|(user, _)| user.calendar_id == Some(calendar_id));
    let mut user_emails: Vec<String> = lives_there.map(|(user, _)| user.email.clone()).collect();
    user_emails.sort();
    Some(CalendarRecord {
        calendar: row.present(),
        tenant: Tenant { organization_id: account.organization_id, mode: account.mode, account_id: account.id },
        connection: connection_of(rows, row).cloned(),
        sync: row.sync.as_ref().map(|sync| sync.state.clone()).unwrap_or_default(),
        watch: row.watch.clone(),
        facts: fact_source(rows, row, epoch, now),
        user_emails,
    })
}

/// The facts of a calendar; `None` when it is gone.
pub(crate) fn facts(rows: &AccountRows, calendar_id: CalendarId, epoch: Epoch, now: Timestamp) -> Option<FactSource> {
    rows.calendars.get(&calendar_id).map(|row| fact_source(rows, row, epoch, now))
}

fn fact_source(rows: &AccountRows, row: &CalendarRow, epoch: Epoch, now: Timestamp) -> FactSource {
    let calendar_id = row.calendar.id;
    let ended_after = now - FACTS_PAST;
    let instances = row.sync.as_ref().map(|sync| instances_after(sync, ended_after)).unwrap_or_default();
    FactSource {
        calendar_id,
        account_id: row.calendar.account_id,
        epoch,
        revision: rows.revision(RevisionKey::Calendar(calendar_id)).unwrap_or_default(),
        knowledge: knowledge(rows, row, row.sync.as_ref().map(|sync| &sync.state)),
        instances,
        claims: claims::of_home(rows, calendar_id, ended_after),
        echoes: echoes(rows, calendar_id),
    }
}

fn connection_of<'r>(rows: &'r AccountRows, row: &CalendarRow) -> Option<&'r Connection> {
    rows.connections.get(&row.calendar.connection_id?).map(|(connection, _)| connection)
}

fn knowledge(rows: &AccountRows, row: &CalendarRow, state: Option<&SyncState>) -> Knowledge {
    let state = state.cloned().unwrap_or_default();
    state.knowledge(row.calendar.provider, connection_of(rows, row))
}

impl SyncRow {
    /// The instances that count.
    fn instances(&self) -> impl Iterator<Item = &ExternalInstance> {
        let generation = self.generations.get(&self.state.generation);
        generation.into_iter().flat_map(Generation::values).flatten()
    }
}

fn instances_after(sync: &SyncRow, ended_after: Timestamp) -> Vec<ExternalInstance> {
    sync.instances().filter(|instance| instance.range.end > ended_after).cloned().collect()
}

/// Instances of events of ours in a calendar, by booking.
pub(crate) fn own_instances(rows: &AccountRows, calendar_id: CalendarId) -> Vec<ExternalInstance> {
    let Some(sync) = rows.calendars.get(&calendar_id).and_then(|row| row.sync.as_ref()) else { return Vec::new() };
    let ours = sync.instances().filter(|instance| instance.booking_id.is_some());
    let mut ours: Vec<ExternalInstance> = ours.cloned().collect();
    ours.sort_by_key(|instance| instance.booking_id);
    ours
}

/// Where bookings with a waiting change were last written.
fn echoes(rows: &AccountRows, calendar_id: CalendarId) -> Vec<PendingEcho> {
    let pending = rows
        .writebacks
        .iter()
        .filter(|((_, calendar), row)| *calendar == calendar_id && row.state == WritebackState::Pending);
    let mut echoes: Vec<(Timestamp, PendingEcho)> = pending
        .filter_map(|(&(booking_id, _), row)| {
            let (_, range) = row.written.as_ref()?;
            Some((row.due_at, PendingEcho { booking_id, range: *range }))
        })
        .collect();
    echoes.sort();
    echoes.into_iter().map(|(_, echo)| echo).collect()
}

/// Saves one page. `None`: fenced or gone, and nothing is kept.
pub(crate) fn save(work: &mut Work<'_>, save: &SaveSync) -> Done<Option<u64>> {
    let is_over = work.state().globals.epoch_of(save.account_id) != save.epoch;
    if is_over && !work.is_planted(Planted::NoFence) {
        return Done::Undo(None);
    }
    let loses = work.is_planted(Planted::CursorWithoutFacts) && is_unlucky(save);
    let Some(rows) = work.account_mut(save.account_id) else { return Done::Undo(None) };
    let changes = if loses { &[] } else { save.changes.as_slice() };
    let revision = save_page(rows, save, changes);
    note_sync(work, save.account_id, save.epoch);
    Done::keep_if(revision.is_some(), revision)
}

/// Whether a sync's facts are lost, and its cursor is not: of some syncs that end with their first page.
fn is_unlucky(save: &SaveSync) -> bool {
    let synced_at = save.finish.as_ref().and_then(|after| after.synced_at);
    synced_at.is_some_and(|at| at.as_micros() / 1_000 % UNLUCKY_OF == 0)
}

fn save_page(rows: &mut AccountRows, save: &SaveSync, changes: &[ResourceChange]) -> Option<u64> {
    let key = RevisionKey::Calendar(save.calendar_id);
    let sync = rows.calendars.get_mut(&save.calendar_id)?.sync.as_mut()?;
    let counts = save.generation == sync.state.generation;
    if save.begins_shadow && !counts {
        sync.generations.remove(&save.generation);
    }
    let generation = sync.generations.entry(save.generation).or_default();
    let mut changed = false;
    for change in changes {
        changed |= replace_resource(generation, change);
    }
    sync.rows_changed |= changed && counts;
    match &save.finish {
        Some(after) => finish(rows, save, after),
        None => rows.revision(key),
    }
}

/// Puts a resource's instances in place of those it had in the generation; whether that changed anything.
fn replace_resource(generation: &mut Generation, change: &ResourceChange) -> bool {
    let name = &change.provider_event_id;
    let old = generation.get(name).map(Vec::as_slice).unwrap_or_default();
    if old == change.instances {
        return false;
    }
    if change.instances.is_empty() {
        generation.remove(name);
    } else {
        generation.insert(name.clone(), change.instances.clone());
    }
    true
}

/// Ends a sync: the state and the generation that counts from now on.
fn finish(rows: &mut AccountRows, save: &SaveSync, after: &SyncState) -> Option<u64> {
    let before = knowledge_now(rows, save.calendar_id)?;
    let row = rows.calendars.get_mut(&save.calendar_id)?;
    let sync = row.sync.as_mut()?;
    let moves_on = after.generation != sync.state.generation;
    let rows_changed =
        sync.rows_changed || (moves_on && said(sync, sync.state.generation) != said(sync, after.generation));
    sync.generations.retain(|number, _| *number == after.generation);
    sync.state = after.clone();
    sync.rows_changed = false;
    if row.calendar.watch.state == WatchState::None {
        row.calendar.watch = Watch::POLLING;
        row.watch.watch = Watch::POLLING;
    }
    raise_if(rows, save.calendar_id, |rows| rows_changed || knowledge_now(rows, save.calendar_id) != Some(before))
}

/// Keeps what became of a watch; false, and nothing is kept, where that is fenced or the calendar gone.
pub(crate) fn save_watch(work: &mut Work<'_>, save: &SaveWatch) -> Done<bool> {
    if work.state().globals.epoch_of(save.account_id) != save.epoch {
        return Done::Undo(false);
    }
    let rows = work.account_mut(save.account_id);
    let Some(row) = rows.and_then(|rows| rows.calendars.get_mut(&save.calendar_id)) else { return Done::Undo(false) };
    row.calendar.watch = save.record.watch;
    row.watch = save.record.clone();
    Done::Keep(true)
}

/// Saves a failure. `None`: fenced or gone.
pub(crate) fn save_failure(work: &mut Work<'_>, failure: &SyncFailure) -> Done<Option<u64>> {
    if work.state().globals.epoch_of(failure.account_id) != failure.epoch {
        return Done::Undo(None);
    }
    let Some(rows) = work.account_mut(failure.account_id) else { return Done::Undo(None) };
    let revision = fail(rows, failure);
    Done::keep_if(revision.is_some(), revision)
}

fn fail(rows: &mut AccountRows, failure: &SyncFailure) -> Option<u64> {
    let before = knowledge_now(rows, failure.calendar_id)?;
    let sync = rows.calendars.get_mut(&failure.calendar_id)?.sync.as_mut()?;
    sync.state = sync.state.after_failure(&failure.state);
    raise_if(rows, failure.calendar_id, |rows| knowledge_now(rows, failure.calendar_id) != Some(before))
}

fn raise_if(
    rows: &mut AccountRows,
    calendar_id: CalendarId,
    is_raised: impl FnOnce(&AccountRows) -> bool,
) -> Option<u64> {
    if is_raised(rows) { rows.raise_calendar(calendar_id) } else { rows.revision(RevisionKey::Calendar(calendar_id)) }
}

/// In which way and for which window a calendar is known. A later `as_of`, or end of a watch, is not another way.
fn knowledge_now(rows: &AccountRows, calendar_id: CalendarId) -> Option<Knowledge> {
    let row = rows.calendars.get(&calendar_id)?;
    Some(match knowledge(rows, row, Some(&row.sync.as_ref()?.state)) {
        Knowledge::Synced { window, .. } => {
            Knowledge::Synced { as_of: Timestamp::default(), window, watched_until: None }
        }
        other => other,
    })
}

/// What a generation says, whatever the order of a resource's instances.
fn said(sync: &SyncRow, generation: u64) -> BTreeSet<(&String, &ExternalInstance)> {
    let resources = sync.generations.get(&generation).into_iter().flat_map(Generation::iter);
    resources.flat_map(|(name, instances)| instances.iter().map(move |instance| (name, instance))).collect()
}
