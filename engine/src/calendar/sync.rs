//! The sync of one calendar, without IO: when to ask the provider, what for, and what to keep of the answer.
//!
//! Invariant: one run at a time. Invariant: a cursor is kept with the last page only, in the same save as the facts it
//! stands for. An incremental sync is kept whole or not at all; a full sync collects its pages in the shadow generation,
//! which replaces the present one at the end. Invariant: a bell during a run causes exactly one more run after it.

use std::collections::{BTreeMap, VecDeque};
use std::time::Duration;

use crate::ids::{AccountId, CalendarId};
use crate::model::ConnectionStatus;
use crate::ports::{
    Entropy, ProviderError, ResourceChange, SaveSync, SyncCursor, SyncFailure, SyncMode, SyncNext, SyncPage,
    SyncRequest, SyncState,
};
use crate::shard::Epoch;
use crate::time::{TimeRange, Timestamp};

use super::FAILURES_UNTIL_ERROR;
use super::backoff::shorten;
use super::schedule::{is_final, needs_wider, retry_wait, status_after};
use super::watch::Standing;

pub use super::schedule::{Pace, SYNC_DAYS_AHEAD, SYNC_DAYS_AHEAD_MIN, SYNC_DAYS_BEHIND, window_at};

/// Most pages of one sync; a provider that sends more is failing.
pub const PAGES_PER_SYNC_MAX: u32 = 2_000;
/// Most changed resources an incremental sync may bring; more, and a full sync takes its place.
pub const CHANGES_PER_INCREMENTAL_MAX: usize = 10_000;

const RETRY_STORE: Duration = Duration::from_secs(2);

/// Full or incremental.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SyncKind {
    /// Everything in the window.
    Full,
    /// What changed since the cursor.
    Incremental,
}

/// How a run ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SyncOutcome {
    /// The provider named changes, or everything was read anew.
    Changed,
    /// The provider named none.
    Unchanged,
    /// It did not work.
    Failed,
}

/// A run that ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SyncEnd {
    /// What it was, in the end.
    pub kind: SyncKind,
    /// How it ended.
    pub outcome: SyncOutcome,
    /// When somebody first had reason to think there was something to see.
    pub noticed_at: Timestamp,
    /// When it began.
    pub began_at: Timestamp,
    /// Whether the calendar had never synced, or had been failing, before this success.
    pub recovered: bool,
}

/// What the machine asks for.
#[derive(Clone, Debug, PartialEq)]
pub enum SyncEffect {
    /// Ask the provider; answer with [`SyncMachine::handle_page`].
    Fetch(SyncRequest),
    /// Save a page; answer with [`SyncMachine::handle_saved`].
    Save(SaveSync),
    /// Save a failure, or a dropped cursor; answer with [`SyncMachine::handle_failure_saved`].
    SaveFailure(SyncFailure),
    /// Compare our events with what the sync saw; answer with [`SyncMachine::handle_compared`].
    Compare,
    /// The connection is not well.
    Mark {
        /// How it is.
        status: ConnectionStatus,
        /// Why.
        reason: String,
    },
    /// A run ended.
    Ended(SyncEnd),
}

/// What became of a save.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Saved {
    /// Durable.
    Done,
    /// The epoch is superseded or the calendar is gone: nothing more to do here.
    Lost,
    /// The store did not serve.
    Failed,
}

/// Why the machine wants to be called again.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Why {
    /// The next poll is due.
    Poll,
    /// A failed sync is tried again.
    Retry,
    /// A bell rang.
    Bell,
}

#[derive(Clone, Debug)]
struct Run {
    kind: SyncKind,
    began_at: Timestamp,
    noticed_at: Timestamp,
    /// The watch that stood when it began: it rings for whatever this run does not see any more.
    watched: Option<Standing>,
    window: TimeRange,
    pages: u32,
    shadow_begun: bool,
    changed: BTreeMap<String, ResourceChange>,
}

#[derive(Clone, Debug)]
enum Phase {
    Idle,
    Fetching(Run),
    Saving(Run, Next),
    DroppingCursor(Run),
    SavingFailure(Run),
    Comparing(SyncEnd),
    Lost,
}

#[derive(Clone, Debug)]
enum Next {
    Page(String),
    Finish(Box<SyncState>),
}

