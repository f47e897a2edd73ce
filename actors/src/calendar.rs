//! The actor of one calendar: carries messages and IO results into its machine.

mod effects;

use std::sync::Arc;
use std::sync::atomic::Ordering;

use agentcal_engine::calendar::keeper::{Applied, FactsKeeper};
use agentcal_engine::calendar::machine::{CalendarMachine, MachinePicture};
use agentcal_engine::calendar::request::{CommitAnswer, UnavailableReason};
use agentcal_engine::calendar::spot_check::SpotCheck;
use agentcal_engine::calendar::sync::{Saved, SyncMachine};
use agentcal_engine::calendar::watch::{Ring, WatchMachine};
use agentcal_engine::facts::{FactSource, Knowledge};
use agentcal_engine::model::{ConnectionStatus, ProviderKind};
use agentcal_engine::ports::{CalendarRecord, ProviderError, StoreError, SyncPage, Watched};
use agentcal_engine::shard::Shard;
use agentcal_engine::time::TimeRange;
use ractor::{Actor, ActorProcessingErr, ActorRef, ActorRuntime};
use tokio::sync::{OwnedSemaphorePermit, oneshot};

use crate::context::Context;
use crate::directory::Cause;
use crate::jobs::{Change, CommitJob};
use crate::loads::{Loads, tell};
use crate::slot::Slot;
use crate::work::{self, Access};
use crate::{supervisor, together};

/// A picture of a calendar's actor, for tests and for people.
#[derive(Clone, Debug, serde::Serialize)]
pub struct CalendarPicture {
    /// The calendar.
    pub calendar_id: String,
    /// The revision of its published facts.
    pub revision: u64,
    /// Its machine.
    pub machine: MachinePicture,
}

pub(crate) enum Msg {
    Commit(Box<CommitJob>, OwnedSemaphorePermit),
    CommitsEnded,
    /// Whoever waited for a commit has heard of it.
    Told,
    Bell,
    /// The provider says something of the watch.
    Ring(Ring),
    Watched(Result<Watched, ProviderError>),
    WatchSaved(Saved),
    WatchEnded(Result<(), ProviderError>),
    /// A commit lacks fresh facts of this range.
    SpotCheck {
        range: TimeRange,
        reply: oneshot::Sender<SpotCheck>,
    },
    SpotChecked(Result<(), ProviderError>),
    Due {
        write_wanted: bool,
    },
    Changed(Change),
    Reload {
        done: Option<oneshot::Sender<()>>,
    },
    /// What a load brought that began after so many withdrawals of facts.
    Loaded(Result<Option<Box<CalendarRecord>>, StoreError>, u64),
    Page(Box<Result<SyncPage, ProviderError>>),
    Saved {
        saved: Saved,
        revision: u64,
        knowledge: Option<Knowledge>,
        source: Option<Box<FactSource>>,
    },
    FailureSaved {
        saved: Saved,
        source: Option<Box<FactSource>>,
    },
    Compared {
        complete: bool,
    },
    Wrote {
        more: bool,
        source: Option<Box<FactSource>>,
    },
    Sleep,
    Leave,
    Stop,
    Close(oneshot::Sender<()>),
    Picture(oneshot::Sender<CalendarPicture>),
}

/// Starts a calendar's actor.
pub(crate) fn start(context: &Arc<Context>, slot: &Arc<Slot>, cause: Cause) {
    let Some(supervisor) = context.supervisor.get() else { return };
    slot.started_at.store(context.store_now().as_micros(), Ordering::Relaxed);
    let (registered, gate) = oneshot::channel();
    let arguments = Arguments { context: Arc::clone(context), slot: Arc::clone(slot), cause, gate };
    let spawned = ActorRuntime::spawn_linked_instant(None, CalendarActor, arguments, supervisor.get_cell());
    let (actor, started) = match spawned {
        Ok(spawned) => spawned,
        Err(error) => {
            let _ = supervisor.send_message(supervisor::Msg::StartFailed(Arc::clone(slot), error.to_string()));
            return;
        }
    };
    context.directory.register(actor.get_id(), Arc::clone(slot));
    slot.open(actor.clone());
    let _ = registered.send(());
    let (context, slot, supervisor) = (Arc::clone(context), Arc::clone(slot), supervisor.clone());
    let tasks = context.tasks.clone();
    tasks.spawn(async move {
        // Until its start has ended, an actor is not yet its supervisor's child.
        let reason = match started.await {
            Ok(Ok(_)) => return,
            Ok(Err(error)) => error.to_string(),
            Err(error) => error.to_string(),
        };
        context.directory.unregister(actor.get_id());
        let _ = supervisor.send_message(supervisor::Msg::StartFailed(slot, reason));
    });
}

