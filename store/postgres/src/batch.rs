//! What a commit writes, in one statement: of a booking made, with or without a hold that becomes it, everything; of other
//! plans what frames them. A round trip costs about as much as a row, and the rows it stands on are locked meanwhile.
//!
//! The parts of such a statement see nothing of each other and run in no particular order, while foreign keys are checked
//! at its end. So changes that build on each other are not for it; see [`fits`].

use agentcal_engine::commit::{
    Access, BookingChange, ClaimChange, CommitPlan, Effect, ExpectedRevision, HoldChange, IdempotencyKey,
};
use agentcal_engine::ids::{AccountId, BookingId, HoldId};
use agentcal_engine::model::{Booking, Claim};
use agentcal_engine::planted;
use agentcal_engine::time::Timestamp;
use sqlx::QueryBuilder;
use uuid::Uuid;

use crate::db::{Db, DbConnection};
use crate::error::Result;
use crate::revisions::columns;
use crate::{booking, claims, decisions};

/// Whether all of a plan may be one statement: it makes a booking, and nothing in it depends on something else in it.
pub(crate) fn fits(plan: &CommitPlan) -> bool {
    let of_account = |claim: &Claim| claim.account_id == plan.tenant.account_id;
    let claims_fit = match plan.claims.as_slice() {
        [ClaimChange::Confirm { .. }] => true,
        claims => claims.iter().all(|change| matches!(change, ClaimChange::Insert(claim) if of_account(claim))),
    };
    let booking_fits = match &plan.booking {
        Some(BookingChange::Insert(booking)) => {
            let effect_of = |Effect::Writeback { booking_id, .. }: &Effect| *booking_id == booking.id;
            booking.account_id == plan.tenant.account_id && plan.effects.iter().all(effect_of)
        }
        _ => false,
    };
    booking_fits && claims_fit && plan.holds.iter().all(|change| matches!(change, HoldChange::Confirm { .. }))
}

/// The claims a plan inserts.
pub(crate) fn inserted(plan: &CommitPlan) -> Vec<&Claim> {
    let inserted = plan.claims.iter().filter_map(|change| match change {
        ClaimChange::Insert(claim) => Some(claim),
        _ => None,
    });
    inserted.collect()
}

/// An answer as it is kept.
pub(crate) struct SealedAnswer {
    pub(crate) key: IdempotencyKey,
    pub(crate) sealed: Vec<u8>,
    /// An answer from until then makes room.
    pub(crate) forgotten_until: Timestamp,
}

/// Writes everything of a plan that [`fits`]. False: something was not as the decision saw it, and the transaction must be
/// undone.
pub(crate) async fn write_whole(
    work: &mut DbConnection,
    plan: &CommitPlan,
    answer: Option<&SealedAnswer>,
    now: Timestamp,
) -> Result<bool, sqlx::Error> {
    let mut batch = Batch::new();
    batch.changes(plan, now);
    batch.frame(plan, answer, now);
    batch.run(work).await
}

/// Writes what goes with the changes of any plan. False: as above.
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

    /// The booking, its effects, its claims and the holds it comes from.
    fn changes(&mut self, plan: &CommitPlan, now: Timestamp) {
        let account_id = plan.tenant.account_id;
        if let Some(BookingChange::Insert(booking)) = &plan.booking {
            self.book(booking, &plan.effects, now);
        }
        let claims = inserted(plan);
        if !claims.is_empty() {
            self.part(Some(claims.len()), |statement| claims::push_insert(statement, plan.shard, &claims));
        }
        for change in &plan.claims {
            if let ClaimChange::Confirm { hold_id, booking_id, claim_count } = change {
                self.confirm_claims(account_id, (*hold_id, *booking_id), *claim_count, now);
            }
        }
        for change in &plan.holds {
            if let HoldChange::Confirm { hold_id, booking_id } = change {
                self.confirm_hold(account_id, (*hold_id, *booking_id), now);
            }
        }
    }

    /// Raised revisions, the used-up id, the decision record and the kept answer.
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

    fn book(&mut self, booking: &Booking, effects: &[Effect], now: Timestamp) {
        self.part(Some(1), |statement| booking::push_insert(statement, booking));
        if !booking.hosts.is_empty() {
            self.part(Some(booking.hosts.len()), |statement| booking::push_hosts(statement, booking));
        }
        for Effect::Writeback { calendar_id, .. } in effects {
            self.part(Some(1), |statement| {
                statement.push(
                    "INSERT INTO writebacks (account_id, booking_id, calendar_id, version, state, attempts, due_at, \
                     last_error, external_state, booking_end_at) SELECT n.account_id, n.booking_id, n.calendar_id, 1, \
                     CASE WHEN k.calendar_id IS NULL THEN 'failed' ELSE 'pending' END, 0, ",
                );
                statement.push_bind(now.as_micros());
                statement.push(", CASE WHEN k.calendar_id IS NULL THEN 'the calendar is no longer connected' END, ");
                statement.push("'in_sync', ").push_bind(booking.range.end.as_micros()).push(" FROM (SELECT ");
                statement.push_bind(booking.account_id.as_uuid()).push("::uuid AS account_id, ");
                statement.push_bind(booking.id.as_uuid()).push("::uuid AS booking_id, ");
                statement
                    .push_bind(calendar_id.as_uuid())
                    .push("::uuid AS calendar_id) AS n LEFT JOIN calendars AS k ");
                statement.push("ON k.account_id = n.account_id AND k.calendar_id = n.calendar_id");
            });
        }
    }

    /// A hold's live claims become the booking's, where they stand.
    fn confirm_claims(
        &mut self,
        account_id: AccountId,
        (hold_id, booking_id): (HoldId, BookingId),
        claim_count: u32,
        now: Timestamp,
    ) {
        self.part(usize::try_from(claim_count).ok(), |statement| {
            statement.push("UPDATE claims SET kind = 'booking', hold_id = NULL, booking_id = ");
            statement.push_bind(booking_id.as_uuid());
            statement.push(", expires_at = NULL, session_id = NULL WHERE account_id = ");
            statement.push_bind(account_id.as_uuid()).push(" AND hold_id = ").push_bind(hold_id.as_uuid());
            statement.push(" AND expires_at > ").push_bind(now.as_micros());
        });
    }

    fn confirm_hold(&mut self, account_id: AccountId, (hold_id, booking_id): (HoldId, BookingId), now: Timestamp) {
        self.part(Some(1), |statement| {
            statement.push("UPDATE holds SET state = 'confirmed', booking_id = ").push_bind(booking_id.as_uuid());
            statement.push(" WHERE account_id = ").push_bind(account_id.as_uuid()).push(" AND hold_id = ");
            statement.push_bind(hold_id.as_uuid()).push(" AND state = 'active' AND expires_at > ");
            statement.push_bind(now.as_micros());
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
