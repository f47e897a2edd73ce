//! What every part of the scheduler shares.

use std::future::Future;
use std::panic::AssertUnwindSafe;
use std::sync::OnceLock;
use std::sync::atomic::{AtomicBool, AtomicI64, AtomicU32, Ordering};
use std::time::Duration;

use agentcal_engine::calendar::sync::Pace;
use agentcal_engine::facts::MaxAge;
use agentcal_engine::model::ProviderKind;
use agentcal_engine::ports::StoreError;
use agentcal_engine::shard::{Epoch, Shard};
use agentcal_engine::time::Timestamp;
use futures::FutureExt;
use ractor::{ActorRef, Message};
use tokio::sync::{Notify, Semaphore};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use crate::beats::Untrusted;
use crate::bells::Ringing;
use crate::config::Configs;
use crate::directory::Directory;
use crate::metrics;
use crate::outbound::Outbound;
use crate::ownership::Ownership;
use crate::parts::{SchedulerParts, SchedulerSettings};
use crate::publication::{Arrears, Missed};
use crate::refusals::Refusals;
use crate::slot::Slot;
use crate::supervisor;
use crate::tokens::Tokens;
use crate::turns::{Said, Turns};

/// Age beyond which facts of a calendar count as stale whose provider this process does not have.
const STALE_AFTER_WITHOUT_PROVIDER: Duration = Duration::from_secs(600);

/// Most writebacks that ask the store for something at once. A burst of bookings shall not wait for connections behind what
/// follows from it.
const WRITEBACKS_IN_STORE_MAX: usize = 4;

pub(crate) struct Context {
    pub(crate) parts: SchedulerParts,
    /// Turns of writebacks at the store.
    pub(crate) writebacks_in_store: Semaphore,
    pub(crate) ownership: Ownership,
    pub(crate) arrears: Arrears,
    pub(crate) missed: Missed,
    /// What other nodes took back of their word.
    pub(crate) untrusted: Untrusted,
    /// Rings when a renewal brought news to be said in beats.
    pub(crate) caught_up: Notify,
    /// Commits of callers under way.
    pub(crate) routes: TaskTracker,
    /// Rings when something may be due for an endpoint.
    pub(crate) delivery_bell: Notify,
    /// Rings when a service that delivers in our place may have to be told something.
    pub(crate) relay_bell: Notify,
    /// Rings when something that follows from a booking may be due.
    pub(crate) job_bell: Notify,
    /// Rings when a grant may have to be given back.
    pub(crate) revocation_bell: Notify,
    /// How the grants of connections fare.
    pub(crate) tokens: Tokens,
    /// For commits without an owner, whose actor would make them stand in line.
    pub(crate) turns: Turns,
    /// Bells on their way to other nodes.
    pub(crate) ringing: Ringing,
    /// Places of requests to providers.
    pub(crate) outbound: Outbound,
    /// When it was last said that an owner is silent.
    pub(crate) silence: Said,
    pub(crate) directory: Directory,
    pub(crate) configs: Configs,
    pub(crate) refusals: Refusals,
    pub(crate) supervisor: OnceLock<ActorRef<supervisor::Msg>>,
    pub(crate) tasks: TaskTracker,
    pub(crate) stopping: CancellationToken,
    pub(crate) syncs_in_flight: AtomicU32,
    /// Held while a connection's status is read and changed, so that an old success does not cover a new failure.
    pub(crate) statuses: tokio::sync::Mutex<()>,
    store_offset_us: AtomicI64,
    is_offset_known: AtomicBool,
    fenced: AtomicBool,
    closing: AtomicBool,
}

impl Context {
    pub(crate) fn new(parts: SchedulerParts, ownership: Ownership) -> Self {
        let configs = Configs::new(parts.settings.accounts_cached_max);
        Self {
            parts,
            writebacks_in_store: Semaphore::new(WRITEBACKS_IN_STORE_MAX),
            ownership,
            arrears: Arrears::default(),
            missed: Missed::default(),
            untrusted: Untrusted::default(),
            caught_up: Notify::new(),
            routes: TaskTracker::new(),
            delivery_bell: Notify::new(),
            relay_bell: Notify::new(),
            job_bell: Notify::new(),
            revocation_bell: Notify::new(),
            tokens: Tokens::default(),
            turns: Turns::default(),
            ringing: Ringing::default(),
            outbound: Outbound::default(),
            silence: Said::default(),
            directory: Directory::default(),
            configs,
            refusals: Refusals::default(),
            supervisor: OnceLock::new(),
            tasks: TaskTracker::new(),
            stopping: CancellationToken::new(),
            syncs_in_flight: AtomicU32::new(0),
            statuses: tokio::sync::Mutex::new(()),
            store_offset_us: AtomicI64::new(0),
            is_offset_known: AtomicBool::new(false),
            fenced: AtomicBool::new(false),
            closing: AtomicBool::new(false),
        }
    }

    /// The store's clock, as far as this node knows it.
    pub(crate) fn store_now(&self) -> Timestamp {
        self.parts.clock.now().plus_micros(self.store_offset_us.load(Ordering::Relaxed))
    }

    /// An instant of this node's clock, by the store's.
    pub(crate) fn by_store_clock(&self, node_time: Timestamp) -> Timestamp {
        node_time.plus_micros(self.store_offset_us.load(Ordering::Relaxed))
    }

    /// Time left until an instant of this node's clock.
    pub(crate) fn left_until(&self, deadline: Timestamp) -> Duration {
        deadline.saturating_since(self.parts.clock.now())
    }

