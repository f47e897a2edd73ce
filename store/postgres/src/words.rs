//! Statements whose words differ between the engines. What sweeps may run on many nodes at once: each skips what another
//! has in hand.

/// Deletes an account and what is in it, children first: the checks of foreign keys between children would not wait for
/// each other's cascades.
pub(crate) const DELETE_ACCOUNT: [&str; 8] = [
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
