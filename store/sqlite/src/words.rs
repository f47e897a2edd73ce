//! Statements whose words differ between the engines.

use agentcal_engine::shard::NodeId;
use agentcal_engine::time::Timestamp;
use sqlx::QueryBuilder;
use uuid::Uuid;

use crate::db::Db;

/// Deletes an account; what is in it follows.
pub(crate) const DELETE_ACCOUNT: [&str; 1] = ["DELETE FROM accounts WHERE account_id = $1"];

/// Deletes claims of holds that expired until `$1`.
pub(crate) const TIDY_CLAIMS: &str = "DELETE FROM claims WHERE rowid IN \
     (SELECT rowid FROM claims WHERE kind = 'hold' AND expires_at <= $1 LIMIT $2)";

/// Deletes holds that ended until `$1`.
pub(crate) const TIDY_HOLDS: &str =
    "DELETE FROM holds WHERE rowid IN (SELECT rowid FROM holds WHERE expires_at <= $1 LIMIT $2)";

/// Deletes decision records from until `$1`.
pub(crate) const FORGET_DECISIONS: &str =
    "DELETE FROM decisions WHERE rowid IN (SELECT rowid FROM decisions WHERE decided_at <= $1 LIMIT $2)";

/// Deletes answers kept in accounts until `$1`.
pub(crate) const FORGET_ACCOUNT_ANSWERS: &str = "DELETE FROM account_answers WHERE (account_id, scope) IN \
     (SELECT account_id, scope FROM account_answers WHERE created_at <= $1 LIMIT $2)";

/// Deletes answers kept above accounts until `$1`.
pub(crate) const FORGET_ORGANIZATION_ANSWERS: &str = "DELETE FROM organization_answers WHERE (organization_id, scope) IN \
     (SELECT organization_id, scope FROM organization_answers WHERE created_at <= $1 LIMIT $2)";

/// Deletes ids of commits used up until `$1`.
pub(crate) const FORGET_USED_COMMITS: &str = "DELETE FROM used_commits WHERE (account_id, commit_id) IN \
     (SELECT account_id, commit_id FROM used_commits WHERE used_at <= $1 LIMIT $2)";

/// Calendars whose sync is due until `$1`. Here all are of the one node, `$3`.
pub(crate) const DUE_CALENDARS: &str =
    "SELECT account_id, calendar_id FROM sync_states WHERE due_at <= $1 ORDER BY due_at LIMIT $2";

/// Calendars with a writeback that is due until `$1`. Here all are of the one node, `$3`.
pub(crate) const DUE_WRITEBACKS: &str = "SELECT account_id, calendar_id FROM (SELECT account_id, calendar_id, min(due_at) AS first_due \
     FROM writebacks WHERE state = 'pending' AND due_at <= $1 GROUP BY account_id, calendar_id) AS due \
     ORDER BY first_due LIMIT $2";

/// New events of the kinds in `$3`, each between spaces, the oldest first. Here all are of the one node, `$2`.
pub(crate) const NEW_EVENTS: &str = "SELECT account_id, event_id, organization_id, mode, kind, happened_at, subject FROM events WHERE state = 'new' \
     AND instr($3, ' ' || kind || ' ') > 0 ORDER BY happened_at LIMIT $1";

/// Words which deliveries are due until an instant, of endpoints as many as there is room for. Here all are of the one node.
pub(crate) fn push_due_deliveries(
    statement: &mut QueryBuilder<Db>,
    room: &[(Uuid, i64)],
    now: Timestamp,
    _: Option<NodeId>,
) {
    statement.push("rowid IN (");
    for (index, &(endpoint_id, room)) in room.iter().enumerate() {
        statement.push(if index == 0 { "" } else { " UNION ALL " });
        statement.push("SELECT rowid FROM (SELECT rowid FROM webhook_deliveries WHERE endpoint_id = ");
        statement.push_bind(endpoint_id).push(" AND state = 'pending' AND due_at <= ").push_bind(now.as_micros());
        statement.push(" ORDER BY due_at LIMIT ").push_bind(room).push(")");
    }
    statement.push(")");
}

/// Takes endpoints in hand of which a service is to be told, due until `$1`, at most `$3`, until `$2`.
pub(crate) const CLAIM_RELAYS: &str = "UPDATE webhook_relays SET tries = tries + 1, held_until = $2 \
     WHERE rowid IN (SELECT rowid FROM webhook_relays WHERE due_at <= $1 AND held_until <= $1 ORDER BY due_at LIMIT $3) \
     RETURNING endpoint_id, organization_id, mode, revision, told_revision, tries";

/// Takes events in hand that a service is to be told, due until `$1`, at most `$3`, until `$2`, unless it is to be told of
/// endpoints first. Here all are of the one node, `$4`.
pub(crate) const CLAIM_RELAYED_EVENTS: &str = "UPDATE events SET relay_tries = relay_tries + 1, relay_due_at = $2 \
     WHERE rowid IN (SELECT e.rowid FROM events AS e WHERE e.relay_due_at <= $1 AND NOT EXISTS (SELECT 1 \
     FROM webhook_relays AS r WHERE r.organization_id = e.organization_id AND r.mode = e.mode AND r.due_at IS NOT NULL) \
     ORDER BY e.relay_due_at LIMIT $3) \
     RETURNING account_id, event_id, organization_id, mode, kind, happened_at, subject, relay_tries";

/// Timers of the kind `$1` that are due until `$2`, at most `$3`. Here all are of the one node, `$4`.
pub(crate) const DUE_TIMERS: &str = "SELECT account_id, job_id, payload FROM jobs WHERE kind = $1 AND state = 'pending' AND due_at <= $2 \
     ORDER BY due_at LIMIT $3";

/// Takes mails of the kind `$5` that are due until `$1` in hand, at most `$3` of them, until `$2`. Here all are of the one
/// node, `$4`.
pub(crate) const CLAIM_MAILS: &str = "UPDATE jobs SET attempts = attempts + 1, due_at = $2 \
     WHERE rowid IN (SELECT rowid FROM jobs WHERE kind = $5 AND state = 'pending' AND due_at <= $1 \
     ORDER BY due_at LIMIT $3) RETURNING account_id, job_id, organization_id, mode, attempts, payload";

/// Takes grants in hand that are due to be given back until `$1`, at most `$3` of them, until `$2`.
pub(crate) const CLAIM_REVOCATIONS: &str = "UPDATE oauth_revocations SET attempts = attempts + 1, due_at = $2 \
     WHERE revocation_id IN (SELECT revocation_id FROM oauth_revocations WHERE due_at <= $1 \
     ORDER BY due_at LIMIT $3) \
     RETURNING revocation_id, organization_id, provider, subject, client_id, credentials, attempts";

/// Deletes jobs that ended and were due until `$1`.
pub(crate) const FORGET_JOBS: &str =
    "DELETE FROM jobs WHERE rowid IN (SELECT rowid FROM jobs WHERE state <> 'pending' AND due_at <= $1 LIMIT $2)";

/// Deletes events from until `$1`.
pub(crate) const FORGET_EVENTS: &str =
    "DELETE FROM events WHERE rowid IN (SELECT rowid FROM events WHERE happened_at <= $1 LIMIT $2)";

/// Writes an account. Here its shard, `$8`, is not kept.
pub(crate) const INSERT_ACCOUNT: &str = "INSERT INTO accounts (account_id, organization_id, mode, name, timezone, metadata, created_at) \
     VALUES ($1, $2, $3, $4, $5, $6, $7)";
