//! What a calendar's machine asks for, carried out beside its actor.

use std::sync::Arc;
use std::sync::atomic::Ordering;

use agentcal_engine::calendar::machine::MachineEffect;
use agentcal_engine::calendar::request::{CommitAnswer, UnavailableReason};
use agentcal_engine::calendar::spot_check::SpotCheck;
use agentcal_engine::calendar::sync::{Saved, SyncEffect, SyncEnd, SyncMachine, SyncOutcome};
use agentcal_engine::calendar::watch::WatchEffect;
use agentcal_engine::model::ConnectionStatus;
use agentcal_engine::ports::{ProviderError, StoreError};
use agentcal_engine::time::TimeRange;
use ractor::ActorRef;
use tokio::sync::oneshot;

use super::{Msg, State};
use crate::jobs::{CommitJob, Telling};
use crate::loads::tell;
use crate::together::Standing;
use crate::work::{self, SavePlan};
use crate::{metrics, spot_check, together, watching, writeback};

impl State {
    /// Carries out what the machine asks for.
    pub(super) fn drive(&mut self, myself: &ActorRef<Msg>) {
        while let Some(effect) = self.machine.poll_effect() {
            match effect {
                MachineEffect::BeginCommits(line) => self.begin_commits(myself, line),
                MachineEffect::Expired(job) => {
                    let _ = job.reply.send(CommitAnswer::Unavailable(UnavailableReason::Deadline));
                }
                MachineEffect::WriteBack => self.begin_writebacks(myself),
                MachineEffect::Sync(effect) => self.carry_out(myself, *effect),
                MachineEffect::Watch(effect) => self.see_to_watch(myself, *effect),
            }
        }
        let may_act = self.context.takes_commits() && self.context.is_current(&self.slot);
        if self.machine.sync().is_some_and(SyncMachine::is_lost) && self.loads.is_idle() && may_act {
            self.loads.want(None);
        }
        if self.loads.begin() {
            let withdrawals = self.slot.withdrawals();
            let io = work::load(Arc::clone(&self.context), Arc::clone(&self.slot), withdrawals);
            self.context.run_for(myself, io, move || Msg::Loaded(Err(panicked()), withdrawals));
        }
        if self.machine.has_no_commits() && self.telling == 0 {
            tell(std::mem::take(&mut self.closing));
        }
        self.note_syncing();
    }

    /// The next commits begin when decisions here rest on these; who waits for these hears when the cache has them too.
    fn begin_commits(&mut self, myself: &ActorRef<Msg>, line: impl IntoIterator<Item = Box<CommitJob>>) {
        let stand = |mut job: Box<CommitJob>| {
            job.waiting = None;
            self.telling += 1;
            Standing { job, telling: Telling::begin(myself) }
        };
        let line: Vec<Standing> = line.into_iter().map(stand).collect();
        let context = Arc::clone(&self.context);
        let io = async move {
            together::make(&context, line).await;
            Msg::CommitsEnded
        };
        self.context.run_for(myself, io, || Msg::CommitsEnded);
    }

    /// Looks at one range for a commit, or lets it know at once that nobody will.
    pub(super) fn begin_spot_check(
        &mut self,
        myself: &ActorRef<Msg>,
        range: TimeRange,
        reply: oneshot::Sender<SpotCheck>,
    ) {
        if !self.machine.may_spot_check(self.context.store_now()) {
            spot_check::count(&self.access, "held_back");
            return;
        }
        let io = spot_check::look(Arc::clone(&self.context), Arc::clone(&self.access), range, reply);
        self.context.run_for(myself, io, || Msg::SpotChecked(Err(inside())));
    }

    fn begin_writebacks(&mut self, myself: &ActorRef<Msg>) {
        let io = writeback::turn(Arc::clone(&self.context), Arc::clone(&self.access));
        self.context.run_for(myself, io, || Msg::Wrote { more: false, source: None });
    }

