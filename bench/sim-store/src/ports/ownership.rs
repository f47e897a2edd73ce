//! Leases and shards.

use std::sync::Arc;
use std::time::Duration;

use agentcal_engine::ids::AccountId;
use agentcal_engine::ports::{Membership, NodeRecord, Ownership, OwnershipStore, ShardMap, StoreError, TOUCHED_FOR};
use agentcal_engine::shard::{Epoch, NodeId, Shard};
use agentcal_engine::time::Timestamp;
use async_trait::async_trait;

use crate::state::{AccountRows, Done, Globals, Member, State, Work};
use crate::store::SimStore;

#[async_trait]
impl OwnershipStore for SimStore {
    async fn renew_lease(&self, node: &NodeRecord, ttl: Duration, known: u64) -> Result<Membership, StoreError> {
        self.write(|work| Ok(Done::Keep(renew(work, node, ttl, known)))).await
    }

    async fn take_shards(&self, node: NodeId, shards: &[Shard]) -> Result<Vec<(Shard, Epoch)>, StoreError> {
        self.write(|work| Ok(Done::Keep(take(work, node, shards)))).await
    }

    async fn hand_over(&self, giver: NodeId, shards: &[(Shard, NodeId)]) -> Result<Vec<Shard>, StoreError> {
        self.write(|work| Ok(Done::Keep(hand_over(work, giver, shards)))).await
    }

    async fn end_lease(&self, node: NodeId) -> Result<(), StoreError> {
        self.write(|work| {
            work.globals().nodes.remove(&node);
            Ok(Done::Keep(()))
        })
        .await
    }
}

fn renew(work: &mut Work<'_>, node: &NodeRecord, ttl: Duration, known: u64) -> Membership {
    let store_now = work.now();
    let touched = touched(work.state(), node.id, store_now);
    let globals = work.globals();
    globals.nodes.insert(node.id, Member { record: node.clone(), expires_at: store_now + ttl });
    let version = globals.map_version;
    let map = (version != known).then(|| ShardMap { version, shards: globals.shards.to_vec() });
    let live = globals.nodes.values().filter(|member| member.expires_at > store_now);
    let nodes = live.map(|member| member.record.clone()).collect();
    Membership { store_now, nodes, map, counters: globals.changes, touched }
}

fn touched(state: &State, node: NodeId, now: Timestamp) -> Vec<AccountId> {
    let is_late = |rows: &AccountRows| rows.touched_at.is_some_and(|at| now.saturating_since(at) < TOUCHED_FOR);
    state.rows_of(Some(node)).filter(|(_, rows)| is_late(rows)).map(|(id, _)| id).collect()
}

fn take(work: &mut Work<'_>, node: NodeId, shards: &[Shard]) -> Vec<(Shard, Epoch)> {
    let now = work.now();
    let globals = work.globals();
    if !is_live(globals, node, now) {
        return Vec::new();
    }
    let is_free = |ownership: &Ownership| ownership.owner.is_none_or(|owner| !is_live(globals, owner, now));
    let free: Vec<Shard> = shards.iter().copied().filter(|&shard| is_free(&globals.shards[index(shard)])).collect();
    free.into_iter().map(|shard| (shard, give(globals, shard, node))).collect()
}

fn hand_over(work: &mut Work<'_>, giver: NodeId, shards: &[(Shard, NodeId)]) -> Vec<Shard> {
    let now = work.now();
    let globals = work.globals();
    let mut went = Vec::new();
    for &(shard, receiver) in shards {
        if globals.shards[index(shard)].owner == Some(giver) && is_live(globals, receiver, now) {
            give(globals, shard, receiver);
            went.push(shard);
        }
    }
    went
}

fn give(globals: &mut Globals, shard: Shard, node: NodeId) -> Epoch {
    let ownership = &mut Arc::make_mut(&mut globals.shards)[index(shard)];
    *ownership = Ownership { owner: Some(node), epoch: Epoch(ownership.epoch.0 + 1) };
    globals.map_version += 1;
    ownership.epoch
}

fn is_live(globals: &Globals, node: NodeId, now: Timestamp) -> bool {
    globals.nodes.get(&node).is_some_and(|member| member.expires_at > now)
}

fn index(shard: Shard) -> usize {
    usize::from(shard.number())
}
