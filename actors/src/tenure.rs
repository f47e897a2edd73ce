//! A node's time as an owner: it renews its lease, follows the map, takes what nobody has, gives what should be another's,
//! and leaves in order.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use agentcal_engine::calendar::watch::Ring;
use agentcal_engine::cluster::{Moves, Scene, moves};
use agentcal_engine::ids::{AccountId, CalendarId};
use agentcal_engine::planted;
use agentcal_engine::ports::{Membership, NodeRecord, StoreError};
use agentcal_engine::shard::{NodeId, Shard};
use futures::future::join_all;
use tokio::time::{Instant, sleep, timeout};

use crate::context::Context;

/// Most times a round looks at the map again because it changed something.
const LOOKS_MAX: u32 = 4;
/// Longest wait for a receiver to hear that it was given shards. It finds out by itself at its next renewal.
const TELL_DEADLINE: Duration = Duration::from_millis(200);
/// Longest wait for the store while leaving.
const LEAVE_DEADLINE: Duration = Duration::from_secs(5);
/// Longest wait for requests to find their new owners while leaving.
const ROUTES_DEADLINE: Duration = Duration::from_millis(900);

/// Renews the lease until the scheduler stops.
pub(crate) async fn run(context: Arc<Context>) {
    let rhythm = context.parts.settings.lease_renewal;
    loop {
        tokio::select! {
            biased;
            () = context.stopping.cancelled() => return,
            () = context.ownership.look.notified() => {}
            () = sleep(rhythm) => {}
        }
        // A round that panics must not be the last: it runs as a task of its own.
        let task = Arc::clone(&context);
        match tokio::spawn(async move { task.look_round().await }).await {
            Ok(Ok(())) => {}
            Ok(Err(error)) => tracing::warn!(%error, "the lease could not be renewed, or shards not be moved"),
            Err(error) => tracing::error!(%error, "a look at the shards failed inside"),
        }
    }
}

impl Context {
    /// Renews the lease and does what the map asks for: ends with what was lost, begins with what was given, takes what
    /// nobody has, hands over what should be another's.
    pub(crate) async fn look_round(self: &Arc<Self>) -> Result<(), StoreError> {
        let asked = Instant::now();
        let _turn = self.ownership.turn.lock().await;
        if self.ownership.has_left() || self.ownership.has_learned_since(asked) {
            // Somebody who wanted the same looked while this one waited for its turn.
            return Ok(());
        }
        for _ in 0..LOOKS_MAX {
            let membership = self.renew().await?;
            let map = self.ownership.map();
            let scene = Scene { me: self.ownership.me(), nodes: &membership.nodes, shards: &map.shards };
            let Moves { take, hand_over } = moves(&scene);
            if take.is_empty() && hand_over.is_empty() {
                return Ok(());
            }
            let taken = if take.is_empty() { Vec::new() } else { self.take(&take).await? };
            let given = if hand_over.is_empty() { Vec::new() } else { self.give(&hand_over).await? };
            if taken.is_empty() && given.is_empty() {
                return Ok(());
            }
            tracing::info!(taken = taken.len(), given = given.len(), "shards moved");
            if !given.is_empty() {
                // One round's worth was given: the next part waits for the next round.
                return self.renew().await.map(drop);
            }
        }
        Ok(())
    }

    async fn take(&self, shards: &[Shard]) -> Result<Vec<Shard>, StoreError> {
        let taken = self.parts.store.take_shards(self.ownership.me(), shards).await?;
        Ok(taken.into_iter().map(|(shard, _)| shard).collect())
    }

    async fn give(self: &Arc<Self>, shards: &[(Shard, NodeId)]) -> Result<Vec<Shard>, StoreError> {
        self.ownership.begin_handing(shards);
        self.end_slots(false);
        let given = self.parts.store.hand_over(self.ownership.me(), shards).await;
        // Until the map is read anew these shards are nobody's here.
        let given = given.inspect_err(|_| self.ownership.look.notify_one())?;
        let gone: BTreeSet<Shard> = given.iter().copied().collect();
        let receivers = shards.iter().filter(|(shard, _)| gone.contains(shard)).map(|&(_, receiver)| receiver);
        let (context, receivers) = (Arc::clone(self), receivers.collect());
        self.tasks.spawn(async move { context.tell_given(receivers).await });
        Ok(given)
    }

    async fn tell_given(&self, receivers: BTreeSet<NodeId>) {
        let Some(peers) = &self.parts.peers else { return };
        let nodes: Vec<NodeRecord> =
            self.ownership.nodes().into_iter().filter(|node| receivers.contains(&node.id)).collect();
        let told = nodes.iter().map(|node| timeout(TELL_DEADLINE, peers.shards_given(node)));
        for (node, told) in nodes.iter().zip(join_all(told).await) {
            if !matches!(told, Ok(Ok(()))) {
                tracing::info!(node = %node.id.0, "a node was given shards and could not be told; it will see");
            }
        }
    }

