//! Leases and shards. Whoever changes owners locks the shards' rows in their order, and so waits for every transaction
//! that holds one of them as its fence.

use std::time::Duration;

use agentcal_engine::ids::AccountId;
use agentcal_engine::ports::{
    ChangeCounters, Membership, NodeRecord, Ownership, OwnershipStore, ShardMap, StoreError, TOUCHED_FOR,
};
use agentcal_engine::shard::{Epoch, NodeId, Shard};
use agentcal_engine::time::Timestamp;
use async_trait::async_trait;
use uuid::Uuid;

use crate::db::{DbConnection, Work};
use crate::error::{Result, corrupt, store_error};
use crate::open::PostgresStore;
use crate::scope::Scope;
use crate::text::{to_i64, to_u64};

/// Renews a lease and reads everything a node learns by it. `$5` is the given clock, if there is one; `$7` the version of
/// the map that is known, `$8` how long touched accounts are told of.
const RENEW: &str = "WITH clock AS MATERIALIZED \
     (SELECT coalesce($5, (extract(epoch FROM clock_timestamp()) * 1000000)::bigint) AS now), \
     renewed AS (INSERT INTO nodes (node_id, address, started_at, is_draining, expires_at) \
     SELECT $1, $2, $3, $4, clock.now + $6 FROM clock ON CONFLICT (node_id) DO UPDATE SET address = excluded.address, \
     started_at = excluded.started_at, is_draining = excluded.is_draining, expires_at = excluded.expires_at), \
     others AS (SELECT n.* FROM nodes AS n, clock WHERE n.expires_at > clock.now AND n.node_id <> $1), \
     map AS (SELECT array_agg(s.owner ORDER BY s.shard) AS owners, array_agg(s.epoch ORDER BY s.shard) AS epochs \
     FROM shards AS s WHERE (SELECT map_version FROM cluster_state WHERE id = 1) <> $7), \
     forgotten AS (DELETE FROM touched_accounts WHERE account_id IN (SELECT account_id FROM touched_accounts, clock \
     WHERE touched_at <= clock.now - $8 LIMIT 1000 FOR UPDATE OF touched_accounts SKIP LOCKED)) \
     SELECT clock.now, c.map_version, s.keys_changes, s.config_changes, map.owners, map.epochs, \
     ARRAY(SELECT node_id FROM others ORDER BY node_id) AS node_ids, \
     ARRAY(SELECT address FROM others ORDER BY node_id) AS addresses, \
     ARRAY(SELECT started_at FROM others ORDER BY node_id) AS started, \
     ARRAY(SELECT is_draining FROM others ORDER BY node_id) AS draining, \
     ARRAY(SELECT t.account_id FROM touched_accounts AS t JOIN accounts AS a ON a.account_id = t.account_id \
     JOIN shards AS h ON h.shard = a.shard WHERE t.touched_at > clock.now - $8 AND h.owner = $1 \
     ORDER BY t.account_id) AS touched \
     FROM clock, map, cluster_state AS c, store_state AS s WHERE c.id = 1 AND s.id = 1";

#[derive(sqlx::FromRow)]
struct MembershipRow {
    now: i64,
    map_version: i64,
    keys_changes: i64,
    config_changes: i64,
    owners: Option<Vec<Option<Uuid>>>,
    epochs: Option<Vec<i64>>,
    node_ids: Vec<Uuid>,
    addresses: Vec<String>,
    started: Vec<i64>,
    draining: Vec<bool>,
    touched: Vec<Uuid>,
}

impl MembershipRow {
    fn into_engine(self, own: &NodeRecord) -> Result<Membership> {
        let version = to_u64(self.map_version)?;
        let map =
            self.owners.zip(self.epochs).map(|(owners, epochs)| shard_map(version, owners, epochs)).transpose()?;
        let others = self.node_ids.into_iter().zip(self.addresses).zip(self.started).zip(self.draining);
        let other = |(((id, address), started_at), is_draining)| NodeRecord {
            id: NodeId(id),
            address,
            started_at: Timestamp::from_micros(started_at),
            is_draining,
        };
        let mut nodes: Vec<NodeRecord> = others.map(other).chain([own.clone()]).collect();
        nodes.sort_by_key(|node| node.id);
        let counters = ChangeCounters { keys: to_u64(self.keys_changes)?, config: to_u64(self.config_changes)? };
        let touched = self.touched.into_iter().map(AccountId::from_uuid).collect();
        Ok(Membership { store_now: Timestamp::from_micros(self.now), nodes, map, counters, touched })
    }
}

