//! Asking providers no more often than they put up with: whoever wants to ask first has its turn here.
//!
//! Buckets are shared by all nodes. How many requests of one connection are under way is counted in this process, which
//! is enough: all calendars of an account have one owner.

use std::collections::BTreeMap;
use std::num::NonZeroU32;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};
use std::time::Duration;

use agentcal_engine::ids::ConnectionId;
use agentcal_engine::limits::{LimitKey, LimitKind, ProviderLimits, Rate, Urgency, turn_after};
use agentcal_engine::model::ProviderKind;
use agentcal_engine::ports::{CellsWanted, ProviderError};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::time::{Instant, sleep, timeout_at};

use crate::context::Context;
use crate::metrics;

/// A pause for a provider that asks to slow down and does not say for how long.
const PAUSE_UNSAID: Duration = Duration::from_secs(5);
/// Longest pause of a connection.
const PAUSE_MAX: Duration = Duration::from_secs(3_600);
/// Longest pause of everybody in one client's name: then one of them looks again.
const CLIENT_PAUSE_MAX: Duration = Duration::from_secs(60);
/// Connections remembered before those are dropped that nobody asks about.
const PLACES_KEPT: usize = 1_024;

/// Places of connections that something is under way for.
#[derive(Default)]
pub(crate) struct Outbound(Mutex<Kept>);

#[derive(Default)]
struct Kept {
    places: BTreeMap<ConnectionId, Weak<Places>>,
    swept_at_len: usize,
}

/// How many requests of one connection may be under way. What a booking waits for finds a place that nothing else takes.
struct Places {
    all: Arc<Semaphore>,
    others: Arc<Semaphore>,
}

/// What a provider is asked.
#[derive(Clone, Copy)]
pub(crate) enum Operation {
    FullSync,
    IncrementalSync,
    SpotCheck,
    Watch,
    Unwatch,
    WriteEvent,
    DeleteEvent,
    Conference,
}

impl Operation {
    /// How metrics and logs call it.
    pub(crate) fn as_str(self) -> &'static str {
        match self {
            Self::FullSync => "full_sync",
            Self::IncrementalSync => "incremental_sync",
            Self::SpotCheck => "spot_check",
            Self::Watch => "watch",
            Self::Unwatch => "unwatch",
            Self::WriteEvent => "write_event",
            Self::DeleteEvent => "delete_event",
            Self::Conference => "conference",
        }
    }

    pub(crate) fn urgency(self) -> Urgency {
        match self {
            Self::FullSync | Self::Watch | Self::Unwatch => Urgency::Background,
            Self::IncrementalSync => Urgency::Freshness,
            Self::SpotCheck | Self::WriteEvent | Self::DeleteEvent | Self::Conference => Urgency::Booking,
        }
    }
}

/// Whom a request is about, and what is put up with.
pub(crate) struct Asker {
    pub(crate) provider: ProviderKind,
    pub(crate) connection_id: ConnectionId,
    pub(crate) limits: ProviderLimits,
    pub(crate) urgency: Urgency,
}

/// Leave to ask, once. Its place is free again when it is dropped.
#[derive(Default)]
pub(crate) struct Turn {
    _places: [Option<OwnedSemaphorePermit>; 2],
    /// Keeps the places while somebody stands on them.
    _of: Option<Arc<Places>>,
}

impl Context {
    /// Waits for a turn, for as long as the urgency allows, and no longer than this node runs.
    pub(crate) async fn turn(&self, asker: &Asker) -> Result<Turn, ProviderError> {
        tokio::select! {
            biased;
            turn = self.wait_for_turn(asker) => turn,
            () = self.stopping.cancelled() => Err(ProviderError::Unavailable("this node stops".into())),
        }
    }

    async fn wait_for_turn(&self, asker: &Asker) -> Result<Turn, ProviderError> {
        let until = Instant::now() + asker.urgency.patience();
        let turn = self.place(asker, until).await?;
        if let Some(rate) = asker.limits.mailbox {
            self.cell(asker.mailbox(), rate, asker.urgency, until).await?;
        }
        if let Some((key, rate)) = asker.client() {
            self.cell(key, rate, asker.urgency, until).await?;
        }
        Ok(turn)
    }

