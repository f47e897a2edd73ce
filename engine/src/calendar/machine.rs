//! What one calendar does next: its commits, its sync, its writes to the provider.
//!
//! Two lanes. Commits wait in a bounded queue and are made in order: those that came while others were being made go
//! together, where they may. Whatever else would begin meanwhile steps aside for them, for a while. The provider's lane
//! holds one sync or one batch of writebacks, never both: a sync that runs beside a write could take the event for deleted
//! that is just being made. The watch is seen to beside both.

use std::collections::VecDeque;
use std::time::Duration;

use crate::ports::{Entropy, ProviderError, SyncPage, Watched};
use crate::time::Timestamp;

use super::spot_check::SpotCheckPace;
use super::sync::{Saved, SyncEffect, SyncMachine, SyncOutcome, Why};
use super::watch::{Ring, WatchEffect, WatchMachine};

/// How long a due sync or writeback steps aside for commits: nobody waits for it, and somebody waits for each of them. Once
/// it has waited so long, everything due takes its turn until nothing is.
pub const YIELD_MAX: Duration = Duration::from_millis(500);

/// Most commits that are made together: who waits for the first waits for all.
pub const LINE_LEN_MAX: usize = 16;

/// What the machine asks for.
#[derive(Debug, PartialEq)]
pub enum MachineEffect<C> {
    /// Make these commits, in this order; answer with [`CalendarMachine::handle_commits_ended`]. Several only where each
    /// joins others, see [`CalendarMachine::handle_commit`].
    BeginCommits(Vec<C>),
    /// This commit's caller no longer waits; it was not begun.
    Expired(C),
    /// Carry this out for the sync.
    Sync(Box<SyncEffect>),
    /// Carry this out for the watch.
    Watch(Box<WatchEffect>),
    /// Write what is due to the provider; answer with [`CalendarMachine::handle_writebacks_ended`].
    WriteBack,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Lane {
    Free,
    Syncing,
    Writing,
}

#[derive(Debug)]
struct Waiting<C> {
    commit: C,
    joins: bool,
    deadline: Timestamp,
}

/// A picture of the machine, for tests and for people.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize)]
pub struct MachinePicture {
    /// Commits waiting.
    pub commits_queued: usize,
    /// Whether some are being made.
    pub committing: bool,
    /// Whether a sync is under way.
    pub syncing: bool,
    /// Whether a write to the provider is under way.
    pub writing: bool,
    /// Whether something waits to be written to the provider.
    pub write_wanted: bool,
    /// Failed syncs in a row.
    pub failures: u32,
    /// Until when the provider rings, in microseconds since 1970; `None` where it does not.
    pub watched_until_us: Option<i64>,
    /// When the next sync is due, in microseconds since 1970; `None` while one is under way, and without a provider.
    pub sync_due_at_us: Option<i64>,
}

/// The machine. `C` is a commit as its shell carries it.
#[derive(Debug)]
pub struct CalendarMachine<C> {
    sync: Option<SyncMachine>,
    watch: WatchMachine,
    queue: VecDeque<Waiting<C>>,
    queue_len_max: usize,
    committing: bool,
    lane: Lane,
    write_wanted: bool,
    wrote_last: bool,
    /// Since when something due has been stepping aside.
    yielding_since: Option<Timestamp>,
    spot_checks: SpotCheckPace,
    closed: bool,
    effects: VecDeque<MachineEffect<C>>,
}

impl<C> CalendarMachine<C> {
    /// A machine at rest. `sync` is `None` for internal calendars, which have no provider.
    pub fn new(sync: Option<SyncMachine>, watch: WatchMachine, queue_len_max: usize, now: Timestamp) -> Self {
        let standing = watch.standing(now);
        let sync = sync.map(|mut sync| {
            sync.handle_watch(standing);
            sync
        });
        Self {
            sync,
            watch,
            queue: VecDeque::new(),
            queue_len_max,
            committing: false,
            lane: Lane::Free,
            write_wanted: false,
            wrote_last: false,
            yielding_since: None,
            spot_checks: SpotCheckPace::default(),
            closed: false,
            effects: VecDeque::new(),
        }
    }

    /// A commit arrived. It comes back when the queue is full. `joins`: it may be made together with others that say so,
    /// because what those before it will have done can be foreseen.
    pub fn handle_commit(&mut self, commit: C, joins: bool, deadline: Timestamp, now: Timestamp) -> Result<(), C> {
        if self.closed || self.queue.len() >= self.queue_len_max {
            return Err(commit);
        }
        self.queue.push_back(Waiting { commit, joins, deadline });
        self.advance(now);
        Ok(())
    }