/// The machine.
#[derive(Clone, Debug)]
pub struct SyncMachine {
    account_id: AccountId,
    calendar_id: CalendarId,
    epoch: Epoch,
    pace: Pace,
    state: SyncState,
    phase: Phase,
    rung_at: Option<Timestamp>,
    not_before: Timestamp,
    compare_due: bool,
    /// What the cursor stands for no longer counts: the next run reads everything again.
    full_wanted: bool,
    watched: Option<Standing>,
    effects: VecDeque<SyncEffect>,
}

impl SyncMachine {
    /// A machine that continues from what the store keeps.
    pub fn new(account_id: AccountId, calendar_id: CalendarId, epoch: Epoch, pace: Pace, state: SyncState) -> Self {
        let not_before = if state.failures > 0 { state.due_at } else { Timestamp::EARLIEST };
        Self {
            account_id,
            calendar_id,
            epoch,
            pace,
            state,
            phase: Phase::Idle,
            rung_at: None,
            not_before,
            compare_due: true,
            full_wanted: false,
            watched: None,
            effects: VecDeque::new(),
        }
    }

    /// Where the sync stands, as last saved or about to be.
    pub fn state(&self) -> &SyncState {
        &self.state
    }

    /// Whether a run is under way.
    pub fn is_running(&self) -> bool {
        !matches!(self.phase, Phase::Idle | Phase::Lost)
    }

    /// Whether the machine found that it no longer owns the calendar.
    pub fn is_lost(&self) -> bool {
        matches!(self.phase, Phase::Lost)
    }

    /// Whether a bell waits for its run.
    pub fn is_rung(&self) -> bool {
        self.rung_at.is_some()
    }

    /// Whether the last sync failed, so that another one must wait its time.
    pub fn is_backing_off(&self, now: Timestamp) -> bool {
        now < self.not_before
    }

    /// A bell: something may have changed.
    pub fn handle_bell(&mut self, now: Timestamp) {
        self.rung_at.get_or_insert(now);
    }

    /// The connection works again, as another of its calendars found: what failed for its sake is tried at once.
    pub fn handle_mended(&mut self, now: Timestamp) {
        if self.state.failures > 0 {
            self.not_before = Timestamp::EARLIEST;
            self.handle_bell(now);
        }
    }

    /// The calendar's owner is another one, whose answers to invitations count from now on. They were not kept, so
    /// everything is read again; a run under way may have begun before the change and does not count.
    pub fn handle_owner_changed(&mut self, now: Timestamp) {
        self.full_wanted = true;
        self.handle_bell(now);
    }

    /// A watch stands from now on, or none does any more. Runs that begin later rest on it.
    pub fn handle_watch(&mut self, watched: Option<Standing>) {
        self.watched = watched;
    }

    /// Whether a run should begin, and why.
    pub fn wants_run(&self, now: Timestamp) -> Option<Why> {
        match self.poll_timeout() {
            Some((at, why)) if at <= now => Some(why),
            _ => None,
        }
    }

    /// When the machine next wants to run, and why; `None` while it runs.
    pub fn poll_timeout(&self) -> Option<(Timestamp, Why)> {
        if self.is_running() || self.is_lost() {
            return None;
        }
        let due_at = self.state.due_at.max(self.not_before);
        Some(match self.rung_at {
            Some(rung_at) => (rung_at.max(self.not_before).min(due_at), Why::Bell),
            None if self.state.failures > 0 => (due_at, Why::Retry),
            None => (due_at, Why::Poll),
        })
    }

    /// What to do next.
    pub fn poll_effect(&mut self) -> Option<SyncEffect> {
        self.effects.pop_front()
    }

    /// Begins a run. The caller has asked [`Self::wants_run`] and sees to it that no write to the provider is under way.
    pub fn start(&mut self, now: Timestamp) {
        debug_assert!(!self.is_running(), "one sync at a time in a calendar");
        let noticed_at = self.rung_at.take().unwrap_or(self.state.due_at.max(Timestamp::EARLIEST)).min(now);
        let noticed_at = if noticed_at == Timestamp::EARLIEST { now } else { noticed_at };
        if std::mem::take(&mut self.full_wanted) {
            self.state.cursor = None;
        }
        let (kind, window) = match (&self.state.cursor, self.state.window) {
            (Some(_), Some(window)) if !needs_wider(window, now) => (SyncKind::Incremental, window),
            _ => (SyncKind::Full, window_at(now)),
        };
        let watched = self.watched.filter(|watched| now < watched.until);
        let changed = BTreeMap::new();
        let run = Run { kind, began_at: now, noticed_at, watched, window, pages: 0, shadow_begun: false, changed };
        self.fetch(run, None);
    }