fn shard_map(version: u64, owners: Vec<Option<Uuid>>, epochs: Vec<i64>) -> Result<ShardMap> {
    let ownership =
        |(owner, epoch): (Option<Uuid>, i64)| Ok(Ownership { owner: owner.map(NodeId), epoch: Epoch(to_u64(epoch)?) });
    let shards: Vec<Ownership> = owners.into_iter().zip(epochs).map(ownership).collect::<Result<_>>()?;
    if shards.len() != Shard::all().count() {
        return Err(corrupt("shards", format!("{} rows", shards.len())));
    }
    Ok(ShardMap { version, shards })
}

#[async_trait]
impl OwnershipStore for PostgresStore {
    async fn renew_lease(&self, node: &NodeRecord, ttl: Duration, known: u64) -> Result<Membership, StoreError> {
        let renew = sqlx::query_as::<_, MembershipRow>(RENEW);
        let renew = renew.bind(node.id.0).bind(&node.address).bind(node.started_at.as_micros()).bind(node.is_draining);
        let renew = renew.bind(self.given_clock().map(Timestamp::as_micros)).bind(micros(ttl)).bind(to_i64(known));
        let renew = renew.bind(micros(TOUCHED_FOR));
        let mut work = self.begin_write(Scope::All).await?;
        let row = renew.fetch_one(&mut *work).await.map_err(store_error)?;
        work.commit().await.map_err(store_error)?;
        row.into_engine(node)
    }

    async fn take_shards(&self, node: NodeId, shards: &[Shard]) -> Result<Vec<(Shard, Epoch)>, StoreError> {
        let mut work = self.begin_change().await?;
        lock_shards(&mut work, shards).await?;
        // A statement of its own, begun when the locks were had: it sees whoever was faster.
        let update = sqlx::query_as::<_, (i32, i64)>(
            "WITH clock AS MATERIALIZED \
             (SELECT coalesce($3, (extract(epoch FROM clock_timestamp()) * 1000000)::bigint) AS now), \
             living AS MATERIALIZED (SELECT node_id FROM nodes, clock WHERE expires_at > clock.now) \
             UPDATE shards SET owner = $1, epoch = epoch + 1 WHERE shard = ANY($2) \
             AND $1 IN (SELECT node_id FROM living) \
             AND (owner IS NULL OR owner NOT IN (SELECT node_id FROM living)) RETURNING shard, epoch",
        );
        let update = update.bind(node.0).bind(numbers(shards)).bind(self.given_clock().map(Timestamp::as_micros));
        let mut taken = Vec::new();
        for (shard, epoch) in update.fetch_all(&mut *work).await.map_err(store_error)? {
            taken.push((to_shard(shard)?, Epoch(to_u64(epoch)?)));
        }
        taken.sort();
        self.end_change(work, taken.is_empty()).await?;
        Ok(taken)
    }

    async fn hand_over(&self, giver: NodeId, shards: &[(Shard, NodeId)]) -> Result<Vec<Shard>, StoreError> {
        let mut work = self.begin_change().await?;
        let given: Vec<Shard> = shards.iter().map(|&(shard, _)| shard).collect();
        lock_shards(&mut work, &given).await?;
        let update = sqlx::query_scalar::<_, i32>(
            "WITH clock AS MATERIALIZED \
             (SELECT coalesce($4, (extract(epoch FROM clock_timestamp()) * 1000000)::bigint) AS now), \
             given AS (SELECT g.shard, g.receiver FROM unnest($2, $3) AS g (shard, receiver), nodes AS n, clock \
             WHERE n.node_id = g.receiver AND n.expires_at > clock.now) \
             UPDATE shards SET owner = given.receiver, epoch = epoch + 1 FROM given \
             WHERE shards.shard = given.shard AND shards.owner = $1 RETURNING shards.shard",
        );
        let receivers: Vec<Uuid> = shards.iter().map(|&(_, receiver)| receiver.0).collect();
        let update = update
            .bind(giver.0)
            .bind(numbers(&given))
            .bind(receivers)
            .bind(self.given_clock().map(Timestamp::as_micros));
        let went = update.fetch_all(&mut *work).await.map_err(store_error)?;
        let mut went: Vec<Shard> = went.into_iter().map(to_shard).collect::<Result<_>>()?;
        went.sort();
        self.end_change(work, went.is_empty()).await?;
        Ok(went)
    }

