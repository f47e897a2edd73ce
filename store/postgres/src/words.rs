//! Statements whose words differ between the engines. What sweeps may run on many nodes at once: each skips what another
//! has in hand.

use agentcal_engine::shard::NodeId;
use agentcal_engine::time::Timestamp;
use sqlx::QueryBuilder;
use uuid::Uuid;

use crate::db::Db;

/// Deletes an account and what is in it, children first: the checks of foreign keys between children would not wait for
/// each other's cascades.
pub(crate) const DELETE_ACCOUNT: [&str; 9] = [
    "DELETE FROM events WHERE account_id = $1",
    "DELETE FROM claims WHERE account_id = $1",
    "DELETE FROM bookings WHERE account_id = $1",
    "DELETE FROM event_types WHERE account_id = $1",
    "DELETE FROM user_busy_calendars WHERE account_id = $1",
    "DELETE FROM users WHERE account_id = $1",
    "DELETE FROM calendars WHERE account_id = $1",
    "DELETE FROM connections WHERE account_id = $1",
    "DELETE FROM accounts WHERE account_id = $1",
];

/// Deletes claims of holds that expired until `$1`.
pub(crate) const TIDY_CLAIMS: &str = "DELETE FROM claims WHERE (account_id, claim_id) IN \
     (SELECT account_id, claim_id FROM claims WHERE kind = 'hold' AND expires_at <= $1 LIMIT $2 \
      FOR UPDATE SKIP LOCKED)";

/// Deletes holds that ended until `$1`.
pub(crate) const TIDY_HOLDS: &str = "DELETE FROM holds WHERE (account_id, hold_id) IN \
     (SELECT account_id, hold_id FROM holds WHERE expires_at <= $1 LIMIT $2 FOR UPDATE SKIP LOCKED)";

/// Deletes decision records from until `$1`.
pub(crate) const FORGET_DECISIONS: &str = "DELETE FROM decisions WHERE (account_id, decision_id) IN \
     (SELECT account_id, decision_id FROM decisions WHERE decided_at <= $1 LIMIT $2 FOR UPDATE SKIP LOCKED)";

/// Deletes answers kept in accounts until `$1`.
pub(crate) const FORGET_ACCOUNT_ANSWERS: &str = "DELETE FROM account_answers WHERE (account_id, scope) IN \
     (SELECT account_id, scope FROM account_answers WHERE created_at <= $1 LIMIT $2 FOR UPDATE SKIP LOCKED)";

/// Deletes answers kept above accounts until `$1`.
pub(crate) const FORGET_ORGANIZATION_ANSWERS: &str = "DELETE FROM organization_answers WHERE (organization_id, scope) IN \
     (SELECT organization_id, scope FROM organization_answers WHERE created_at <= $1 LIMIT $2 FOR UPDATE SKIP LOCKED)";

/// Deletes ids of commits used up until `$1`.
pub(crate) const FORGET_USED_COMMITS: &str = "DELETE FROM used_commits WHERE (account_id, commit_id) IN \
     (SELECT account_id, commit_id FROM used_commits WHERE used_at <= $1 LIMIT $2 FOR UPDATE SKIP LOCKED)";

/// Calendars whose sync is due until `$1`, in shards of the node `$3`, if one is named.
pub(crate) const DUE_CALENDARS: &str = "SELECT s.account_id, s.calendar_id FROM sync_states AS s WHERE s.due_at <= $1 \
     AND ($3::uuid IS NULL OR EXISTS (SELECT 1 FROM accounts AS a JOIN shards AS h ON h.shard = a.shard \
     WHERE a.account_id = s.account_id AND h.owner = $3)) ORDER BY s.due_at LIMIT $2";

/// Calendars with a writeback that is due until `$1`, in shards of the node `$3`, if one is named.
pub(crate) const DUE_WRITEBACKS: &str = "SELECT account_id, calendar_id FROM (SELECT account_id, calendar_id, min(due_at) AS first_due \
     FROM writebacks WHERE state = 'pending' AND due_at <= $1 GROUP BY account_id, calendar_id) AS due \
     WHERE $3::uuid IS NULL OR EXISTS (SELECT 1 FROM accounts AS a JOIN shards AS h ON h.shard = a.shard \
     WHERE a.account_id = due.account_id AND h.owner = $3) ORDER BY first_due LIMIT $2";

/// New events of the kinds in `$3`, each between spaces, the oldest first, of shards of the node `$2`, if one is named.
pub(crate) const NEW_EVENTS: &str = "SELECT account_id, event_id, organization_id, mode, kind, happened_at, subject FROM events AS e WHERE e.state = 'new' \
     AND strpos($3, ' ' || e.kind || ' ') > 0 AND ($2::uuid IS NULL OR EXISTS (SELECT 1 FROM shards AS h WHERE h.shard = e.shard AND h.owner = $2)) \
     ORDER BY e.happened_at LIMIT $1";