pub(crate) struct CalendarActor;

pub(crate) struct Arguments {
    context: Arc<Context>,
    slot: Arc<Slot>,
    cause: Cause,
    gate: oneshot::Receiver<()>,
}

pub(crate) struct State {
    context: Arc<Context>,
    slot: Arc<Slot>,
    access: Arc<Access>,
    machine: CalendarMachine<Box<CommitJob>>,
    keeper: FactsKeeper,
    /// How often facts had been taken back when the load began that those in the keeper rest on.
    withdrawals: u64,
    loads: Loads,
    /// Commits that are made, or being made, of which not everybody has heard.
    telling: u32,
    /// How the connection was when last looked at.
    status: Option<ConnectionStatus>,
    /// Whether a success may still mend a failing connection.
    may_mend: bool,
    mark: Option<(ConnectionStatus, String)>,
    closing: Vec<oneshot::Sender<()>>,
}

#[derive(Debug, thiserror::Error)]
#[error("the calendar is gone")]
struct CalendarGone;

impl Actor for CalendarActor {
    type Msg = Msg;
    type State = State;
    type Arguments = Arguments;

    async fn pre_start(&self, _: ActorRef<Msg>, arguments: Arguments) -> Result<State, ActorProcessingErr> {
        let Arguments { context, slot, cause, gate } = arguments;
        // An error means the starter is gone; then nobody waits for the registration either.
        let _ = gate.await;
        let withdrawals = slot.withdrawals();
        let record = context.parts.store.load_calendar(slot.account_id, slot.calendar_id).await?;
        let Some(record) = record else {
            work::forget(&context, &slot);
            return Err(Box::new(CalendarGone));
        };
        // It works, and its connection is said not to: whoever was to say so came no further.
        let is_unsaid =
            record.sync.is_well() && work::status_of(&record).is_some_and(|s| s != ConnectionStatus::Active);
        let mut state = State::new(context, slot, record, withdrawals);
        state.publish();
        // Whatever rang while nobody listened is answered by this bell.
        if cause == Cause::Restart || is_unsaid {
            let now = state.context.store_now();
            state.machine.handle_bell(now);
        }
        Ok(state)
    }

    async fn post_start(&self, myself: ActorRef<Msg>, state: &mut State) -> Result<(), ActorProcessingErr> {
        state.drive(&myself);
        Ok(())
    }

    async fn handle(&self, myself: ActorRef<Msg>, message: Msg, state: &mut State) -> Result<(), ActorProcessingErr> {
        state.handle(&myself, message);
        state.drive(&myself);
        Ok(())
    }
}

impl State {
    fn new(context: Arc<Context>, slot: Arc<Slot>, record: CalendarRecord, withdrawals: u64) -> Self {
        let provider = record.calendar.provider;
        let status = work::status_of(&record);
        let pace = context.pace(provider).filter(|_| provider != ProviderKind::Internal);
        let (account_id, calendar_id) = (slot.account_id, slot.calendar_id);
        let sync = pace.map(|pace| SyncMachine::new(account_id, calendar_id, slot.epoch, pace, record.sync.clone()));
        let url = context.parts.doorbells.as_ref().and_then(|doorbells| doorbells.url(provider));
        let watch = WatchMachine::new(url, record.watch.clone());
        let queue_len_max = context.parts.settings.commits_queued_max;
        let machine = CalendarMachine::new(sync, watch, queue_len_max, context.store_now());
        let keeper = FactsKeeper::new(FactSource { epoch: slot.epoch, ..record.facts.clone() });
        let access = Arc::new(Access::new(&context, &record, slot.epoch));
        Self {
            context,
            slot,
            access,
            machine,
            keeper,
            withdrawals,
            loads: Loads::default(),
            telling: 0,
            status,
            may_mend: true,
            mark: None,
            closing: Vec::new(),
        }
    }