    /// Renews the lease, and brings what is kept in memory up to what was learned by it.
    async fn renew(self: &Arc<Self>) -> Result<Membership, StoreError> {
        let settings = &self.parts.settings;
        let sent = Instant::now();
        let (node, known) = (self.ownership.node(), self.ownership.map().version);
        let renewal = self.parts.store.renew_lease(&node, settings.lease_ttl, known);
        let renewed = timeout(settings.lease_renewal, renewal).await;
        let membership = renewed.map_err(|late| StoreError::Unavailable(late.into()))??;
        let nodes = u32::try_from(membership.nodes.len()).unwrap_or(u32::MAX);
        self.parts.quotas.share_among(nodes);
        let learned = self.ownership.handle_renewed(sent, settings.lease_ttl, &membership);
        if learned.begins_anew {
            tracing::warn!("the lease had run out; beginning anew");
        }
        self.end_slots(learned.begins_anew);
        let touched: &[AccountId] = if planted!(TouchedUnheard) { &[] } else { &membership.touched };
        match self.catch_up_accounts(touched).await {
            Ok(()) => {
                self.ownership.handle_learned(sent, membership.store_now);
                self.caught_up.notify_one();
            }
            // What is in memory and in the cache counts no longer than before. It is told again by the next renewals.
            Err(error) => tracing::warn!(%error, "it could not be taken in what others did for accounts of this node"),
        }
        self.begin_shards(learned.began);
        Ok(membership)
    }

    /// Ends calendars that are awake under an ownership that is over; `all`: every one.
    pub(crate) fn end_slots(&self, all: bool) {
        for slot in self.directory.awake() {
            if all || !self.is_current(&slot) {
                self.directory.end(&slot);
            }
        }
    }

    /// Somebody changed these accounts without their owner: nothing older is published from here on.
    async fn catch_up_accounts(self: &Arc<Self>, touched: &[AccountId]) -> Result<(), StoreError> {
        let caught_up = join_all(touched.iter().map(|&account_id| self.catch_up_account(account_id))).await;
        caught_up.into_iter().collect()
    }

    /// Looks after what was marked while nobody owned these shards.
    fn begin_shards(self: &Arc<Self>, shards: Vec<Shard>) {
        if shards.is_empty() {
            return;
        }
        let context = Arc::clone(self);
        self.tasks.spawn(async move {
            for shard in shards {
                let marked = tokio::select! {
                    biased;
                    () = context.stopping.cancelled() => return,
                    marked = context.parts.cache.take_dirty(shard) => marked,
                };
                match marked {
                    Ok(marked) => context.ring_marked(shard, marked).await,
                    // Whoever left a mark rings for a while as well, and sweeps come round.
                    Err(error) => {
                        tracing::debug!(shard = shard.number(), %error, "marks of bells could not be read");
                    }
                }
            }
        });
    }

    async fn ring_marked(self: &Arc<Self>, shard: Shard, marked: Vec<CalendarId>) {
        for calendar_id in marked {
            if let Ok(Some(account_id)) = self.parts.store.account_of_calendar(calendar_id).await
                && Shard::of(account_id) == shard
            {
                self.ring(account_id, calendar_id, Ring::Changed);
            }
        }
    }

    /// Gives everything to others, for good. Requests go on, here and to the new owners; those in hand are fenced and find them.
    pub(crate) async fn give_all(self: &Arc<Self>) {
        self.ownership.begin_draining();
        match timeout(LEAVE_DEADLINE, self.hand_over_all()).await {
            Ok(Ok(())) => {}
            Ok(Err(error)) => tracing::warn!(%error, "shards could not be handed over; others take them"),
            Err(_late) => tracing::warn!("shards were not handed over in time; others take them"),
        }
    }

    /// Gives everything to others that is not given yet, and ends the lease.
    pub(crate) async fn leave(self: &Arc<Self>) {
        self.give_all().await;
        self.routes.close();
        if timeout(ROUTES_DEADLINE, self.routes.wait()).await.is_err() {
            tracing::warn!("requests under way did not end in time");
        }
        match timeout(LEAVE_DEADLINE, self.end_lease()).await {
            Ok(Ok(())) => {}
            Ok(Err(error)) => tracing::warn!(%error, "the lease could not be ended; it runs out"),
            Err(_late) => tracing::warn!("the lease was not ended in time; it runs out"),
        }
        self.ownership.end();
        self.end_slots(true);
    }

    async fn end_lease(&self) -> Result<(), StoreError> {
        // Nobody may be renewing it meanwhile, or afterwards.
        let _turn = self.ownership.turn.lock().await;
        self.ownership.end();
        self.parts.store.end_lease(self.ownership.me()).await
    }

    async fn hand_over_all(self: &Arc<Self>) -> Result<(), StoreError> {
        let _turn = self.ownership.turn.lock().await;
        let membership = self.renew().await?;
        let map = self.ownership.map();
        let scene = Scene { me: self.ownership.me(), nodes: &membership.nodes, shards: &map.shards };
        let Moves { hand_over, .. } = moves(&scene);
        if hand_over.is_empty() {
            return Ok(());
        }
        tracing::info!(shards = hand_over.len(), "leaving");
        self.give(&hand_over).await?;
        self.renew().await.map(drop)
    }
}