    async fn place(&self, asker: &Asker, until: Instant) -> Result<Turn, ProviderError> {
        let Some(at_once) = asker.limits.mailbox_at_once else { return Ok(Turn::default()) };
        let places = self.outbound.places(asker.connection_id, at_once);
        let taken = async {
            let is_booking = asker.urgency == Urgency::Booking;
            let other = if is_booking { None } else { Some(acquire(&places.others).await) };
            [other, Some(acquire(&places.all).await)]
        };
        let Ok(_places) = timeout_at(until, taken).await else {
            count(LimitKind::Mailbox, "refused");
            return Err(ProviderError::RateLimited { retry_after: Some(PAUSE_UNSAID), of: LimitKind::Mailbox });
        };
        Ok(Turn { _places, _of: Some(places) })
    }

    async fn cell(&self, key: LimitKey, rate: Rate, urgency: Urgency, until: Instant) -> Result<(), ProviderError> {
        let wanted = CellsWanted { key, rate, most: 1, spare: urgency.spares(&rate) };
        let mut outcome = "allowed";
        loop {
            let given = self.parts.quotas.take(&wanted).await;
            if given.cells > 0 {
                count(key.kind, outcome);
                return Ok(());
            }
            let left = until.saturating_duration_since(Instant::now());
            let Some(turn) = turn_after(given.wait, left, &*self.parts.entropy) else {
                count(key.kind, "refused");
                return Err(ProviderError::RateLimited { retry_after: Some(given.wait), of: key.kind });
            };
            outcome = "waited";
            sleep(turn).await;
        }
    }

    /// A provider asked to slow down: everybody whom that concerns does, on every node.
    pub(crate) async fn slow_down(&self, asker: &Asker, retry_after: Option<Duration>, of: LimitKind) {
        let asked = retry_after.unwrap_or(PAUSE_UNSAID);
        match (of, asker.client()) {
            (LimitKind::Client, Some((client, _))) => {
                self.parts.quotas.pause(client, asked.min(CLIENT_PAUSE_MAX)).await;
            }
            _ if asker.limits.mailbox.is_some() => {
                self.parts.quotas.pause(asker.mailbox(), asked.min(PAUSE_MAX)).await;
            }
            // Without a bucket there is nothing to close; whoever asked waits by itself.
            _ => {}
        }
    }
}

impl Asker {
    fn mailbox(&self) -> LimitKey {
        LimitKey::of_mailbox(self.connection_id)
    }

    fn client(&self) -> Option<(LimitKey, Rate)> {
        let (name, rate) = self.limits.client.as_ref()?;
        Some((LimitKey::of_client(self.provider, name), *rate))
    }
}

impl Outbound {
    fn places(&self, connection_id: ConnectionId, at_once: NonZeroU32) -> Arc<Places> {
        let mut kept = self.kept();
        if let Some(places) = kept.places.get(&connection_id).and_then(Weak::upgrade) {
            return places;
        }
        if kept.places.len() >= PLACES_KEPT.max(2 * kept.swept_at_len) {
            kept.places.retain(|_, places| places.strong_count() > 0);
            kept.swept_at_len = kept.places.len();
        }
        let places = Arc::new(Places::new(at_once));
        kept.places.insert(connection_id, Arc::downgrade(&places));
        places
    }

    fn kept(&self) -> MutexGuard<'_, Kept> {
        // Every change is one step, so a panic beside the lock left nothing half done.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Places {
    fn new(at_once: NonZeroU32) -> Self {
        let all = usize::try_from(at_once.get()).unwrap_or(usize::MAX).min(Semaphore::MAX_PERMITS);
        Self { all: Arc::new(Semaphore::new(all)), others: Arc::new(Semaphore::new((all - 1).max(1))) }
    }
}

async fn acquire(places: &Arc<Semaphore>) -> OwnedSemaphorePermit {
    Arc::clone(places).acquire_owned().await.expect("places are never closed")
}

fn count(kind: LimitKind, outcome: &'static str) {
    ::metrics::counter!(metrics::LIMITS, "kind" => kind.as_str(), "outcome" => outcome).increment(1);
}