    /// Asks the store for its clock, and keeps the difference. Says how long the answer took.
    pub(crate) async fn measure_offset(&self) -> Result<Duration, StoreError> {
        let before = self.parts.clock.now();
        let store_now = self.parts.store.store_now().await?;
        let after = self.parts.clock.now();
        let known = self.is_offset_known.load(Ordering::Relaxed).then(|| self.store_offset_us.load(Ordering::Relaxed));
        let offset_us = offset_by(known, before, store_now, after);
        self.store_offset_us.store(offset_us, Ordering::Relaxed);
        self.is_offset_known.store(true, Ordering::Relaxed);
        ::metrics::gauge!(metrics::STORE_CLOCK_OFFSET).set(offset_us as f64 / 1e6);
        Ok(after.saturating_since(before))
    }

    /// Age beyond which facts of a provider's calendars count as stale; `None` where nothing ages.
    pub(crate) fn stale_after(&self, kind: ProviderKind) -> Option<MaxAge> {
        if kind == ProviderKind::Internal {
            return None;
        }
        let pace = self.pace(kind);
        Some(pace.map_or_else(|| STALE_AFTER_WITHOUT_PROVIDER.into(), |pace| pace.stale_after()))
    }

    /// Age beyond which a question about a provider's calendars is a reason to look again; `None` where nothing ages.
    pub(crate) fn look_after(&self, kind: ProviderKind) -> Option<MaxAge> {
        self.pace(kind).map_or_else(|| self.stale_after(kind), |pace| Some(pace.look_after()))
    }

    /// How often calendars of a provider are asked; `None` where this process does not have it.
    pub(crate) fn pace(&self, kind: ProviderKind) -> Option<Pace> {
        let (fast, slow) = self.parts.providers.get(kind)?.poll_intervals();
        let SchedulerSettings { watched_sweep_interval: swept, watched_asked_interval: asked, .. } =
            self.parts.settings;
        Some(Pace { fast, slow, swept, asked })
    }

    /// The store refused what was done under an epoch: somebody else took the shard over. A node that is alone lost
    /// everything by that; one of several ends with the shard, and looks at the map.
    pub(crate) fn fence(&self, shard: Shard, epoch: Epoch) {
        if self.ownership.is_alone() {
            if !self.fenced.swap(true, Ordering::SeqCst) {
                tracing::error!(epoch = epoch.0, "another process owns the store now; no more commits here");
            }
            return;
        }
        tracing::warn!(shard = shard.number(), epoch = epoch.0, "a shard was taken over by another node");
        self.ownership.drop_shard(shard, epoch);
        self.end_slots(false);
        self.ownership.look.notify_one();
    }

    /// Whether a calendar is awake under the ownership that counts.
    pub(crate) fn is_current(&self, slot: &Slot) -> bool {
        self.ownership.held(Shard::of(slot.account_id)) == Some(slot.epoch)
    }

    pub(crate) fn close(&self) {
        self.closing.store(true, Ordering::SeqCst);
    }

    pub(crate) fn is_closing(&self) -> bool {
        self.closing.load(Ordering::SeqCst)
    }

    pub(crate) fn takes_commits(&self) -> bool {
        !self.is_closing() && !self.fenced.load(Ordering::SeqCst)
    }

    /// Runs IO beside an actor and sends what it comes to, or what stands for a panic in it.
    pub(crate) fn run_for<M: Message>(
        &self,
        actor: &ActorRef<M>,
        io: impl Future<Output = M> + Send + 'static,
        on_panic: impl FnOnce() -> M + Send + 'static,
    ) {
        let actor = actor.clone();
        self.tasks.spawn(async move {
            let message = AssertUnwindSafe(io).catch_unwind().await.unwrap_or_else(|_| on_panic());
            // An actor that stopped meanwhile needs no result: it starts again from the store.
            let _ = actor.send_message(message);
        });
    }
}

/// How many microseconds the store's clock is ahead, by a look at it between two instants of one's own. When in between it was
/// read nobody knows, so an answer that was long on its way says little: what is known stays, as far as it can be true.
fn offset_by(known: Option<i64>, before: Timestamp, store_now: Timestamp, after: Timestamp) -> i64 {
    let (least, most) = (store_now.micros_since(after), store_now.micros_since(before));
    match known {
        // One's own clock was set back meanwhile.
        _ if least > most => least,
        Some(known) => known.clamp(least, most),
        None => least + (most - least) / 2,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Lesson: a connection that held a question back for 13 s made a node think the store 6 s ahead, so that it offered
    /// what was held.
    #[test]
    fn an_answer_that_took_long_says_little_of_the_clock() {
        let check = |known: Option<i64>, before: i64, store_now: i64, after: i64, expected: i64| {
            let [before, store_now, after] = [before, store_now, after].map(Timestamp::from_micros);
            assert_eq!(
                offset_by(known, before, store_now, after),
                expected,
                "{known:?} {before:?} {store_now:?} {after:?}"
            );
        };
        check(None, 100, 1_150, 200, 1_000);
        check(Some(1_010), 100, 1_150, 200, 1_010);
        check(Some(1_010), 100, 14_000, 13_000, 1_010);
        check(Some(1_010), 100, 1_100, 13_000, 1_000);
        // It is known better than before, or has moved.
        check(Some(1_010), 100, 1_104, 102, 1_004);
        check(Some(1_010), 100, 1_204, 102, 1_102);
        check(Some(-70), 100, 40, 120, -70);
        // The own clock was set back by an hour in between.
        check(Some(5), 3_600_000_000, 3_600_000_010, 20, 3_599_999_990);
    }
}
