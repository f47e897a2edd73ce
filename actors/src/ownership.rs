//! What this node owns, as far as it knows: shards with their epochs, and until when by its own reckoning.
//!
//! The store's rows are the truth. What is kept here is a copy that runs out by itself: a node that cannot renew its lease
//! stops acting for its shards before anybody else may take them.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use agentcal_engine::planted;
use agentcal_engine::ports::{BEAT_TTL, Membership, NodeRecord, Ownership as Row, ShardMap};
use agentcal_engine::shard::{Epoch, NodeId, SHARD_COUNT, Shard};
use agentcal_engine::time::Timestamp;
use arc_swap::{ArcSwap, ArcSwapOption};
use tokio::sync::Notify;
use tokio::time::Instant;

/// How long a node that kept silent is not asked for facts again.
const SILENCE_REMEMBERED: Duration = Duration::from_secs(1);

/// Where a shard's owner is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Place {
    /// It is this node.
    Here(Epoch),
    /// It is another one, which lives as far as known.
    There(NodeRecord, Epoch),
    /// This node is just handing it over.
    Moving,
    /// Nobody who could be asked.
    Nowhere,
}

/// Who owns what.
#[derive(Clone, Debug)]
struct View {
    map: Arc<ShardMap>,
    nodes: Vec<NodeRecord>,
    /// Own shards whose epoch turned out to be superseded, until the map says so.
    fenced: BTreeMap<Shard, Epoch>,
    /// Own shards that are being handed over: whoever gets one may act for it before this node hears that it went.
    handing: BTreeSet<Shard>,
}

impl View {
    fn new(map: ShardMap, nodes: Vec<NodeRecord>) -> Self {
        Self { map: Arc::new(map), nodes, fenced: BTreeMap::new(), handing: BTreeSet::new() }
    }

    /// The epoch of a shard that is this node's, as far as is known.
    fn own(&self, shard: Shard, me: NodeId) -> Option<Epoch> {
        let row = self.map.shards.get(usize::from(shard.number()))?;
        let is_own = row.owner == Some(me) && self.fenced.get(&shard) != Some(&row.epoch);
        is_own.then_some(row.epoch)
    }
}

/// For how long the view may be acted on.
#[derive(Clone, Copy, Debug)]
enum Lease {
    /// Nobody else is there to take anything.
    Forever,
    /// Counted from before the renewal was sent. Whoever renewed its own after `known_since`, by the store's clock, knows that
    /// this node lives. `runs_out_at`: by the store's clock, unless it is renewed.
    Until { until: Instant, runs_out_at: Timestamp, known_since: Timestamp },
    /// There is none.
    Ended,
}

/// What a renewal changed.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Learned {
    /// Shards that are this node's now and were not, or under another epoch.
    pub(crate) began: Vec<Shard>,
    /// The lease had run out meanwhile: whatever is known of own shards may have been missed.
    pub(crate) begins_anew: bool,
}

pub(crate) struct Ownership {
    node: Mutex<NodeRecord>,
    me: NodeId,
    is_alone: bool,
    view: ArcSwap<View>,
    lease: ArcSwap<Lease>,
    /// The last renewal of which everything it told is known here: when it was sent, and the store's clock then.
    learned: ArcSwapOption<(Instant, Timestamp)>,
    has_left: AtomicBool,
    silent: Mutex<BTreeMap<NodeId, Instant>>,
    /// Rings when the map should be looked at now.
    pub(crate) look: Notify,
    /// Held by whoever talks to the store about shards.
    pub(crate) turn: tokio::sync::Mutex<()>,
}

impl Ownership {
    /// A node that is alone: it owns everything under one epoch, and nobody takes it away but by raising the epoch.
    pub(crate) fn alone(node: NodeRecord, epoch: Epoch) -> Self {
        let row = Row { owner: Some(node.id), epoch };
        let map = ShardMap { version: 1, shards: vec![row; usize::from(SHARD_COUNT)] };
        let view = View::new(map, vec![node.clone()]);
        Self::new(node, true, view, Lease::Forever)
    }

    /// One of several, before its first renewal: it owns nothing.
    pub(crate) fn among_others(node: NodeRecord) -> Self {
        let nobodys = Row { owner: None, epoch: Epoch(0) };
        let map = ShardMap { version: 0, shards: vec![nobodys; usize::from(SHARD_COUNT)] };
        let view = View::new(map, Vec::new());
        Self::new(node, false, view, Lease::Ended)
    }

    fn new(node: NodeRecord, is_alone: bool, view: View, lease: Lease) -> Self {
        Self {
            me: node.id,
            node: Mutex::new(node),
            is_alone,
            view: ArcSwap::from_pointee(view),
            lease: ArcSwap::from_pointee(lease),
            learned: ArcSwapOption::empty(),
            has_left: AtomicBool::new(false),
            silent: Mutex::default(),
            look: Notify::new(),
            turn: tokio::sync::Mutex::new(()),
        }
    }

