//! Ownership in a store of one process: one epoch for all shards, one node. The lock on the data folder keeps a second
//! process out; the epoch fences one that is left over all the same.

use std::time::Duration;

use agentcal_engine::ports::{Membership, NodeRecord, Ownership, OwnershipStore, ShardMap, StoreError, TenantStore};
use agentcal_engine::shard::{Epoch, NodeId, SHARD_COUNT, Shard};
use agentcal_engine::time::Timestamp;
use async_trait::async_trait;
use sqlx::SqliteConnection;
use uuid::Uuid;

use crate::error::{Result, store_error};
use crate::open::SqliteStore;
use crate::scope::Scope;
use crate::text::to_u64;

#[async_trait]
impl OwnershipStore for SqliteStore {
    async fn renew_lease(&self, node: &NodeRecord, _: Duration, known: u64) -> Result<Membership, StoreError> {
        let (owner, epoch) = present(&mut *self.reader(Scope::All).await?).await?;
        let ownership = Ownership { owner, epoch };
        // The epoch is raised by every change of owner, so it numbers the states of the map as well.
        let map = ShardMap { version: epoch.0, shards: vec![ownership; usize::from(SHARD_COUNT)] };
        Ok(Membership {
            store_now: self.now(),
            nodes: vec![node.clone()],
            map: (known != epoch.0).then_some(map),
            counters: self.change_counters().await?,
            touched: Vec::new(),
        })
    }

    async fn take_shards(&self, node: NodeId, shards: &[Shard]) -> Result<Vec<(Shard, Epoch)>, StoreError> {
        let mut work = self.begin_write(Scope::All).await?;
        if present(&mut work).await?.0 == Some(node) {
            return Ok(Vec::new());
        }
        let epoch = raise_epoch(&mut work, self.now()).await?;
        let update = sqlx::query("UPDATE store_state SET owner = $1 WHERE id = 1").bind(node.0);
        update.execute(&mut *work).await.map_err(store_error)?;
        work.commit().await.map_err(store_error)?;
        Ok(shards.iter().map(|&shard| (shard, epoch)).collect())
    }

    async fn hand_over(&self, _: NodeId, _: &[(Shard, NodeId)]) -> Result<Vec<Shard>, StoreError> {
        Ok(Vec::new())
    }

    async fn end_lease(&self, node: NodeId) -> Result<(), StoreError> {
        let mut work = self.begin_write(Scope::All).await?;
        let update = sqlx::query("UPDATE store_state SET owner = NULL WHERE id = 1 AND owner = $1").bind(node.0);
        update.execute(&mut *work).await.map_err(store_error)?;
        work.commit().await.map_err(store_error)
    }
}

/// The present owner and epoch.
pub(crate) async fn present(connection: &mut SqliteConnection) -> Result<(Option<NodeId>, Epoch)> {
    let select = sqlx::query_as::<_, (Option<Uuid>, i64)>("SELECT owner, epoch FROM store_state WHERE id = 1");
    let (owner, epoch) = select.fetch_one(connection).await.map_err(store_error)?;
    Ok((owner.map(NodeId), Epoch(to_u64(epoch)?)))
}

/// Raises the store's epoch. At least to the clock's milliseconds: a restored file then begins above every epoch it ever
/// had.
pub(crate) async fn raise_epoch(work: &mut SqliteConnection, now: Timestamp) -> Result<Epoch> {
    let floor = now.as_micros() / 1_000;
    let update = sqlx::query_scalar(
        "UPDATE store_state SET epoch = CASE WHEN epoch < $1 THEN $1 ELSE epoch + 1 END WHERE id = 1 RETURNING epoch",
    );
    let epoch: i64 = update.bind(floor).fetch_one(work).await.map_err(store_error)?;
    Ok(Epoch(to_u64(epoch)?))
}
