//! What outlives a crash.

use std::collections::VecDeque;
use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use agentcal_engine::ports::{Clock, Entropy, StoreError};
use agentcal_engine::time::Timestamp;

use crate::draw;
use crate::line::Line;
use crate::settings::{Planted, Settings, SlowPhases};
use crate::state::{Done, Present, State, Work};
use crate::store::SimStore;
use crate::view::View;

/// How long what was committed may stay in memory under [`Planted::AckBeforeDurable`].
const LAZY_FLUSH: Duration = Duration::from_secs(2);

/// The durable part of a simulated store. Clones are one disk.
#[derive(Clone)]
pub struct Disk {
    inner: Arc<Mutex<Inner>>,
    clock: Arc<dyn Clock>,
    entropy: Arc<dyn Entropy>,
}

impl fmt::Debug for Disk {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Disk").field("settings", &self.lock().settings).finish_non_exhaustive()
    }
}

/// How a write is to end, whatever the settings say.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fate {
    /// Not performed, and the caller hears that the store is unavailable.
    Unavailable,
    /// Performed, yet the caller hears that the store is unavailable.
    DoubtPerformed,
    /// The same to the caller, and not performed.
    DoubtLost,
}

struct Inner {
    state: State,
    /// The state as it was last flushed, while later commits are in memory only.
    flushed: Option<(State, Timestamp)>,
    settings: Settings,
    /// Raised by every crash; connections of an earlier one are dead.
    life: u64,
    fates: VecDeque<Fate>,
    phase: Phase,
    /// The latest instant its clock showed.
    latest: Timestamp,
}

/// Whether the disk is slow, and until when it stays as it is; unknown until somebody looks. By the true clock: instants of
/// runtimes cannot be compared with those of others, and every life of a node has a runtime of its own.
#[derive(Clone, Copy)]
struct Phase {
    is_slow: bool,
    until: Option<Timestamp>,
}

const UNDRAWN: Phase = Phase { is_slow: true, until: None };

/// The course a transaction will take.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Course {
    /// Time until it happens.
    pub(crate) before: Duration,
    /// Time from then until the answer.
    pub(crate) after: Duration,
    pub(crate) fate: Option<Fate>,
}

/// Whether a transaction changes anything.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Access {
    Read,
    Write,
}

/// A connection of a life that is over: whoever asks through it never hears.
#[derive(Debug)]
pub(crate) struct Crashed;

impl Disk {
    /// An empty disk. `clock` is the store's clock, up to [`Settings::clock_offset_us`]; `entropy` decides about latency
    /// and faults.
    pub fn new(clock: Arc<dyn Clock>, entropy: Arc<dyn Entropy>) -> Self {
        let inner = Inner {
            state: State::default(),
            flushed: None,
            settings: Settings::default(),
            life: 0,
            fates: VecDeque::new(),
            phase: UNDRAWN,
            latest: Timestamp::EARLIEST,
        };
        Self { inner: Arc::new(Mutex::new(inner)), clock, entropy }
    }

    /// A node's connection. It lives until the next crash.
    pub fn connect(&self) -> SimStore {
        SimStore::new(self.clone(), self.lock().life)
    }

    /// A connection of one of several nodes, over a way that can be broken. In a crash what is under way fails, in doubt;
    /// afterwards it serves again. [`View::notes`] name the writer by this number.
    pub fn connect_for_good(&self, writer: u32, line: Line) -> SimStore {
        SimStore::lasting(self.clone(), writer, line)
    }

    /// Ends all connections at once. What was committed stays; what was under way at that moment is there whole where it
    /// had happened, and not at all where it had not; nobody who waits for an answer hears one.
    pub fn crash(&self) {
        let mut inner = self.lock();
        inner.life += 1;
        inner.fates.clear();
        if let Some((flushed, _)) = inner.flushed.take() {
            inner.state = flushed;
        }
    }

    /// How it behaves now.
    pub fn settings(&self) -> Settings {
        self.lock().settings.clone()
    }

    /// Makes it behave otherwise, from the next transaction on.
    pub fn set(&self, settings: Settings) {
        let mut inner = self.lock();
        if inner.settings.slow != settings.slow {
            inner.phase = UNDRAWN;
        }
        if inner.settings.clock_offset_us != settings.clock_offset_us {
            // Somebody set the store's clock, and that may well be back.
            inner.latest = Timestamp::EARLIEST;
        }
        inner.settings = settings;
    }

    /// Changes how it behaves, from the next transaction on.
    pub fn adjust(&self, change: impl FnOnce(&mut Settings)) {
        let mut settings = self.settings();
        change(&mut settings);
        self.set(settings);
    }

    /// Lets the next write end like this; said several times, the writes after it. A crash forgets what was not used.
    pub fn next_write(&self, fate: Fate) {
        self.lock().fates.push_back(fate);
    }

    /// Everything it holds, as committed; for checkers.
    pub fn view(&self) -> View {
        let now = self.now();
        View::new(self.lock().state.clone(), now)
    }

    /// The store's clock. It never goes back, whoever asks: simulated nodes take turns of a moment each, and one that
    /// comes later in a turn would otherwise find the store's clock where it stood when the turn began.
    pub fn now(&self) -> Timestamp {
        let now = self.clock.now();
        let mut inner = self.lock();
        let now = now.plus_micros(inner.settings.clock_offset_us);
        inner.latest = inner.latest.max(now);
        inner.latest
    }

    /// What lies before a transaction.
    pub(crate) fn course(&self, access: Access) -> Course {
        let now = self.clock.now();
        let mut inner = self.lock();
        let entropy = &*self.entropy;
        let latency = inner.latency(now, entropy);
        let before = match u64::try_from(latency.as_micros()).unwrap_or(u64::MAX) {
            0 => Duration::ZERO,
            micros => Duration::from_micros(draw::below(entropy, micros.saturating_add(1))),
        };
        let fate = inner.fate(access, entropy);
        Course { before, after: latency.saturating_sub(before), fate }
    }

