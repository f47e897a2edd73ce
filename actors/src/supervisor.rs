//! Restarts calendars' actors, with longer waits the more often one dies, and shows those that keep dying.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use agentcal_engine::calendar::FAILURES_UNTIL_ERROR;
use agentcal_engine::facts::{CalendarFacts, Knowledge, UnknownReason};
use agentcal_engine::model::ConnectionStatus;
use agentcal_engine::ports::StoreError;
use agentcal_engine::time::Timestamp;
use ractor::{Actor, ActorProcessingErr, ActorRef, SupervisionEvent};

use crate::calendar;
use crate::context::Context;
use crate::directory::Cause;
use crate::metrics;
use crate::slot::Slot;

/// An actor that lived this long begins anew with its crashes.
const CRASHES_FORGIVEN_AFTER: Duration = Duration::from_secs(300);
const REASON: &str = "an internal failure keeps stopping this calendar; it is tried again";

pub(crate) enum Msg {
    /// An actor did not start.
    StartFailed(Arc<Slot>, String),
    /// Time to try again.
    Restart(Arc<Slot>),
}

pub(crate) struct Supervisor;

pub(crate) struct State {
    context: Arc<Context>,
}

impl Actor for Supervisor {
    type Msg = Msg;
    type State = State;
    type Arguments = Arc<Context>;

    async fn pre_start(&self, _: ActorRef<Msg>, context: Arc<Context>) -> Result<State, ActorProcessingErr> {
        Ok(State { context })
    }

    async fn handle(&self, myself: ActorRef<Msg>, message: Msg, state: &mut State) -> Result<(), ActorProcessingErr> {
        match message {
            Msg::StartFailed(slot, reason) => state.handle_crash(&myself, &slot, &reason),
            Msg::Restart(slot) => state.handle_restart(&slot),
        }
        Ok(())
    }

    async fn handle_supervisor_evt(
        &self,
        myself: ActorRef<Msg>,
        event: SupervisionEvent,
        state: &mut State,
    ) -> Result<(), ActorProcessingErr> {
        let (cell, reason) = match event {
            SupervisionEvent::ActorFailed(cell, error) => (cell, error.to_string()),
            SupervisionEvent::ActorTerminated(cell, _, reason) => (cell, reason.unwrap_or_default()),
            _ => return Ok(()),
        };
        if let Some(slot) = state.context.directory.unregister(cell.get_id()) {
            state.handle_crash(&myself, &slot, &reason);
        }
        Ok(())
    }
}

impl State {
    fn handle_crash(&self, myself: &ActorRef<Msg>, slot: &Arc<Slot>, reason: &str) {
        if slot.is_gone() || self.context.stopping.is_cancelled() {
            return;
        }
        slot.shut();
        slot.ring();
        slot.withdraw();
        if slot.set_syncing(false) {
            self.context.syncs_in_flight.fetch_sub(1, Ordering::Relaxed);
        }
        slot.note(|changes| changes.syncs_failed += 1);
        let crashes = self.count_crash(slot);
        tracing::error!(calendar_id = %slot.calendar_id, crashes, reason, "a calendar's actor died; it will be restarted");
        if crashes >= FAILURES_UNTIL_ERROR {
            show_failing(&self.context, slot);
        }
        let settings = &self.context.parts.settings;
        let doubled = settings.restart_backoff_first.saturating_mul(1 << (crashes - 1).min(20));
        let slot = Arc::clone(slot);
        myself.send_after(doubled.min(settings.restart_backoff_max), move || Msg::Restart(slot));
    }

    fn count_crash(&self, slot: &Slot) -> u32 {
        let now = self.context.store_now();
        let started_at = Timestamp::from_micros(slot.started_at.load(Ordering::Relaxed));
        if now.saturating_since(started_at) >= CRASHES_FORGIVEN_AFTER {
            slot.crashes.store(0, Ordering::Relaxed);
        }
        slot.crashes.fetch_add(1, Ordering::Relaxed) + 1
    }

    fn handle_restart(&self, slot: &Arc<Slot>) {
        if slot.is_gone() || self.context.stopping.is_cancelled() {
            return;
        }
        ::metrics::counter!(metrics::ACTOR_RESTARTS).increment(1);
        calendar::start(&self.context, slot, Cause::Restart);
    }
}

/// Nobody shall wait in vain for a calendar that keeps dying: its facts are unknown, and its connection says why.
fn show_failing(context: &Arc<Context>, slot: &Arc<Slot>) {
    slot.publish(Arc::new(unknown(slot, UnknownReason::ProviderError)), slot.withdrawals());
    let (context, slot) = (Arc::clone(context), Arc::clone(slot));
    let tasks = context.tasks.clone();
    tasks.spawn(async move {
        if let Err(error) = mark_connection(&context, &slot).await {
            tracing::warn!(calendar_id = %slot.calendar_id, %error, "a failing calendar could not be shown as such");
        }
    });
}

async fn mark_connection(context: &Context, slot: &Slot) -> Result<(), StoreError> {
    let store = &context.parts.store;
    let record = store.load_calendar(slot.account_id, slot.calendar_id).await?;
    let Some(connection) = record.and_then(|record| record.connection) else { return Ok(()) };
    store.set_connection_status(slot.account_id, connection.id, slot.epoch, ConnectionStatus::Error, Some(REASON)).await
}

/// Facts of a calendar of which nothing is known.
pub(crate) fn unknown(slot: &Slot, reason: UnknownReason) -> CalendarFacts {
    CalendarFacts {
        calendar_id: slot.calendar_id,
        account_id: slot.account_id,
        epoch: slot.epoch,
        revision: 0,
        knowledge: Knowledge::Unknown(reason),
        external: Vec::new(),
        displaced: Vec::new(),
        claims: Vec::new(),
    }
}
