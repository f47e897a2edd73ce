//! Comes by every second or so: wakes calendars whose sync or writebacks are due, lets idle ones sleep, and clears out what is
//! kept for a time only.
//!
//! Timers are rows, not sleeping actors. After downtime everything is due at once; a sweep takes a bounded batch, the most
//! overdue first, and no more than the syncs that may run at once.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use agentcal_engine::ids::CalendarId;
use agentcal_engine::ports::{DueCalendar, StoreError};
use tokio::time::{Instant, MissedTickBehavior, interval};

use crate::calendar::Msg;
use crate::context::Context;
use crate::directory::Cause;
use crate::slot::Slot;

/// Most rows of each kind deleted at once.
const CLEANED_MAX: u32 = 1_000;
/// Time between two measurements of the store's clock.
const MEASURE_INTERVAL: Duration = Duration::from_secs(10);
/// An answer that took longer says little of the clock.
const SLOW_ANSWER: Duration = Duration::from_millis(250);

#[derive(Default)]
struct Memory {
    cleaned_at: Option<Instant>,
    measured_at: Option<Instant>,
}

/// Sweeps until the scheduler stops.
pub(crate) async fn run(context: Arc<Context>) {
    let mut ticks = interval(context.parts.settings.sweep_interval);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let mut memory = Memory::default();
    loop {
        tokio::select! {
            biased;
            () = context.stopping.cancelled() => return,
            _ = ticks.tick() => {}
        }
        // A sweep that panics must not be the last: it runs as a task of its own.
        let (task, given) = (Arc::clone(&context), std::mem::take(&mut memory));
        match tokio::spawn(async move { sweep(&task, given).await }).await {
            Ok(kept) => memory = kept,
            Err(error) => tracing::error!(%error, "a sweep failed inside"),
        }
    }
}

async fn sweep(context: &Arc<Context>, mut memory: Memory) -> Memory {
    let parts: [(&str, Result<(), StoreError>); 4] = [
        ("clock", measure(context, &mut memory).await),
        ("syncs", ring_due_syncs(context).await),
        ("writebacks", ring_due_writebacks(context).await),
        ("answers", clean_up(context, &mut memory).await),
    ];
    for (part, result) in parts {
        if let Err(error) = result {
            tracing::warn!(part, %error, "a part of the sweep failed; it comes round again");
        }
    }
    let_sleep(context);
    memory
}

async fn measure(context: &Context, memory: &mut Memory) -> Result<(), StoreError> {
    if is_over(memory.measured_at, MEASURE_INTERVAL) {
        let took = context.measure_offset().await?;
        // Else the next sweep looks again.
        memory.measured_at = (took < SLOW_ANSWER).then(Instant::now);
    }
    Ok(())
}

async fn ring_due_syncs(context: &Arc<Context>) -> Result<(), StoreError> {
    let settings = &context.parts.settings;
    let running = context.syncs_in_flight.load(Ordering::Relaxed);
    let room = settings.syncs_at_once_max.saturating_sub(running).min(settings.sweep_batch_max);
    if room == 0 || context.is_closing() {
        return Ok(());
    }
    // Those being synced right now are still due by their rows, and must not fill the batch.
    let due =
        context.parts.store.due_calendars(context.ownership.only_own(), context.store_now(), room + running).await?;
    let idle = due.into_iter().filter(|due| !is_syncing(context, due.calendar_id));
    for DueCalendar { account_id, calendar_id } in idle.take(room as usize) {
        if let Some(slot) = context.wake(account_id, calendar_id, Cause::Sweep) {
            slot.send_due(false);
        }
    }
    Ok(())
}

async fn ring_due_writebacks(context: &Arc<Context>) -> Result<(), StoreError> {
    if context.is_closing() {
        return Ok(());
    }
    let limit = context.parts.settings.sweep_batch_max;
    let due = context
        .parts
        .store
        .calendars_with_due_writebacks(context.ownership.only_own(), context.store_now(), limit)
        .await?;
    for DueCalendar { account_id, calendar_id } in due {
        if let Some(slot) = context.wake(account_id, calendar_id, Cause::Sweep) {
            slot.send_due(true);
        }
    }
    Ok(())
}

async fn clean_up(context: &Context, memory: &mut Memory) -> Result<(), StoreError> {
    if is_over(memory.cleaned_at, context.parts.settings.clean_up_interval) {
        let store = &context.parts.store;
        let forgotten = store.forget_old_answers(CLEANED_MAX).await?;
        let tidied = store.tidy_holds(CLEANED_MAX).await?;
        let decisions = store.forget_old_decisions(CLEANED_MAX).await?;
        let events = match &context.parts.webhooks {
            Some(webhooks) => webhooks.store.forget_old_events(CLEANED_MAX).await?,
            None => 0,
        };
        let jobs = match &context.parts.jobs {
            Some(jobs) => jobs.store.forget_old_jobs(CLEANED_MAX).await?,
            None => 0,
        };
        // A full batch means more of them: the next sweep goes on.
        let most = forgotten.max(tidied).max(decisions).max(events).max(jobs);
        memory.cleaned_at = (most < u64::from(CLEANED_MAX)).then(Instant::now);
    }
    Ok(())
}

/// Calendars nobody asks about go to sleep; with too many awake, also those least recently asked about.
fn let_sleep(context: &Context) {
    let settings = &context.parts.settings;
    let now = context.store_now();
    let mut awake = context.directory.awake();
    let excess = awake.len().saturating_sub(settings.awake_calendars_max);
    if excess > 0 {
        awake.sort_by_key(|slot| slot.asked_at());
    }
    let is_idle = |slot: &Slot| now.saturating_since(slot.asked_at()) >= settings.idle_after;
    for (_, slot) in awake.iter().enumerate().filter(|(index, slot)| *index < excess || is_idle(slot)) {
        slot.send(Msg::Sleep);
    }
}

fn is_syncing(context: &Context, calendar_id: CalendarId) -> bool {
    context.directory.peek(calendar_id).is_some_and(|slot| slot.is_syncing())
}

fn is_over(last: Option<Instant>, interval: Duration) -> bool {
    last.is_none_or(|last| last.elapsed() >= interval)
}
