//! The word of an owner that what stands in the cache is all there is, and taking it back.
//!
//! No beat is said for a shard that owes the cache something, and one that was said before is taken back. Where the cache does not
//! take that either, or the beat may yet arrive, the other nodes are told not to trust it.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::atomic::Ordering;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use agentcal_engine::planted;
use agentcal_engine::ports::{BEAT_TTL, Beat, BeatsEnded};
use agentcal_engine::shard::Shard;
use futures::future::join_all;
use tokio::time::timeout;

use crate::context::Context;
use crate::publication::in_time;

/// Longest wait for the cache to take the beats.
const BEAT_DEADLINE: Duration = Duration::from_secs(1);
/// Time between two rounds of beats.
pub(crate) const BEAT_INTERVAL: Duration = BEAT_TTL.checked_div(4).expect("four is not zero");
/// Longest wait until the other nodes have heard that a beat holds no more. It is waited for once in a failure of the cache.
const TELL_DEADLINE: Duration = Duration::from_millis(250);

/// Beats of other nodes that hold no more, as those said. A shard has one owner at a time, so there is one for each.
#[derive(Default)]
pub(crate) struct Untrusted(Mutex<BTreeMap<Shard, BeatsEnded>>);

impl Untrusted {
    pub(crate) fn add(&self, ended: BeatsEnded) {
        let mut all = self.lock();
        let last = all.entry(ended.shard).or_insert(ended);
        if (last.epoch, last.said_until) < (ended.epoch, ended.said_until) {
            *last = ended;
        }
    }

    pub(crate) fn covers(&self, shard: Shard, beat: &Beat) -> bool {
        self.lock().get(&shard).is_some_and(|ended| ended.covers(beat))
    }

    fn lock(&self) -> MutexGuard<'_, BTreeMap<Shard, BeatsEnded>> {
        // Every change is one step, so a panic beside the lock left nothing half done.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Context {
    /// Sees to it that nobody trusts beats of a shard in arrears that were said until now, as far as anybody can be reached.
    pub(crate) async fn take_beat_back(&self, shard: Shard) {
        // Looked at after the shard fell into arrears: who begins to say beats from here on leaves it out.
        let may_follow = self.arrears.beats_on_their_way.load(Ordering::SeqCst);
        if !self.end_beat(shard).await || may_follow {
            // Beats are dated by what this node last learned, so none that was said is younger.
            let said_until = self.ownership.learned_at().unwrap_or_else(|| self.store_now());
            let epoch = self.ownership.row_epoch(shard);
            self.tell_beats_ended(BeatsEnded { shard, epoch, said_until }).await;
        }
    }

    /// Whether nothing was heard against a beat, and would have been if there were something.
    pub(crate) fn is_trusted(&self, shard: Shard, beat: &Beat) -> bool {
        self.ownership.was_known_at(beat.said_at) && !self.untrusted.covers(shard, beat)
    }

    /// Says of every shard with awake calendars that the cache stands as this node would answer.
    pub(crate) async fn say_beats(self: &Arc<Self>, said: &mut BTreeMap<Shard, Beat>) {
        // Before it is looked at who is in arrears. What was not answered in time may arrive at any time.
        let was_unanswered = self.arrears.beats_on_their_way.swap(true, Ordering::SeqCst);
        let beats = self.beats();
        said.retain(|shard, _| beats.contains_key(shard));
        let news: Vec<(Shard, Beat)> =
            beats.into_iter().filter(|(shard, beat)| said.get(shard) != Some(beat)).collect();
        if news.is_empty() {
            self.arrears.beats_on_their_way.store(was_unanswered, Ordering::SeqCst);
            return;
        }
        match timeout(BEAT_DEADLINE, self.parts.cache.beat(&news)).await {
            Ok(Ok(())) => {
                self.arrears.beats_on_their_way.store(false, Ordering::SeqCst);
                said.extend(news.iter().copied());
            }
            Ok(Err(error)) => tracing::warn!(%error, "beats could not be said"),
            Err(_late) => tracing::warn!("the cache did not take the beats in time"),
        }
        // What fell into arrears meanwhile ended a beat that was not yet said.
        for (shard, _) in news.into_iter().filter(|&(shard, _)| self.arrears.has(shard) && !planted!(BeatWhileOwing)) {
            said.remove(&shard);
            self.end_beat(shard).await;
        }
    }

    /// Ends the last beat of a shard; whether the cache took that. One of whoever was given it meanwhile may end with it, and is
    /// said again.
    async fn end_beat(&self, shard: Shard) -> bool {
        let ended = in_time(self.parts.cache.end_beat(shard, self.ownership.row_epoch(shard))).await;
        if let Err(error) = &ended {
            tracing::warn!(shard = shard.number(), %error, "a beat could not be ended; it runs out by itself");
        }
        ended.is_ok()
    }

    /// Sees to it that neither this node nor any other that lives trusts beats of a shard that were said until now. One that
    /// cannot be reached trusts them until they run out.
    pub(crate) async fn tell_beats_ended(&self, ended: BeatsEnded) {
        self.untrusted.add(ended);
        let Some(peers) = &self.parts.peers else { return };
        let own = self.ownership.node().id;
        let others = self.ownership.nodes().into_iter().filter(|node| node.id != own);
        join_all(others.map(|node| async move {
            match timeout(TELL_DEADLINE, peers.beats_ended(&node, ended)).await {
                Ok(Ok(())) => {}
                Ok(Err(error)) => {
                    tracing::warn!(node = %node.id.0, %error, "a node could not be told that beats ended")
                }
                Err(_late) => tracing::warn!(node = %node.id.0, "a node did not hear in time that beats ended"),
            }
        }))
        .await;
    }

    fn beats(&self) -> BTreeMap<Shard, Beat> {
        let Some(said_at) = self.ownership.learned_at() else { return BTreeMap::new() };
        let shards: BTreeSet<Shard> = self.directory.awake().iter().map(|slot| Shard::of(slot.account_id)).collect();
        let speaks = shards.into_iter().filter(|&shard| planted!(BeatWhileOwing) || !self.arrears.has(shard));
        speaks.filter_map(|shard| Some((shard, Beat { epoch: self.ownership.serves(shard)?, said_at }))).collect()
    }
}
