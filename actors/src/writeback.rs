//! One turn of writing to the provider: what is due of one calendar's outbox.

use std::sync::Arc;

use agentcal_engine::calendar::writeback::{
    Tried, WRITEBACK_TURN_MAX, WRITEBACKS_PER_TURN_MAX, Writing, result_of, wants_conference, with_conference,
    writing_of,
};
use agentcal_engine::model::WritebackState;
use agentcal_engine::ports::{ConferenceSeen, Provider, ProviderError, StoreError, WritebackJob, WrittenEvent};
use agentcal_engine::shard::Shard;

use crate::calendar::Msg;
use crate::context::Context;
use crate::metrics;
use crate::outbound::Operation;
use crate::work::{Access, read_facts};

pub(crate) async fn turn(context: Arc<Context>, access: Arc<Access>) -> Msg {
    match write_due(&context, &access).await {
        Ok(Turn { more, changed_facts: false }) => Msg::Wrote { more, source: None },
        Ok(Turn { more, .. }) => Msg::Wrote { more, source: read_facts(&context, &access).await },
        Err(error) => {
            // The sweep brings the calendar back as long as something is due.
            tracing::warn!(calendar_id = %access.calendar_id, %error, "the outbox does not serve");
            Msg::Wrote { more: false, source: read_facts(&context, &access).await }
        }
    }
}

/// What a turn came to.
struct Turn {
    /// More is due.
    more: bool,
    /// Its results changed what the calendar's facts tell.
    changed_facts: bool,
}

/// Writes what is due.
async fn write_due(context: &Context, access: &Access) -> Result<Turn, StoreError> {
    let store = &context.parts.store;
    let limit = WRITEBACKS_PER_TURN_MAX + 1;
    let in_turn = || context.writebacks_in_store.acquire();
    // An error means that the semaphore was closed, which nobody does.
    let turn = in_turn().await;
    let mut jobs = store.pending_writebacks(access.account_id, access.calendar_id, limit).await?;
    drop(turn);
    let now = context.store_now();
    jobs.retain(|job| job.is_due(now));
    let mut more = jobs.len() >= limit as usize;
    jobs.truncate(WRITEBACKS_PER_TURN_MAX as usize);
    let mut changed_facts = false;
    let begun = context.store_now();
    for (index, job) in jobs.iter().enumerate() {
        if index > 0 && context.store_now().saturating_since(begun) >= WRITEBACK_TURN_MAX {
            more = true;
            break;
        }
        // What was read may be over: whoever owns the calendar by now writes what there is to write.
        if context.ownership.epoch_of(Shard::of(access.account_id)) != Some(access.epoch) {
            more = false;
            break;
        }
        let tried = attempt(context, access, job).await;
        let mut result = result_of(job, tried, context.store_now(), &*context.parts.entropy);
        if let Some((written, _)) = result.written.clone().filter(|_| result.state == WritebackState::Written)
            && wants_conference(job, &written)
        {
            let seen = conference(context, access, written).await;
            result = with_conference(result, seen, context.store_now(), &*context.parts.entropy);
        }
        count(result.state, result.written.is_some());
        if result.state == WritebackState::Failed {
            tracing::error!(booking_id = %job.booking.id, attempts = result.attempts, "a booking was given up writing");
        }
        let _turn = in_turn().await;
        changed_facts |= store.record_writeback(&result, access.epoch).await?.is_some();
    }
    Ok(Turn { more, changed_facts })
}

async fn attempt(context: &Context, access: &Access, job: &WritebackJob) -> Tried {
    match writing_of(job, access.timezone) {
        Writing::Write(write) => {
            let ask =
                |provider: Arc<dyn Provider>, calendar| async move { provider.write_event(&calendar, &write).await };
            Tried::Wrote(access.ask(context, Operation::WriteEvent, ask).await)
        }
        Writing::Delete(delete) => {
            let ask =
                |provider: Arc<dyn Provider>, calendar| async move { provider.delete_event(&calendar, &delete).await };
            Tried::Deleted(access.ask(context, Operation::DeleteEvent, ask).await)
        }
    }
}

/// How the conference of an event stands that was just written.
async fn conference(
    context: &Context,
    access: &Access,
    written: WrittenEvent,
) -> Result<ConferenceSeen, ProviderError> {
    let ask = |provider: Arc<dyn Provider>, calendar| async move { provider.conference(&calendar, &written).await };
    let seen = access.ask(context, Operation::Conference, ask).await;
    if let Ok(ConferenceSeen::Failed(reason)) = &seen {
        tracing::warn!(calendar_id = %access.calendar_id, %reason, "a conference was not made");
    }
    seen
}

fn count(state: WritebackState, is_shown: bool) {
    let outcome = match (state, is_shown) {
        (WritebackState::Written, true) => "written",
        (WritebackState::Written, false) => "deleted",
        (WritebackState::Pending, _) => "retry",
        (WritebackState::Failed, _) => "failed",
    };
    ::metrics::counter!(metrics::WRITEBACK_ATTEMPTS, "outcome" => outcome).increment(1);
}