    pub(crate) fn is_alone(&self) -> bool {
        self.is_alone
    }

    pub(crate) fn me(&self) -> NodeId {
        self.me
    }

    /// Whose due rows this node works through; `None`: everybody's.
    pub(crate) fn only_own(&self) -> Option<NodeId> {
        (!self.is_alone).then_some(self.me)
    }

    pub(crate) fn node(&self) -> NodeRecord {
        lock(&self.node).clone()
    }

    pub(crate) fn begin_draining(&self) {
        lock(&self.node).is_draining = true;
    }

    pub(crate) fn nodes(&self) -> Vec<NodeRecord> {
        self.view.load().nodes.clone()
    }

    pub(crate) fn map(&self) -> Arc<ShardMap> {
        Arc::clone(&self.view.load().map)
    }

    /// The epoch of a shard of this node, whether or not its lease still lasts.
    pub(crate) fn held(&self, shard: Shard) -> Option<Epoch> {
        let view = self.view.load();
        view.own(shard, self.me).filter(|_| !view.handing.contains(&shard))
    }

    /// The same, also while it is being handed over, which may yet come to nothing.
    pub(crate) fn own(&self, shard: Shard) -> Option<Epoch> {
        self.view.load().own(shard, self.me)
    }

    /// The epoch under which this node may act for a shard; `None` when it does not own it, or its lease may have run out.
    pub(crate) fn epoch_of(&self, shard: Shard) -> Option<Epoch> {
        if self.lasts() { self.held(shard) } else { None }
    }

    fn lasts(&self) -> bool {
        match **self.lease.load() {
            Lease::Forever => true,
            Lease::Until { until, .. } => Instant::now() < until || planted!(LeaseForever),
            Lease::Ended => false,
        }
    }

    /// Whether a node that renewed its lease at a time, by the store's clock, learned by it that this one lives: since then it
    /// tells this one when its beats end.
    pub(crate) fn was_known_at(&self, renewed_at: Timestamp) -> bool {
        self.lasts() && matches!(**self.lease.load(), Lease::Until { known_since, .. } if known_since < renewed_at)
    }

    /// The epoch under which this node may answer questions for a shard from memory. Commits without an epoch are heard of
    /// by renewals, so that facts in memory count no longer after one than a beat does.
    pub(crate) fn serves(&self, shard: Shard) -> Option<Epoch> {
        let is_current = self.is_alone
            || planted!(LeaseForever)
            || self.learned.load().as_ref().is_some_and(|of| of.0.elapsed() < BEAT_TTL);
        if is_current { self.epoch_of(shard) } else { None }
    }

    /// How the store's clock stood when everything others had done was last known here; `None` without a lease.
    pub(crate) fn learned_at(&self) -> Option<Timestamp> {
        let learned = self.learned.load();
        learned.as_ref().filter(|_| self.lasts()).map(|of| of.1)
    }

    /// Whether a renewal that was sent after an instant has told everything.
    pub(crate) fn has_learned_since(&self, instant: Instant) -> bool {
        self.learned.load().as_ref().is_some_and(|of| of.0 > instant)
    }

    /// What a renewal told has reached everything that is kept in memory.
    pub(crate) fn handle_learned(&self, sent: Instant, store_now: Timestamp) {
        self.learned.store(Some(Arc::new((sent, store_now))));
    }

    /// The epoch of a shard's row, whoever owns it.
    pub(crate) fn row_epoch(&self, shard: Shard) -> Epoch {
        self.view.load().map.shards.get(usize::from(shard.number())).map_or(Epoch(0), |row| row.epoch)
    }

    pub(crate) fn place(&self, shard: Shard) -> Place {
        if let Some(epoch) = self.epoch_of(shard) {
            return Place::Here(epoch);
        }
        let view = self.view.load();
        if view.handing.contains(&shard) {
            return Place::Moving;
        }
        let row = view.map.shards.get(usize::from(shard.number()));
        let other = row.and_then(|row| Some((row.owner.filter(|&owner| owner != self.me)?, row.epoch)));
        let Some((owner, epoch)) = other else { return Place::Nowhere };
        let record = view.nodes.iter().find(|node| node.id == owner);
        record.map_or(Place::Nowhere, |record| Place::There(record.clone(), epoch))
    }

