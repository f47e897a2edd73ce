//! What frames the changes of a commit, written in one statement: a round trip costs about as much as a row, and the rows
//! it stands on are locked meanwhile. The parts of such a statement see nothing of each other and run in no particular
//! order, so changes that build on each other are not for it.

use agentcal_engine::commit::{Access, CommitPlan, ExpectedRevision, IdempotencyKey};
use agentcal_engine::ids::AccountId;
use agentcal_engine::planted;
use agentcal_engine::time::Timestamp;
use sqlx::QueryBuilder;
use uuid::Uuid;

use crate::db::{Db, DbConnection};
use crate::error::Result;
use crate::revisions::columns;
use crate::{decisions, events};

/// An answer as it is kept.
pub(crate) struct SealedAnswer {
    pub(crate) key: IdempotencyKey,
    pub(crate) sealed: Vec<u8>,
    /// An answer from until then makes room.
    pub(crate) forgotten_until: Timestamp,
}

/// Writes what goes with the changes of a plan. False: something was not as the decision saw it, and the transaction must be
/// undone.
pub(crate) async fn write_frame(
    work: &mut DbConnection,
    plan: &CommitPlan,
    answer: Option<&SealedAnswer>,
    now: Timestamp,
) -> Result<bool, sqlx::Error> {
    let mut batch = Batch::new();
    batch.frame(plan, answer, now);
    batch.run(work).await
}

/// A statement that grows by parts, and how many rows each must touch, if it matters.
struct Batch {
    statement: QueryBuilder<Db>,
    parts: Vec<Option<usize>>,
}

impl Batch {
    fn new() -> Self {
        Self { statement: QueryBuilder::new("WITH "), parts: Vec::new() }
    }

    /// Raised revisions, the used-up id, the decision record, what is told outside and the kept answer.
    fn frame(&mut self, plan: &CommitPlan, answer: Option<&SealedAnswer>, now: Timestamp) {
        let account_id = plan.tenant.account_id;
        for expected in plan.expected_revisions.iter().filter(|expected| expected.access == Access::Write) {
            self.raise(account_id, expected);
        }
        if plan.epoch.is_none() {
            self.touch(account_id, now);
        }
        if plan.is_shared && !planted!(IdNotUsedUp) {
            self.use_up(account_id, plan.commit_id, now);
        }
        if let Some(record) = &plan.decision {
            // One that is there already stays.
            self.part(None, |statement| decisions::push_insert(statement, record));
        }
        if let Some(event) = &plan.event {
            self.part(Some(1), |statement| events::push_insert(statement, &plan.tenant, event, now));
        }
        if let Some(answer) = answer {
            self.keep(account_id, answer, now);
        }
    }

    fn part(&mut self, rows: Option<usize>, push: impl FnOnce(&mut QueryBuilder<Db>)) {
        let number = self.parts.len();
        self.statement.push(if number == 0 { "" } else { ", " }).push(format_args!("p{number} AS ("));
        push(&mut self.statement);
        self.statement.push(" RETURNING 1)");
        self.parts.push(rows);
    }

    async fn run(mut self, work: &mut DbConnection) -> Result<bool, sqlx::Error> {
        if self.parts.is_empty() {
            return Ok(true);
        }
        self.statement.push(" SELECT true");
        for (number, rows) in self.parts.iter().enumerate() {
            let Some(rows) = rows else { continue };
            self.statement.push(format_args!(" AND (SELECT count(*) FROM p{number}) = {rows}"));
        }
        self.statement.build_query_scalar().fetch_one(work).await
    }

    /// The row is locked already, and stands where the plan saw it.
    fn raise(&mut self, account_id: AccountId, expected: &ExpectedRevision) {
        let (kind, id) = columns(account_id, expected.key);
        self.part(Some(1), |statement| {
            statement.push("UPDATE revisions SET revision = revision + 1 WHERE account_id = ");
            statement.push_bind(account_id.as_uuid()).push(format_args!(" AND kind = {kind} AND id = ")).push_bind(id);
        });
    }

    /// Tells the shard's owner, which did not see this commit.
    fn touch(&mut self, account_id: AccountId, now: Timestamp) {
        self.part(Some(1), |statement| {
            statement.push("INSERT INTO touched_accounts (account_id, touched_at) VALUES (");
            statement.push_bind(account_id.as_uuid()).push(", ").push_bind(now.as_micros());
            statement.push(") ON CONFLICT (account_id) DO UPDATE SET touched_at = excluded.touched_at");
        });
    }

    fn use_up(&mut self, account_id: AccountId, commit_id: Uuid, now: Timestamp) {
        self.part(Some(1), |statement| {
            statement.push("INSERT INTO used_commits (account_id, commit_id, is_performed, used_at) VALUES (");
            statement.push_bind(account_id.as_uuid()).push(", ").push_bind(commit_id).push(", true, ");
            statement.push_bind(now.as_micros()).push(") ON CONFLICT (account_id, commit_id) DO NOTHING");
        });
    }

    /// Another answer that counts stays, which is one row too few.
    fn keep(&mut self, account_id: AccountId, answer: &SealedAnswer, now: Timestamp) {
        self.part(Some(1), |statement| {
            statement.push("INSERT INTO account_answers (account_id, scope, fingerprint, answer, created_at) VALUES (");
            let mut values = statement.separated(", ");
            values.push_bind(account_id.as_uuid()).push_bind(&answer.key.scope[..]);
            values.push_bind(&answer.key.fingerprint[..]).push_bind(&answer.sealed).push_bind(now.as_micros());
            statement.push(
                ") ON CONFLICT (account_id, scope) DO UPDATE SET fingerprint = excluded.fingerprint, \
                 answer = excluded.answer, created_at = excluded.created_at WHERE account_answers.created_at <= ",
            );
            statement.push_bind(answer.forgotten_until.as_micros());
        });
    }
}