    /// The provider answered.
    pub fn handle_page(&mut self, answer: Result<SyncPage, ProviderError>, now: Timestamp, entropy: &dyn Entropy) {
        let Phase::Fetching(run) = std::mem::replace(&mut self.phase, Phase::Idle) else {
            debug_assert!(false, "a page came that nobody asked for");
            return;
        };
        match answer {
            Ok(page) => self.take_page(run, page, now, entropy),
            Err(ProviderError::CursorGone) if run.kind == SyncKind::Incremental => self.drop_cursor(run, now),
            Err(error) => self.fail(run, &error, now, entropy),
        }
    }

    /// The store answered a save.
    pub fn handle_saved(&mut self, saved: Saved, now: Timestamp) {
        let Phase::Saving(run, next) = std::mem::replace(&mut self.phase, Phase::Idle) else {
            debug_assert!(false, "a save ended that nobody asked for");
            return;
        };
        match (saved, next) {
            (Saved::Done, Next::Page(page)) => self.fetch(run, Some(page)),
            (Saved::Done, Next::Finish(state)) => self.finish(run, *state),
            (Saved::Lost, _) => self.phase = Phase::Lost,
            (Saved::Failed, _) => self.give_up_for_store(&run, now),
        }
    }

    /// The store answered the save of a failure.
    pub fn handle_failure_saved(&mut self, saved: Saved, now: Timestamp) {
        match (std::mem::replace(&mut self.phase, Phase::Idle), saved) {
            (_, Saved::Lost) => self.phase = Phase::Lost,
            (Phase::DroppingCursor(run), Saved::Failed) => self.give_up_for_store(&run, now),
            (Phase::DroppingCursor(run), Saved::Done) => self.fetch(run, None),
            (Phase::SavingFailure(run), _) => self.end(&run, SyncOutcome::Failed, false),
            (phase, _) => {
                debug_assert!(false, "a failure was saved that nobody asked for");
                self.phase = phase;
            }
        }
    }

    /// The comparison of our events ended; `complete` unless the store failed under it, then it is done again next time.
    pub fn handle_compared(&mut self, complete: bool) {
        let Phase::Comparing(end) = std::mem::replace(&mut self.phase, Phase::Idle) else {
            debug_assert!(false, "a comparison ended that nobody asked for");
            return;
        };
        self.compare_due = !complete;
        self.effects.push_back(SyncEffect::Ended(end));
    }

    fn fetch(&mut self, run: Run, page: Option<String>) {
        let mode = match (run.kind, &self.state.cursor) {
            (SyncKind::Incremental, Some(cursor)) => SyncMode::Incremental { cursor: cursor.clone() },
            _ => SyncMode::Full,
        };
        self.effects.push_back(SyncEffect::Fetch(SyncRequest { mode, window: run.window, page }));
        self.phase = Phase::Fetching(run);
    }

    fn take_page(&mut self, mut run: Run, page: SyncPage, now: Timestamp, entropy: &dyn Entropy) {
        run.pages += 1;
        if run.pages >= PAGES_PER_SYNC_MAX && matches!(page.next, SyncNext::Page(_)) {
            let error = ProviderError::Refused(format!("more than {PAGES_PER_SYNC_MAX} pages in one sync"));
            return self.fail(run, &error, now, entropy);
        }
        for change in page.changes {
            run.changed.insert(change.provider_event_id.clone(), change);
        }
        match (run.kind, page.next) {
            (SyncKind::Incremental, _) if run.changed.len() > CHANGES_PER_INCREMENTAL_MAX => self.drop_cursor(run, now),
            (SyncKind::Incremental, SyncNext::Page(next)) => self.fetch(run, Some(next)),
            (SyncKind::Full, SyncNext::Page(next)) => self.save(run, Next::Page(next)),
            (_, SyncNext::Done { cursor }) => {
                let state = self.finished_state(&run, cursor, now, entropy);
                self.save(run, Next::Finish(Box::new(state)));
            }
        }
    }

    fn finished_state(&self, run: &Run, cursor: SyncCursor, now: Timestamp, entropy: &dyn Entropy) -> SyncState {
        let quiet_syncs = if is_quiet(run) { self.state.quiet_syncs.saturating_add(1) } else { 0 };
        SyncState {
            // Nothing goes on from a run of before: if this node ends before the next one, its heir reads all as well.
            cursor: Some(cursor).filter(|_| !self.full_wanted),
            window: Some(run.window),
            synced_at: Some(run.began_at),
            generation: self.generation_of(run),
            failures: 0,
            due_at: self.due_after(run, quiet_syncs, now, entropy),
            quiet_syncs,
            watched_until: run.watched.map(|watched| watched.until),
            last_error: None,
        }
    }