    async fn end_lease(&self, node: NodeId) -> Result<(), StoreError> {
        let delete = sqlx::query("DELETE FROM nodes WHERE node_id = $1").bind(node.0);
        delete.execute(&self.pool).await.map(drop).map_err(store_error)
    }
}

impl PostgresStore {
    /// Nodes whose lease has not run out, by their addresses; for people to read.
    ///
    /// # Errors
    /// When the database does not answer.
    pub async fn living_nodes(&self) -> Result<Vec<NodeRecord>, StoreError> {
        let select = sqlx::query_as::<_, (Uuid, String, i64, bool)>(
            "SELECT node_id, address, started_at, is_draining FROM nodes \
             WHERE expires_at > coalesce($1, (extract(epoch FROM clock_timestamp()) * 1000000)::bigint) \
             ORDER BY address, node_id",
        );
        let select = select.bind(self.given_clock().map(Timestamp::as_micros));
        let rows = select.fetch_all(&mut *self.reader(Scope::All).await?).await.map_err(store_error)?;
        let node = |(id, address, started_at, is_draining)| NodeRecord {
            id: NodeId(id),
            address,
            started_at: Timestamp::from_micros(started_at),
            is_draining,
        };
        Ok(rows.into_iter().map(node).collect())
    }

    /// Puts every shard under one epoch above all there are, owned by nobody. At least the clock's milliseconds: a database
    /// that was restored then begins above every epoch it ever had.
    pub(crate) async fn raise_every_epoch(&self) -> Result<Epoch> {
        let mut work = self.begin_change().await?;
        let now = self.now_on(&mut work).await?;
        let lock = sqlx::query("SELECT shard FROM shards ORDER BY shard FOR NO KEY UPDATE");
        lock.execute(&mut *work).await.map_err(store_error)?;
        let update =
            sqlx::query("UPDATE shards SET owner = NULL, epoch = greatest($1, (SELECT max(epoch) + 1 FROM shards))");
        update.bind(now.as_micros() / 1_000).execute(&mut *work).await.map_err(store_error)?;
        let select = sqlx::query_scalar("SELECT max(epoch) FROM shards");
        let epoch: i64 = select.fetch_one(&mut *work).await.map_err(store_error)?;
        self.end_change(work, false).await?;
        Ok(Epoch(to_u64(epoch)?))
    }

    /// A transaction that changes owners. It waits longer than others may, because a transaction it waits for is ended by
    /// the server after a second; and it writes thousands of rows.
    async fn begin_change(&self) -> Result<Work> {
        let mut work = self.begin_write(Scope::All).await?;
        let patience = "SELECT set_config('lock_timeout', '3s', true), set_config('statement_timeout', '10s', true)";
        sqlx::query(patience).execute(&mut *work).await.map_err(store_error)?;
        Ok(work)
    }

    /// Tells everybody that the map changed, if it did.
    async fn end_change(&self, mut work: Work, is_unchanged: bool) -> Result<()> {
        if is_unchanged {
            return work.rollback().await.map_err(store_error);
        }
        let update = sqlx::query("UPDATE cluster_state SET map_version = map_version + 1 WHERE id = 1");
        update.execute(&mut *work).await.map_err(store_error)?;
        work.commit().await.map_err(store_error)
    }
}

/// Sorted below the lock, by what never changes.
async fn lock_shards(work: &mut DbConnection, shards: &[Shard]) -> Result<()> {
    let lock = sqlx::query("SELECT shard FROM shards WHERE shard = ANY($1) ORDER BY shard FOR NO KEY UPDATE");
    lock.bind(numbers(shards)).execute(work).await.map(drop).map_err(store_error)
}

fn numbers(shards: &[Shard]) -> Vec<i32> {
    shards.iter().map(|shard| i32::from(shard.number())).collect()
}

fn to_shard(number: i32) -> Result<Shard> {
    let shard = u16::try_from(number).ok().and_then(Shard::from_number);
    shard.ok_or_else(|| corrupt("shard", number))
}

fn micros(duration: Duration) -> i64 {
    i64::try_from(duration.as_micros()).unwrap_or(i64::MAX)
}