    fn carry_out(&mut self, myself: &ActorRef<Msg>, effect: SyncEffect) {
        let (context, access) = (Arc::clone(&self.context), Arc::clone(&self.access));
        match effect {
            SyncEffect::Fetch(request) => {
                let io = work::fetch(context, access, request);
                let failed = || Msg::Page(Box::new(Err(inside())));
                self.context.run_for(myself, io, failed);
            }
            SyncEffect::Save(save) => {
                let plan =
                    SavePlan { mends: save.finish.is_some() && self.mends(), known_revision: self.keeper.revision() };
                let io = work::save(context, access, save, plan);
                let failed = || Msg::Saved { saved: Saved::Failed, revision: 0, knowledge: None, source: None };
                self.context.run_for(myself, io, failed);
            }
            SyncEffect::SaveFailure(failure) => {
                let mark = self.mark.take();
                let io = work::save_failure(context, access, failure, mark, self.keeper.revision());
                let failed = || Msg::FailureSaved { saved: Saved::Failed, source: None };
                self.context.run_for(myself, io, failed);
            }
            SyncEffect::Compare => {
                let io = work::compare(context, access, Arc::clone(self.keeper.facts()));
                self.context.run_for(myself, io, || Msg::Compared { complete: false });
            }
            SyncEffect::Mark { status, reason } => self.mark = Some((status, reason)),
            SyncEffect::Ended(end) => self.handle_sync_ended(end),
        }
    }

    fn see_to_watch(&mut self, myself: &ActorRef<Msg>, effect: WatchEffect) {
        let (context, access, epoch) = (Arc::clone(&self.context), Arc::clone(&self.access), self.slot.epoch);
        match effect {
            WatchEffect::Ask { previous } => {
                let io = watching::ask(context, access, previous);
                self.context.run_for(myself, io, || Msg::Watched(Err(inside())));
            }
            WatchEffect::Save(record) => {
                let io = watching::save(context, access, epoch, record);
                self.context.run_for(myself, io, || Msg::WatchSaved(Saved::Failed));
            }
            WatchEffect::End(handle) => {
                let io = watching::end(context, access, handle);
                self.context.run_for(myself, io, || Msg::WatchEnded(Err(inside())));
            }
            WatchEffect::Abandon(handle) => {
                self.context.tasks.spawn(async move { drop(watching::end(context, access, handle).await) });
            }
        }
    }

    /// Whether a success shall mend the connection. A failing one only once per recovery: that takes looking at all of its
    /// calendars.
    fn mends(&mut self) -> bool {
        let has_failed = self.machine.sync().is_some_and(|sync| sync.state().failures > 0);
        match self.status {
            None | Some(ConnectionStatus::Active) => has_failed,
            Some(ConnectionStatus::Error) => std::mem::take(&mut self.may_mend) || has_failed,
            Some(ConnectionStatus::Syncing | ConnectionStatus::ReauthorizationRequired) => true,
        }
    }

    fn handle_sync_ended(&self, end: SyncEnd) {
        work::count_sync(&self.context, end);
        self.slot.note(|changes| match end.outcome {
            SyncOutcome::Failed => changes.syncs_failed += 1,
            SyncOutcome::Changed | SyncOutcome::Unchanged => changes.syncs_ended += 1,
        });
    }

    fn note_syncing(&self) {
        let syncing = self.machine.sync().is_some_and(SyncMachine::is_running);
        if self.slot.set_syncing(syncing) {
            let change = if syncing { 1 } else { u32::MAX };
            let before = self.context.syncs_in_flight.fetch_add(change, Ordering::Relaxed);
            ::metrics::gauge!(metrics::SYNCS_IN_FLIGHT).set(f64::from(before.wrapping_add(change)));
        }
    }
}

fn panicked() -> StoreError {
    StoreError::Corrupt("an internal failure while loading".into())
}

/// Stands for a panic in what was to ask a provider.
fn inside() -> ProviderError {
    ProviderError::Unavailable("an internal failure".into())
}