/// Words which deliveries are due until an instant, of endpoints as many as there is room for; of shards of a node, if one is
/// named.
pub(crate) fn push_due_deliveries(
    statement: &mut QueryBuilder<Db>,
    room: &[(Uuid, i64)],
    now: Timestamp,
    owner: Option<NodeId>,
) {
    statement.push("(account_id, delivery_id) IN (SELECT due.account_id, due.delivery_id FROM (");
    statement.push_values(room, |mut values, &(endpoint_id, room)| {
        values.push_bind(endpoint_id).push_bind(room);
    });
    statement.push(
        ") AS wanted (endpoint_id, room) CROSS JOIN LATERAL (SELECT d.account_id, d.delivery_id FROM webhook_deliveries AS d \
         WHERE d.endpoint_id = wanted.endpoint_id AND d.state = 'pending' AND d.due_at <= ",
    );
    statement.push_bind(now.as_micros());
    if let Some(owner) = owner {
        statement
            .push(" AND EXISTS (SELECT 1 FROM shards AS h WHERE h.shard = d.shard AND h.owner = ")
            .push_bind(owner.0);
        statement.push(")");
    }
    statement.push(" ORDER BY d.due_at LIMIT wanted.room FOR UPDATE OF d SKIP LOCKED) AS due)");
}

/// Takes endpoints in hand of which a service is to be told, due until `$1`, at most `$3`, until `$2`.
pub(crate) const CLAIM_RELAYS: &str = "UPDATE webhook_relays SET tries = tries + 1, held_until = $2 \
     WHERE endpoint_id IN (SELECT endpoint_id FROM webhook_relays WHERE due_at <= $1 AND held_until <= $1 \
     ORDER BY due_at LIMIT $3 FOR UPDATE SKIP LOCKED) \
     RETURNING endpoint_id, organization_id, mode, revision, told_revision, tries";

/// Takes events in hand that a service is to be told, due until `$1`, at most `$3`, until `$2`, unless it is to be told of
/// endpoints first; of shards of the node `$4`, if one is named.
pub(crate) const CLAIM_RELAYED_EVENTS: &str = "UPDATE events SET relay_tries = relay_tries + 1, relay_due_at = $2 \
     WHERE (account_id, event_id) IN (SELECT e.account_id, e.event_id FROM events AS e WHERE e.relay_due_at <= $1 \
     AND ($4::uuid IS NULL OR EXISTS (SELECT 1 FROM shards AS h WHERE h.shard = e.shard AND h.owner = $4)) \
     AND NOT EXISTS (SELECT 1 FROM webhook_relays AS r \
     WHERE r.organization_id = e.organization_id AND r.mode = e.mode AND r.due_at IS NOT NULL) \
     ORDER BY e.relay_due_at LIMIT $3 FOR UPDATE OF e SKIP LOCKED) \
     RETURNING account_id, event_id, organization_id, mode, kind, happened_at, subject, relay_tries";

/// Timers of the kind `$1` that are due until `$2`, at most `$3`; of shards of the node `$4`, if one is named. They are nobody
/// else's to the end.
pub(crate) const DUE_TIMERS: &str = "SELECT j.account_id, j.job_id, j.payload FROM jobs AS j \
     WHERE j.kind = $1 AND j.state = 'pending' AND j.due_at <= $2 \
     AND ($4::uuid IS NULL OR EXISTS (SELECT 1 FROM shards AS h WHERE h.shard = j.shard AND h.owner = $4)) \
     ORDER BY j.due_at LIMIT $3 FOR UPDATE OF j SKIP LOCKED";

/// Takes mails of the kind `$5` that are due until `$1` in hand, at most `$3` of them, until `$2`; of shards of the node `$4`,
/// if one is named.
pub(crate) const CLAIM_MAILS: &str = "UPDATE jobs SET attempts = attempts + 1, due_at = $2 \
     WHERE (account_id, job_id) IN (SELECT j.account_id, j.job_id FROM jobs AS j \
     WHERE j.kind = $5 AND j.state = 'pending' AND j.due_at <= $1 \
     AND ($4::uuid IS NULL OR EXISTS (SELECT 1 FROM shards AS h WHERE h.shard = j.shard AND h.owner = $4)) \
     ORDER BY j.due_at LIMIT $3 FOR UPDATE OF j SKIP LOCKED) \
     RETURNING account_id, job_id, organization_id, mode, attempts, payload";

/// Takes grants in hand that are due to be given back until `$1`, at most `$3` of them, until `$2`.
pub(crate) const CLAIM_REVOCATIONS: &str = "UPDATE oauth_revocations SET attempts = attempts + 1, due_at = $2 \
     WHERE revocation_id IN (SELECT revocation_id FROM oauth_revocations WHERE due_at <= $1 \
     ORDER BY due_at LIMIT $3 FOR UPDATE SKIP LOCKED) \
     RETURNING revocation_id, organization_id, provider, subject, client_id, credentials, attempts";

/// Deletes jobs that ended and were due until `$1`.
pub(crate) const FORGET_JOBS: &str = "DELETE FROM jobs WHERE (account_id, job_id) IN \
     (SELECT account_id, job_id FROM jobs WHERE state <> 'pending' AND due_at <= $1 LIMIT $2 FOR UPDATE SKIP LOCKED)";

/// Deletes events from until `$1`.
pub(crate) const FORGET_EVENTS: &str = "DELETE FROM events WHERE (account_id, event_id) IN \
     (SELECT account_id, event_id FROM events WHERE happened_at <= $1 LIMIT $2 FOR UPDATE SKIP LOCKED)";

/// Writes an account; `$8` is its shard.
pub(crate) const INSERT_ACCOUNT: &str = "INSERT INTO accounts (account_id, organization_id, mode, name, timezone, metadata, created_at, shard) \
     VALUES ($1, $2, $3, $4, $5, $6, $7, $8)";