    /// Takes in what a renewal brought. `sent` is when it was asked for.
    pub(crate) fn handle_renewed(&self, sent: Instant, ttl: Duration, membership: &Membership) -> Learned {
        let (begins_anew, known_since) = match **self.lease.load() {
            // A renewal that was sent in time may have been late in the store.
            Lease::Until { until, runs_out_at, known_since } => {
                (until <= sent || runs_out_at <= membership.store_now, Some(known_since))
            }
            Lease::Forever | Lease::Ended => (false, None),
        };
        // Not before the store had it: the store's clock was read between when it was sent and now.
        let known_since = known_since.filter(|_| !begins_anew).unwrap_or_else(|| membership.store_now + sent.elapsed());
        let before = self.view.load_full();
        let map = membership.map.as_ref().map_or_else(|| Arc::clone(&before.map), |map| Arc::new(map.clone()));
        let still = |(shard, epoch): (&Shard, &Epoch)| epoch_at(&map, *shard) == Some(*epoch);
        let fenced = before.fenced.iter().filter(|&entry| still(entry)).map(|(&shard, &epoch)| (shard, epoch));
        let view = View { fenced: fenced.collect(), handing: BTreeSet::new(), nodes: membership.nodes.clone(), map };
        let began = Shard::all().zip(&view.map.shards).filter(|(shard, row)| {
            let is_known = before.map.shards.get(usize::from(shard.number())) == Some(*row);
            row.owner == Some(self.me) && !is_known
        });
        let began = began.map(|(shard, _)| shard).collect();
        self.view.store(Arc::new(view));
        let runs_out_at = membership.store_now + ttl;
        self.lease.store(Arc::new(Lease::Until { until: sent + ttl, runs_out_at, known_since }));
        Learned { began, begins_anew }
    }

    /// These shards are about to be another's. What follows from it is known at the next renewal.
    pub(crate) fn begin_handing(&self, shards: &[(Shard, NodeId)]) {
        self.view.rcu(|view| {
            let mut view = View::clone(view);
            view.handing.extend(shards.iter().map(|&(shard, _)| shard));
            view
        });
    }

    /// Nothing is this node's any more, for good.
    pub(crate) fn end(&self) {
        self.has_left.store(true, Ordering::SeqCst);
        self.lease.store(Arc::new(Lease::Ended));
    }

    /// Whether this node has given up its lease.
    pub(crate) fn has_left(&self) -> bool {
        self.has_left.load(Ordering::SeqCst)
    }

    /// The store refused what was done under an epoch: the shard is somebody else's.
    pub(crate) fn drop_shard(&self, shard: Shard, epoch: Epoch) {
        self.view.rcu(|view| {
            let mut view = View::clone(view);
            view.fenced.insert(shard, epoch);
            view
        });
    }

    /// Another node did not answer.
    pub(crate) fn note_silence(&self, node: NodeId) {
        lock(&self.silent).insert(node, Instant::now());
    }

    /// Whether a node was silent a moment ago.
    pub(crate) fn is_silent(&self, node: NodeId) -> bool {
        let mut silent = lock(&self.silent);
        silent.retain(|_, since| since.elapsed() < SILENCE_REMEMBERED);
        silent.contains_key(&node)
    }
}

fn epoch_at(map: &ShardMap, shard: Shard) -> Option<Epoch> {
    map.shards.get(usize::from(shard.number())).map(|row| row.epoch)
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    // Every change is one step, so a panic beside the lock left nothing half done.
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use agentcal_engine::ports::ChangeCounters;
    use uuid::Uuid;

    use super::*;

    const TTL: Duration = Duration::from_secs(10);

    fn at(seconds: i64) -> Timestamp {
        Timestamp::from_seconds(seconds)
    }

    fn renewed_at(store_now: Timestamp) -> Membership {
        let counters = ChangeCounters { keys: 0, config: 0 };
        Membership { store_now, nodes: Vec::new(), map: None, counters, touched: Vec::new() }
    }

    #[tokio::test(start_paused = true)]
    async fn others_know_a_node_from_when_it_began_or_began_anew() {
        // Seconds from one renewal to the next: until it is sent, and until it is in the store.
        for (sent_after, stored_after, begins_anew) in
            [(5, 5, false), (9, 9, false), (9, 10, true), (10, 10, true), (20, 20, true)]
        {
            let node = NodeRecord {
                id: NodeId(Uuid::from_u128(1)),
                address: String::new(),
                started_at: at(0),
                is_draining: false,
            };
            let ownership = Ownership::among_others(node);
            assert!(!ownership.was_known_at(at(1_000)), "there is no lease yet");
            let first = ownership.handle_renewed(Instant::now(), TTL, &renewed_at(at(100)));
            assert!(!first.begins_anew && ownership.was_known_at(at(101)) && !ownership.was_known_at(at(100)));
            tokio::time::advance(Duration::from_secs(sent_after)).await;
            let sent = Instant::now();
            tokio::time::advance(Duration::from_secs(stored_after - sent_after)).await;
            let now = at(100 + i64::try_from(stored_after).expect("a few seconds"));
            let next = ownership.handle_renewed(sent, TTL, &renewed_at(now));
            assert_eq!(next.begins_anew, begins_anew, "sent after {sent_after} s, stored after {stored_after} s");
            assert_eq!(ownership.was_known_at(at(101)), !begins_anew);
            assert!(ownership.was_known_at(now + Duration::from_secs(2)));
        }
    }
}