    /// How often it crashed.
    pub(crate) fn life(&self) -> u64 {
        self.lock().life
    }

    /// Whether a connection of this life still stands.
    pub(crate) fn lives(&self, life: u64) -> bool {
        self.lock().life == life
    }

    /// Looks at the state, at one instant.
    pub(crate) fn look<T>(&self, life: u64, look: impl FnOnce(&State, &Present) -> T) -> Result<T, Crashed> {
        let now = self.now();
        let inner = self.lock();
        if inner.life != life {
            return Err(Crashed);
        }
        Ok(look(&inner.state, &inner.present(now, 0)))
    }

    /// Performs a transaction, at one instant.
    pub(crate) fn perform<T>(
        &self,
        life: u64,
        writer: u32,
        transaction: impl FnOnce(&mut Work<'_>) -> Result<Done<T>, StoreError>,
    ) -> Result<Result<T, StoreError>, Crashed> {
        let (now, true_now) = (self.now(), self.clock.now());
        let mut inner = self.lock();
        if inner.life != life {
            return Err(Crashed);
        }
        inner.flush(true_now);
        let present = inner.present(now, writer);
        Ok(Work::perform(&mut inner.state, present, transaction))
    }

    fn lock(&self) -> MutexGuard<'_, Inner> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Inner {
    fn present(&self, now: Timestamp, writer: u32) -> Present {
        Present { now, writer, planted: self.settings.planted.clone() }
    }

    /// Before a write: what was flushed lazily is flushed when its time has come, and what is to be flushed lazily from now
    /// on begins here.
    fn flush(&mut self, now: Timestamp) {
        let is_lazy = self.settings.planted.contains(&Planted::AckBeforeDurable);
        if self.flushed.as_ref().is_some_and(|(_, since)| !is_lazy || now.saturating_since(*since) >= LAZY_FLUSH) {
            self.flushed = None;
        }
        if is_lazy && self.flushed.is_none() {
            self.flushed = Some((self.state.clone(), now));
        }
    }

    fn latency(&mut self, now: Timestamp, entropy: &dyn Entropy) -> Duration {
        let slow = self.settings.slow;
        let span = match slow {
            Some(slow) if self.is_slow(slow, now, entropy) => slow.latency,
            _ => self.settings.latency,
        };
        draw::length(entropy, span)
    }

    /// Phases that ended while nobody looked are drawn one after the other, so that what they are does not depend on who
    /// looks when.
    fn is_slow(&mut self, slow: SlowPhases, now: Timestamp, entropy: &dyn Entropy) -> bool {
        let mut from = self.phase.until.unwrap_or(now);
        while self.phase.until.is_none() || from <= now {
            let is_slow = !self.phase.is_slow;
            let length = draw::length(entropy, if is_slow { slow.length } else { slow.gap });
            // A phase lasts some time, so that this loop ends.
            from = from + length.max(Duration::from_millis(1));
            self.phase = Phase { is_slow, until: Some(from) };
        }
        self.phase.is_slow
    }

    fn fate(&mut self, access: Access, entropy: &dyn Entropy) -> Option<Fate> {
        if access == Access::Write
            && let Some(fate) = self.fates.pop_front()
        {
            return Some(fate);
        }
        if draw::happens(entropy, self.settings.unavailable_per_mille) {
            return Some(Fate::Unavailable);
        }
        if access == Access::Write && draw::happens(entropy, self.settings.doubt_per_mille) {
            let is_performed = draw::happens(entropy, 500);
            return Some(if is_performed { Fate::DoubtPerformed } else { Fate::DoubtLost });
        }
        None
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicI64, Ordering};

    use super::*;
    use crate::draw::Seeded;
    use crate::settings::Span;

    struct Hands(AtomicI64);

    impl Clock for Hands {
        fn now(&self) -> Timestamp {
            Timestamp::from_micros(self.0.load(Ordering::SeqCst))
        }
    }

    /// Every life of a node has a runtime, whose instants begin when it is made: by real time, which no seed replays.
    #[test]
    fn slow_phases_do_not_depend_on_the_runtimes_that_look() {
        let runtime = || tokio::runtime::Builder::new_current_thread().enable_time().start_paused(true).build();
        let courses = |lives: usize| {
            let hands = Arc::new(Hands(AtomicI64::new(0)));
            let disk = Disk::new(Arc::clone(&hands) as _, Arc::new(Seeded::new(1)));
            let (gap, latency) = (Span::millis(1_000, 20_000), Span::millis(100, 100));
            disk.adjust(|settings| settings.slow = Some(SlowPhases { gap, length: gap, latency }));
            let lived = |life: usize| {
                let (hands, disk) = (&hands, &disk);
                let runtime = runtime().expect("a runtime");
                runtime.block_on(async move {
                    let mut seen = Vec::new();
                    for _ in 0..600 / lives {
                        tokio::time::advance(Duration::from_secs(1)).await;
                        hands.0.fetch_add(1_000_000, Ordering::SeqCst);
                        let Course { before, after, .. } = disk.course(Access::Read);
                        seen.push(before + after);
                    }
                    assert!(seen.contains(&Duration::ZERO) && seen.contains(&latency.longest), "life {life}: {seen:?}");
                    seen
                })
            };
            (0..lives).flat_map(lived).collect::<Vec<_>>()
        };
        let expected = courses(1);
        assert_eq!(courses(2), expected);
        assert_eq!(courses(10), expected);
    }
}