    fn handle(&mut self, myself: &ActorRef<Msg>, message: Msg) {
        let now = self.context.store_now();
        match message {
            Msg::Commit(job, permit) => self.handle_commit(job, permit),
            Msg::CommitsEnded => self.machine.handle_commits_ended(now),
            Msg::Told => self.telling = self.telling.saturating_sub(1),
            Msg::Bell => self.handle_bell(),
            Msg::Ring(ring) => self.machine.handle_ring(ring, now),
            Msg::Watched(answer) => self.machine.handle_watched(answer, now, &*self.context.parts.entropy),
            Msg::WatchSaved(saved) => self.machine.handle_watch_saved(saved, now),
            Msg::WatchEnded(answer) => self.machine.handle_watch_ended(answer, now),
            Msg::SpotCheck { range, reply } => self.begin_spot_check(myself, range, reply),
            Msg::SpotChecked(answer) => self.machine.handle_spot_checked(answer, now, &*self.context.parts.entropy),
            Msg::Due { write_wanted } => self.handle_due(write_wanted),
            Msg::Changed(change) => self.handle_changed(change),
            Msg::Reload { done } => self.loads.want(done),
            Msg::Loaded(loaded, withdrawals) => self.handle_loaded(myself, loaded, withdrawals),
            Msg::Page(answer) => self.machine.handle_page(*answer, now, &*self.context.parts.entropy),
            Msg::Saved { saved, revision, knowledge, source } => {
                self.take_source(source);
                if let Some(knowledge) = knowledge {
                    self.keeper.handle_renewed(revision, knowledge);
                    self.publish();
                }
                self.machine.handle_saved(saved, now);
            }
            Msg::FailureSaved { saved, source } => {
                self.take_source(source);
                self.machine.handle_failure_saved(saved, now);
            }
            Msg::Compared { complete } => self.machine.handle_compared(complete, now),
            Msg::Wrote { more, source } => {
                self.take_source(source);
                self.machine.handle_writebacks_ended(more, now);
            }
            Msg::Sleep => self.handle_sleep(myself),
            Msg::Leave => self.handle_leave(myself),
            Msg::Stop => myself.stop(None),
            Msg::Close(done) => {
                self.machine.close();
                self.closing.push(done);
            }
            Msg::Picture(reply) => drop(reply.send(self.picture())),
        }
    }

    fn handle_commit(&mut self, job: Box<CommitJob>, permit: OwnedSemaphorePermit) {
        let now = self.context.store_now();
        self.slot.touch(now);
        let deadline = self.context.by_store_clock(job.request.deadline);
        let joins = together::joins(&job);
        if let Err(job) = self.machine.handle_commit(job, joins, deadline, now) {
            let reason = if self.context.takes_commits() {
                UnavailableReason::MailboxFull
            } else {
                UnavailableReason::ShuttingDown
            };
            let _ = job.reply.send(CommitAnswer::Unavailable(reason));
        }
        drop(permit);
    }

    fn handle_bell(&mut self) {
        self.slot.take_bell();
        let now = self.context.store_now();
        self.machine.handle_bell(now);
        self.loads.retry();
        if self.slot.withdrawals() != self.withdrawals {
            self.loads.want(None);
        }
        if self.machine.sync().is_some_and(|sync| sync.is_backing_off(now)) {
            // Nothing will be asked of the provider now, so nobody shall wait for it.
            self.slot.note(|changes| changes.syncs_failed += 1);
        }
    }

    fn handle_due(&mut self, write_wanted: bool) {
        self.slot.take_due();
        let now = self.context.store_now();
        self.loads.retry();
        if write_wanted {
            self.machine.handle_write_wanted(now);
        } else {
            self.machine.handle_due(now);
        }
    }

    fn handle_changed(&mut self, Change { revision, claims, write_wanted, applied, done }: Change) {
        if write_wanted {
            self.machine.handle_write_wanted(self.context.store_now());
        }
        let outcome = match claims {
            Some(changes) => self.keeper.handle_changes(revision, &changes, self.context.store_now()),
            None if revision <= self.keeper.revision() => Applied::Known,
            None => Applied::NeedsLoad,
        };
        match outcome {
            // Known already, by a load; which may not yet have come to the cache.
            Applied::Known | Applied::Done => self.publish_and_tell(vec![done]),
            Applied::NeedsLoad => self.loads.want(Some(done)),
        }
        let _ = applied.send(outcome != Applied::NeedsLoad);
    }