    /// Seldom while the provider rings, and then no later than the watch wants to be looked at, or ends.
    fn due_after(&self, run: &Run, quiet_syncs: u32, now: Timestamp, entropy: &dyn Entropy) -> Timestamp {
        let polled = now + shorten(self.pace.interval(quiet_syncs), entropy);
        let Some(watched) = run.watched else { return polled };
        let swept = (now + shorten(self.pace.swept(), entropy)).min(watched.until);
        let swept = if now < watched.renew_at { swept.min(watched.renew_at) } else { swept };
        if now < watched.until { swept } else { polled }
    }

    fn generation_of(&self, run: &Run) -> u64 {
        match run.kind {
            SyncKind::Full => self.state.generation + 1,
            SyncKind::Incremental => self.state.generation,
        }
    }

    fn save(&mut self, mut run: Run, next: Next) {
        let save = SaveSync {
            account_id: self.account_id,
            calendar_id: self.calendar_id,
            epoch: self.epoch,
            generation: self.generation_of(&run),
            begins_shadow: run.kind == SyncKind::Full && !run.shadow_begun,
            changes: run.changed.values().cloned().collect(),
            finish: match &next {
                Next::Page(_) => None,
                Next::Finish(state) => Some((**state).clone()),
            },
        };
        if run.kind == SyncKind::Full {
            run.shadow_begun = true;
            // A resource may come again on a later page; the store lets that one win.
            run.changed.clear();
        }
        self.effects.push_back(SyncEffect::Save(save));
        self.phase = Phase::Saving(run, next);
    }

    fn finish(&mut self, run: Run, state: SyncState) {
        let recovered = self.state.failures > 0 || self.state.synced_at.is_none();
        self.state = state;
        self.not_before = Timestamp::EARLIEST;
        let outcome = if is_quiet(&run) { SyncOutcome::Unchanged } else { SyncOutcome::Changed };
        if !self.compare_due && outcome == SyncOutcome::Unchanged {
            return self.end(&run, outcome, recovered);
        }
        let end = SyncEnd { kind: run.kind, outcome, noticed_at: run.noticed_at, began_at: run.began_at, recovered };
        self.compare_due = true;
        self.effects.push_back(SyncEffect::Compare);
        self.phase = Phase::Comparing(end);
    }

    fn end(&mut self, run: &Run, outcome: SyncOutcome, recovered: bool) {
        let Run { kind, noticed_at, began_at, .. } = *run;
        self.effects.push_back(SyncEffect::Ended(SyncEnd { kind, outcome, noticed_at, began_at, recovered }));
    }

    fn drop_cursor(&mut self, run: Run, now: Timestamp) {
        self.state.cursor = None;
        self.state.due_at = now;
        let full = Run {
            kind: SyncKind::Full,
            window: window_at(run.began_at),
            shadow_begun: false,
            changed: BTreeMap::new(),
            ..run
        };
        self.save_failure();
        self.phase = Phase::DroppingCursor(full);
    }

    fn fail(&mut self, run: Run, error: &ProviderError, now: Timestamp, entropy: &dyn Entropy) {
        let failures = self.state.failures.saturating_add(1);
        self.state.failures = if is_final(error) { failures.max(FAILURES_UNTIL_ERROR) } else { failures };
        self.state.last_error = Some(error.to_string());
        self.state.due_at = now + retry_wait(error, failures, entropy);
        self.not_before = self.state.due_at;
        // The retry sees whatever the bell was about.
        self.rung_at = None;
        if let Some(status) = status_after(error, self.state.failures) {
            self.effects.push_back(SyncEffect::Mark { status, reason: error.to_string() });
        }
        self.save_failure();
        self.phase = Phase::SavingFailure(run);
    }

    fn save_failure(&mut self) {
        self.effects.push_back(SyncEffect::SaveFailure(SyncFailure {
            account_id: self.account_id,
            calendar_id: self.calendar_id,
            epoch: self.epoch,
            state: self.state.clone(),
        }));
    }

    fn give_up_for_store(&mut self, run: &Run, now: Timestamp) {
        self.not_before = now + RETRY_STORE;
        self.rung_at.get_or_insert(run.noticed_at);
        self.end(run, SyncOutcome::Failed, false);
    }
}

fn is_quiet(run: &Run) -> bool {
    run.kind == SyncKind::Incremental && run.changed.is_empty()
}

#[cfg(test)]
mod tests;