    /// The commits that were begun have their answers.
    pub fn handle_commits_ended(&mut self, now: Timestamp) {
        debug_assert!(self.committing, "commits ended that were not begun");
        self.committing = false;
        self.advance(now);
    }

    /// A bell: something may have changed at the provider. A rung sync steps aside for nobody, since a commit may be waiting
    /// for what it finds.
    pub fn handle_bell(&mut self, now: Timestamp) {
        self.with_sync(now, |sync| sync.handle_bell(now));
    }

    /// The provider rings. What it says of the watch is seen to once a sync has succeeded.
    pub fn handle_ring(&mut self, ring: Ring, now: Timestamp) {
        self.watch.handle_ring(ring, now);
        let standing = self.watch.standing(now);
        self.with_sync(now, |sync| {
            sync.handle_watch(standing);
            sync.handle_bell(now);
        });
    }

    /// The provider answered whether it watches the calendar. What changed before a watch stood is looked for at once.
    pub fn handle_watched(&mut self, answer: Result<Watched, ProviderError>, now: Timestamp, entropy: &dyn Entropy) {
        let is_new = self.watch.handle_watched(answer, now, entropy);
        let standing = self.watch.standing(now);
        self.with_sync(now, |sync| {
            sync.handle_watch(standing);
            if is_new {
                sync.handle_bell(now);
            }
        });
    }

    /// The store answered the save of a watch.
    pub fn handle_watch_saved(&mut self, saved: Saved, now: Timestamp) {
        self.watch.handle_saved(saved, now);
        self.advance(now);
    }

    /// The provider ended a watch, or did not.
    pub fn handle_watch_ended(&mut self, answer: Result<(), ProviderError>, now: Timestamp) {
        self.watch.handle_ended(answer, now);
        self.advance(now);
    }

    /// The calendar's owner is another one: whatever was read is read again.
    pub fn handle_owner_changed(&mut self, now: Timestamp) {
        self.with_sync(now, |sync| sync.handle_owner_changed(now));
    }

    /// The connection works again, as another of its calendars found.
    pub fn handle_mended(&mut self, now: Timestamp) {
        self.spot_checks = SpotCheckPace::default();
        self.with_sync(now, |sync| sync.handle_mended(now));
    }

    /// The sweep came by: whatever is due may begin.
    pub fn handle_due(&mut self, now: Timestamp) {
        self.advance(now);
    }

    /// Something waits to be written to the provider.
    pub fn handle_write_wanted(&mut self, now: Timestamp) {
        self.write_wanted = true;
        self.handle_due(now);
    }

    /// The provider answered a sync.
    pub fn handle_page(&mut self, answer: Result<SyncPage, ProviderError>, now: Timestamp, entropy: &dyn Entropy) {
        self.with_sync(now, |sync| sync.handle_page(answer, now, entropy));
    }

    /// The store answered the save of a page.
    pub fn handle_saved(&mut self, saved: Saved, now: Timestamp) {
        self.with_sync(now, |sync| sync.handle_saved(saved, now));
    }

    /// The store answered the save of a failure.
    pub fn handle_failure_saved(&mut self, saved: Saved, now: Timestamp) {
        self.with_sync(now, |sync| sync.handle_failure_saved(saved, now));
    }

    /// The comparison of our events ended.
    pub fn handle_compared(&mut self, complete: bool, now: Timestamp) {
        self.with_sync(now, |sync| sync.handle_compared(complete));
    }

    /// A batch of writebacks ended; `more` when others are due.
    pub fn handle_writebacks_ended(&mut self, more: bool, now: Timestamp) {
        debug_assert_eq!(self.lane, Lane::Writing, "a write ended that was not begun");
        self.lane = Lane::Free;
        self.write_wanted |= more;
        self.advance(now);
    }

    /// Whether the provider may be asked about one range, for a commit that would fail without. It is asked beside whatever
    /// else is under way: a sync that takes too long is a reason to ask, and nothing follows from the answer here.
    pub fn may_spot_check(&self, now: Timestamp) -> bool {
        self.sync.is_some() && !self.closed && self.spot_checks.may_ask(now)
    }

    /// The provider answered a spot check, or did not.
    pub fn handle_spot_checked(&mut self, answer: Result<(), ProviderError>, now: Timestamp, entropy: &dyn Entropy) {
        self.spot_checks.handle_answer(answer, now, entropy);
    }

    /// Takes no more commits. Those accepted are still made.
    pub fn close(&mut self) {
        self.closed = true;
    }

    /// What to do next.
    pub fn poll_effect(&mut self) -> Option<MachineEffect<C>> {
        self.effects.pop_front()
    }