    fn handle_loaded(
        &mut self,
        myself: &ActorRef<Msg>,
        loaded: Result<Option<Box<CalendarRecord>>, StoreError>,
        withdrawals: u64,
    ) {
        match loaded {
            Ok(Some(record)) => {
                let status = std::mem::replace(&mut self.status, work::status_of(&record));
                if work::is_mended(status, self.status) {
                    self.machine.handle_mended(self.context.store_now());
                }
                self.take_access(Access::new(&self.context, &record, self.slot.epoch));
                self.keeper.handle_loaded(FactSource { epoch: self.slot.epoch, ..record.facts.clone() });
                self.withdrawals = withdrawals;
                let told = self.loads.handle_done();
                self.publish_and_tell(told);
                if self.machine.sync().is_some_and(SyncMachine::is_lost) {
                    // The calendar is there, so it is the epoch that is superseded.
                    self.context.fence(Shard::of(self.slot.account_id), self.slot.epoch);
                }
            }
            Ok(None) => {
                work::forget(&self.context, &self.slot);
                myself.stop(None);
            }
            Err(error) => {
                tracing::warn!(calendar_id = %self.slot.calendar_id, %error, "facts could not be loaded; withdrawn");
                self.slot.withdraw();
                let (context, told) = (Arc::clone(&self.context), self.loads.handle_failed());
                let (account_id, calendar_id) = (self.slot.account_id, self.slot.calendar_id);
                self.context.tasks.spawn(async move {
                    context.withdraw_from_cache(account_id, calendar_id).await;
                    // Those who wait may go on: nothing old is served any more, here or at another node.
                    tell(told);
                });
            }
        }
    }

    fn take_access(&mut self, access: Access) {
        if access.owner_addresses() != self.access.owner_addresses() {
            self.machine.handle_owner_changed(self.context.store_now());
        }
        self.access = Arc::new(access);
    }

    fn handle_sleep(&mut self, myself: &ActorRef<Msg>) {
        if self.machine.is_at_rest() && self.loads.is_idle() && self.telling == 0 && self.closing.is_empty() {
            self.slot.shut();
            // Messages that got in before the door was shut are handled before this one.
            let _ = myself.send_message(Msg::Leave);
        }
    }

    fn handle_leave(&mut self, myself: &ActorRef<Msg>) {
        if self.machine.is_at_rest() && self.loads.is_idle() && self.telling == 0 && self.slot.leave() {
            self.context.directory.remove(&self.slot);
            self.context.directory.unregister(myself.get_id());
            myself.stop(None);
        } else if self.slot.open(myself.clone()) {
            self.handle_bell();
        }
    }

    fn take_source(&mut self, source: Option<Box<FactSource>>) {
        if let Some(source) = source {
            self.keeper.handle_loaded(FactSource { epoch: self.slot.epoch, ..*source });
            self.publish();
        }
    }

    fn publish(&mut self) {
        self.publish_and_tell(Vec::new());
    }

    /// Publishes the facts: here at once, in the cache right after; then tells those who wait for it. Facts that were taken
    /// back since they were read may be those of before: they are read anew first.
    fn publish_and_tell(&mut self, told: Vec<oneshot::Sender<()>>) {
        let (facts, withdrawals) = (Arc::clone(self.keeper.facts()), self.withdrawals);
        if !self.slot.publish(Arc::clone(&facts), withdrawals) {
            return self.loads.want(told);
        }
        let (context, slot) = (Arc::clone(&self.context), Arc::clone(&self.slot));
        self.context.tasks.spawn(async move {
            if slot.withdrawals() == withdrawals {
                context.publish_to_cache(facts).await;
            } else {
                context.withdraw_from_cache(slot.account_id, slot.calendar_id).await;
            }
            tell(told);
        });
    }

    fn picture(&self) -> CalendarPicture {
        CalendarPicture {
            calendar_id: self.slot.calendar_id.to_string(),
            revision: self.keeper.revision(),
            machine: self.machine.picture(),
        }
    }
}

impl Drop for State {
    /// An actor that stops during a sync takes it along.
    fn drop(&mut self) {
        if self.slot.set_syncing(false) {
            self.context.syncs_in_flight.fetch_sub(1, Ordering::Relaxed);
        }
    }
}