    /// When to call [`Self::handle_due`], and why; `None` while something is under way that ends by itself.
    pub fn poll_timeout(&self) -> Option<(Timestamp, Why)> {
        self.sync.as_ref().and_then(SyncMachine::poll_timeout)
    }

    /// Whether nothing is queued, begun or under way.
    pub fn is_at_rest(&self) -> bool {
        let is_free = self.queue.is_empty() && !self.committing && self.lane == Lane::Free;
        is_free && self.watch.is_at_rest() && self.effects.is_empty()
    }

    /// Whether no commit is queued or being made.
    pub fn has_no_commits(&self) -> bool {
        self.queue.is_empty() && !self.committing
    }

    /// The sync machine, where the calendar has a provider.
    pub fn sync(&self) -> Option<&SyncMachine> {
        self.sync.as_ref()
    }

    /// The watch machine.
    pub fn watch(&self) -> &WatchMachine {
        &self.watch
    }

    /// Commits waiting.
    pub fn queue_len(&self) -> usize {
        self.queue.len()
    }

    /// A picture of the machine.
    pub fn picture(&self) -> MachinePicture {
        MachinePicture {
            commits_queued: self.queue.len(),
            committing: self.committing,
            syncing: self.lane == Lane::Syncing,
            writing: self.lane == Lane::Writing,
            write_wanted: self.write_wanted,
            failures: self.sync.as_ref().map_or(0, |sync| sync.state().failures),
            watched_until_us: self.watch.record().watch.expires_at.map(|until| until.as_micros()),
            sync_due_at_us: self.poll_timeout().map(|(at, _)| at.as_micros()),
        }
    }

    fn with_sync(&mut self, now: Timestamp, act: impl FnOnce(&mut SyncMachine)) {
        if let Some(sync) = &mut self.sync {
            act(sync);
        }
        self.advance(now);
    }

    fn advance(&mut self, now: Timestamp) {
        self.begin_commits(now);
        self.drain_sync(now);
        while let Some(effect) = self.watch.poll_effect() {
            self.effects.push_back(MachineEffect::Watch(Box::new(effect)));
        }
        if self.lane == Lane::Free && !self.closed {
            self.begin_in_lane(now);
        }
    }

    fn begin_commits(&mut self, now: Timestamp) {
        if self.committing {
            return;
        }
        let mut line: Vec<C> = Vec::new();
        let mut more_may_join = false;
        let is_next = |next: &Waiting<C>, line: &[C], more_may_join: bool| {
            line.is_empty() || (more_may_join && next.joins && line.len() < LINE_LEN_MAX)
        };
        while let Some(next) = self.queue.pop_front_if(|next| is_next(next, &line, more_may_join)) {
            if next.deadline <= now {
                self.effects.push_back(MachineEffect::Expired(next.commit));
                continue;
            }
            more_may_join = next.joins;
            line.push(next.commit);
        }
        if !line.is_empty() {
            self.committing = true;
            self.effects.push_back(MachineEffect::BeginCommits(line));
        }
    }

    fn drain_sync(&mut self, now: Timestamp) {
        let Some(sync) = &mut self.sync else { return };
        while let Some(effect) = sync.poll_effect() {
            if matches!(&effect, SyncEffect::Ended(end) if end.outcome != SyncOutcome::Failed) && !self.closed {
                self.watch.handle_synced(now);
            }
            self.effects.push_back(MachineEffect::Sync(Box::new(effect)));
        }
        if self.lane == Lane::Syncing && !sync.is_running() {
            self.lane = Lane::Free;
        }
    }

    fn begin_in_lane(&mut self, now: Timestamp) {
        let sync = self.sync.as_ref().and_then(|sync| sync.wants_run(now));
        let is_due = self.write_wanted || sync.is_some();
        let must_yield = self.committing && is_due && {
            let since = *self.yielding_since.get_or_insert(now);
            now.saturating_since(since) < YIELD_MAX
        };
        if !is_due || !self.committing {
            self.yielding_since = None;
        }
        let may_sync = sync.is_some_and(|why| why == Why::Bell || !must_yield);
        let may_write = self.write_wanted && !must_yield;
        if may_write && !(may_sync && self.wrote_last) {
            self.begin_write();
        } else if may_sync {
            self.begin_sync(now);
        }
    }

    fn begin_write(&mut self) {
        self.lane = Lane::Writing;
        self.write_wanted = false;
        self.wrote_last = true;
        self.effects.push_back(MachineEffect::WriteBack);
    }

    fn begin_sync(&mut self, now: Timestamp) {
        let Some(sync) = &mut self.sync else { return };
        sync.start(now);
        self.lane = Lane::Syncing;
        self.wrote_last = false;
        self.drain_sync(now);
    }
}

#[cfg(test)]
mod tests;
