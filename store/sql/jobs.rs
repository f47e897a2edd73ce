//! What follows from bookings, as rows: made, done when due, kept for a time.

use std::cmp::Reverse;
use std::collections::BTreeMap;
use std::time::Duration;

use agentcal_engine::commit::IdempotentAnswer;
use agentcal_engine::followups::ring;
use agentcal_engine::ids::{AccountId, BookingId, JobId, OrganizationId};
use agentcal_engine::model::{Job, JobKind, JobState, JobWork, MailWork, NewJob, NoticeWork, Tenant, TimerWork};
use agentcal_engine::ports::{
    ClaimedJob, ClaimedMail, ClaimedNotice, EndpointOwner, JobNext, JobResult, JobStore, ListPage, MailClaim,
    PageRequest, StoreError, Write,
};
use agentcal_engine::shard::{NodeId, Shard};
use agentcal_engine::time::Timestamp;
use async_trait::async_trait;
use sqlx::QueryBuilder;
use uuid::Uuid;

use crate::db::{Db, DbConnection, DbStore};
use crate::error::{Result, corrupt, store_error};
use crate::events::{Moment, happened};
use crate::frame::Framed;
use crate::rows::{before, in_powers_of_two, into_page, probe};
use crate::scope::Scope;
use crate::text::{Named, from_json, to_json, to_u32};
use crate::{booking, dead_writebacks, job_changes, locks, words};

/// How long a job is kept after it ended.
const KEPT_FOR: Duration = Duration::from_secs(30 * 24 * 60 * 60);

#[async_trait]
impl JobStore for DbStore {
    async fn first_due(&self) -> Result<BTreeMap<JobKind, Timestamp>, StoreError> {
        let mut reader = self.reader(Scope::All).await?;
        let select = sqlx::query_as::<_, FirstDue>(FIRST_DUE);
        let (mail, notice, reminder, completed, writeback) =
            select.fetch_one(&mut *reader).await.map_err(store_error)?;
        let due = JobKind::ALL.into_iter().zip([mail, notice, reminder, completed, writeback]);
        Ok(due.filter_map(|(kind, at)| Some((kind, Timestamp::from_micros(at?)))).collect())
    }

    async fn ring_timers(&self, owner: Option<NodeId>, limit: u32) -> Result<u32, StoreError> {
        // Lost, the timers are due again. Whatever leaves the house because of them was claimed first, and waited for the disk.
        let mut work = self.begin_repeatable(Scope::All).await?;
        let moment = Moment { now: self.now_on(&mut work).await?, entropy: self.entropy.as_ref() };
        let mut rung = 0;
        for kind in [JobKind::Reminder, JobKind::Completed] {
            for timer in due_timers(&mut work, kind, owner, limit, moment.now).await? {
                ring_one(&mut work, &timer, moment).await?;
                rung += 1;
            }
        }
        work.commit().await.map_err(store_error)?;
        Ok(rung)
    }

    async fn claim_mails(&self, claim: MailClaim) -> Result<Vec<ClaimedMail>, StoreError> {
        self.claim(JobKind::Mail, claim, mail_of).await
    }

    async fn claim_notices(&self, claim: MailClaim) -> Result<Vec<ClaimedNotice>, StoreError> {
        self.claim(JobKind::Notice, claim, notice_of).await
    }

    async fn hold_mails(&self, in_hand: &[(AccountId, JobId, u32)], lease: Duration) -> Result<(), StoreError> {
        let mut work = self.begin_write(Scope::All).await?;
        let until = self.now_on(&mut work).await? + lease;
        for &(account_id, id, attempts) in in_hand {
            let update = sqlx::query(
                "UPDATE jobs SET due_at = $4 WHERE account_id = $1 AND job_id = $2 AND attempts = $3 AND state = 'pending'",
            );
            let update = update.bind(account_id.as_uuid()).bind(id.as_uuid()).bind(i64::from(attempts));
            update.bind(until.as_micros()).execute(&mut *work).await.map_err(store_error)?;
        }
        work.commit().await.map_err(store_error)
    }

    async fn record_jobs(&self, results: &[JobResult]) -> Result<(), StoreError> {
        let mut work = self.begin_write(Scope::All).await?;
        for result in results {
            record(&mut work, result).await?;
        }
        work.commit().await.map_err(store_error)
    }

    async fn list_jobs(
        &self,
        owner: EndpointOwner,
        kind: Option<JobKind>,
        state: Option<JobState>,
        page: &PageRequest,
    ) -> Result<ListPage<Job>, StoreError> {
        let mut reader = self.reader(Scope::All).await?;
        let mut rows: Vec<JobRow> = Vec::new();
        if kind != Some(JobKind::Writeback) {
            let mut select = list_statement(owner, kind, state, page);
            rows = select.build_query_as().fetch_all(&mut *reader).await.map_err(store_error)?;
        }
        if kind.is_none_or(|kind| kind == JobKind::Writeback) {
            rows.extend(dead_writebacks::list(&mut reader, owner, state, page).await?);
            rows.sort_by_key(|row| Reverse((row.created_at, row.job_id)));
        }
        let ListPage { rows, next } = into_page(rows, page, |row| (row.created_at, row.job_id));
        Ok(ListPage { rows: rows.into_iter().map(JobRow::into_engine).collect::<Result<_>>()?, next })
    }

    async fn job(&self, owner: EndpointOwner, id: JobId) -> Result<Option<Job>, StoreError> {
        job_changes::lookup(&mut *self.reader(Scope::All).await?, owner, id).await
    }

    async fn owner_of_job(&self, id: JobId) -> Result<Option<EndpointOwner>, StoreError> {
        job_changes::owner(&mut *self.reader(Scope::All).await?, id).await
    }

    async fn retry_job(
        &self,
        owner: EndpointOwner,
        id: JobId,
        idempotency: Option<&IdempotentAnswer>,
    ) -> Result<Write, StoreError> {
        let mut frame = match self.begin_frame(owner.organization_id, idempotency.map(|answer| &answer.key)).await? {
            Framed::Fresh(frame) => frame,
            Framed::Ended(write) => return Ok(write),
        };
        match job_changes::retry(&mut frame.work, owner, id, frame.now).await? {
            Write::Done => self.finish_frame(frame, idempotency).await,
            other => Ok(other),
        }
    }

    async fn cancel_job(
        &self,
        owner: EndpointOwner,
        id: JobId,
        idempotency: Option<&IdempotentAnswer>,
    ) -> Result<Write, StoreError> {
        let mut frame = match self.begin_frame(owner.organization_id, idempotency.map(|answer| &answer.key)).await? {
            Framed::Fresh(frame) => frame,
            Framed::Ended(write) => return Ok(write),
        };
        match job_changes::cancel(&mut frame.work, owner, id, frame.now).await? {
            Write::Done => self.finish_frame(frame, idempotency).await,
            other => Ok(other),
        }
    }

    async fn forget_old_jobs(&self, limit: u32) -> Result<u64, StoreError> {
        let mut work = self.begin_write(Scope::All).await?;
        let now = self.now_on(&mut work).await?;
        let delete = sqlx::query(words::FORGET_JOBS).bind((now - KEPT_FOR).as_micros()).bind(i64::from(limit));
        let gone = delete.execute(&mut *work).await.map_err(store_error)?.rows_affected();
        work.commit().await.map_err(store_error)?;
        Ok(gone)
    }
}

/// One for each of [`JobKind::ALL`]. Each looks at the first row of its part of an index.
const FIRST_DUE: &str = "SELECT \
     (SELECT due_at FROM jobs WHERE kind = 'mail' AND state = 'pending' ORDER BY due_at LIMIT 1), \
     (SELECT due_at FROM jobs WHERE kind = 'notice' AND state = 'pending' ORDER BY due_at LIMIT 1), \
     (SELECT due_at FROM jobs WHERE kind = 'reminder' AND state = 'pending' ORDER BY due_at LIMIT 1), \
     (SELECT due_at FROM jobs WHERE kind = 'completed' AND state = 'pending' ORDER BY due_at LIMIT 1), \
     (SELECT due_at FROM writebacks WHERE state = 'pending' ORDER BY due_at LIMIT 1)";
type FirstDue = (Option<i64>, Option<i64>, Option<i64>, Option<i64>, Option<i64>);

/// Writes jobs. One whose name is there already is left as it is.
pub(crate) async fn insert(
    work: &mut DbConnection,
    new: &[(Tenant, NewJob)],
    Moment { now, entropy }: Moment<'_>,
) -> Result<()> {
    for some in in_powers_of_two(new) {
        let mut insert = QueryBuilder::<Db>::new(
            "INSERT INTO jobs (account_id, job_id, organization_id, mode, shard, kind, name, booking_id, state, due_at, \
             attempts, payload, created_at) ",
        );
        insert.push_values(some, |mut values, (tenant, job)| {
            values.push_bind(tenant.account_id.as_uuid()).push_bind(JobId::mint(now, entropy).as_uuid());
            values.push_bind(tenant.organization_id.as_uuid()).push_bind(tenant.mode.name());
            values.push_bind(i32::from(Shard::of(tenant.account_id).number()));
            values.push_bind(job.work.kind().name()).push_bind(job.name.clone());
            values.push_bind(job.work.booking_id().map(|id| id.as_uuid())).push("'pending'");
            values.push_bind(job.due_at.as_micros());
            values.push("0").push_bind(to_json(&job.work)).push_bind(now.as_micros());
        });
        insert.push(" ON CONFLICT (account_id, name) DO NOTHING");
        insert.build().execute(&mut *work).await.map_err(store_error)?;
    }
    Ok(())
}

#[derive(sqlx::FromRow)]
struct TimerRow {
    account_id: Uuid,
    job_id: Uuid,
    payload: String,
}

async fn due_timers(
    work: &mut DbConnection,
    kind: JobKind,
    owner: Option<NodeId>,
    limit: u32,
    now: Timestamp,
) -> Result<Vec<TimerRow>> {
    let select = sqlx::query_as(words::DUE_TIMERS).bind(kind.name()).bind(now.as_micros()).bind(i64::from(limit));
    select.bind(owner.map(|node| node.0)).fetch_all(work).await.map_err(store_error)
}

/// Says what a timer comes to, and settles it. The booking stands still meanwhile: what is told first happened first.
async fn ring_one(work: &mut DbConnection, row: &TimerRow, moment: Moment<'_>) -> Result<()> {
    let account_id = AccountId::from_uuid(row.account_id);
    let Ok(timer) = timer_of(&row.payload) else {
        return settle(work, row, JobState::Dead, UNREADABLE, moment.now).await;
    };
    locks::booking(work, account_id, timer.booking_id).await?;
    let found = booking::load(work, account_id, &[timer.booking_id.as_uuid()]).await?.remove(&timer.booking_id);
    let outcome = match ring(&timer, found, moment.now) {
        Ok((kind, subject)) => {
            happened(work, account_id, kind, subject, moment).await?;
            "told"
        }
        Err(reason) => reason,
    };
    settle(work, row, JobState::Done, outcome, moment.now).await
}

/// What is said of a row that nobody can read: it would hold up everything behind it, each time anew.
const UNREADABLE: &str = "its row cannot be read";

fn timer_of(payload: &str) -> Result<TimerWork> {
    match from_json("a job", payload)? {
        JobWork::Timer(timer) => Ok(timer),
        JobWork::Mail(_) | JobWork::Notice(_) => Err(corrupt("a timer", "a mail")),
    }
}

async fn settle(work: &mut DbConnection, row: &TimerRow, state: JobState, outcome: &str, now: Timestamp) -> Result<()> {
    let update = sqlx::query(
        "UPDATE jobs SET state = $3, last_outcome = $4, due_at = $5, attempts = attempts + 1, payload = '' \
         WHERE account_id = $1 AND job_id = $2",
    );
    let update = update.bind(row.account_id).bind(row.job_id).bind(state.name()).bind(outcome);
    update.bind(now.as_micros()).execute(work).await.map(drop).map_err(store_error)
}

#[derive(sqlx::FromRow)]
struct MailRow {
    account_id: Uuid,
    job_id: Uuid,
    organization_id: Uuid,
    mode: String,
    attempts: i64,
    payload: String,
}

impl MailRow {
    fn into_engine<W>(self, work: W) -> Result<ClaimedJob<W>> {
        Ok(ClaimedJob {
            account_id: AccountId::from_uuid(self.account_id),
            organization_id: OrganizationId::from_uuid(self.organization_id),
            mode: Named::named(&self.mode)?,
            id: JobId::from_uuid(self.job_id),
            attempts: to_u32(self.attempts)?,
            work,
        })
    }
}

impl DbStore {
    /// Takes jobs of a kind in hand, each with what it says. One that cannot be read is given up.
    async fn claim<W>(
        &self,
        kind: JobKind,
        MailClaim { owner, limit, lease }: MailClaim,
        read: impl Fn(&str) -> Result<W> + Send,
    ) -> Result<Vec<ClaimedJob<W>>> {
        let mut work = self.begin_write(Scope::All).await?;
        let now = self.now_on(&mut work).await?;
        let update = sqlx::query_as::<_, MailRow>(words::CLAIM_MAILS).bind(now.as_micros());
        let update = update.bind((now + lease).as_micros()).bind(i64::from(limit));
        let update = update.bind(owner.map(|node| node.0)).bind(kind.name());
        let rows = update.fetch_all(&mut *work).await.map_err(store_error)?;
        let mut claimed = Vec::with_capacity(rows.len());
        for row in rows {
            match read(&row.payload) {
                Ok(said) => claimed.push(row.into_engine(said)?),
                Err(_) => {
                    let row = TimerRow { account_id: row.account_id, job_id: row.job_id, payload: row.payload };
                    settle(&mut work, &row, JobState::Dead, UNREADABLE, now).await?;
                }
            }
        }
        work.commit().await.map_err(store_error)?;
        Ok(claimed)
    }
}

fn mail_of(payload: &str) -> Result<MailWork> {
    match from_json("a job", payload)? {
        JobWork::Mail(mail) => Ok(*mail),
        JobWork::Timer(_) | JobWork::Notice(_) => Err(corrupt("a mail", "something else")),
    }
}

fn notice_of(payload: &str) -> Result<NoticeWork> {
    match from_json("a job", payload)? {
        JobWork::Notice(notice) => Ok(notice),
        JobWork::Timer(_) | JobWork::Mail(_) => Err(corrupt("a notice", "something else")),
    }
}

async fn record(work: &mut DbConnection, result: &JobResult) -> Result<()> {
    let (update, due_at) = match result.next {
        JobNext::Done => (RECORD_DONE, result.ended_at),
        JobNext::Again(wait) => (RECORD_AGAIN, result.ended_at + wait),
        JobNext::NotYet(wait) => (RECORD_NOT_YET, result.ended_at + wait),
        JobNext::GiveUp => (RECORD_DEAD, result.ended_at),
    };
    let update = sqlx::query(update).bind(result.account_id.as_uuid()).bind(result.id.as_uuid());
    let update = update.bind(i64::from(result.attempts)).bind(due_at.as_micros()).bind(&result.outcome);
    update.execute(work).await.map(drop).map_err(store_error)
}

/// A success counts, whichever try it is of. What was done needs nobody's data any more.
const RECORD_DONE: &str = "UPDATE jobs SET state = 'done', due_at = $4, last_outcome = $5, payload = '' \
     WHERE account_id = $1 AND job_id = $2 AND attempts >= $3";
/// A failure counts unless a later try has begun, or somebody ended the job.
const RECORD_AGAIN: &str = "UPDATE jobs SET due_at = $4, last_outcome = $5 \
     WHERE account_id = $1 AND job_id = $2 AND attempts = $3 AND state = 'pending'";
const RECORD_NOT_YET: &str = "UPDATE jobs SET attempts = attempts - 1, due_at = $4, last_outcome = $5 \
     WHERE account_id = $1 AND job_id = $2 AND attempts = $3 AND state = 'pending'";
const RECORD_DEAD: &str = "UPDATE jobs SET state = 'dead', due_at = $4, last_outcome = $5 \
     WHERE account_id = $1 AND job_id = $2 AND attempts = $3 AND state = 'pending'";

fn list_statement(
    owner: EndpointOwner,
    kind: Option<JobKind>,
    state: Option<JobState>,
    page: &PageRequest,
) -> QueryBuilder<Db> {
    let mut select = QueryBuilder::<Db>::new(
        "SELECT account_id, job_id, kind, name, booking_id, state, due_at, attempts, last_outcome, created_at FROM jobs \
         WHERE organization_id = ",
    );
    select.push_bind(owner.organization_id.as_uuid()).push(" AND mode = ").push_bind(owner.mode.name());
    if let Some(state) = state {
        select.push(" AND state = ").push_bind(state.name());
    }
    if let Some(kind) = kind {
        select.push(" AND kind = ").push_bind(kind.name());
    }
    let (created_at, job_id) = before(page);
    select.push(" AND (created_at, job_id) < (").push_bind(created_at).push(", ").push_bind(job_id);
    select.push(") ORDER BY created_at DESC, job_id DESC LIMIT ").push_bind(probe(page));
    select
}

#[derive(sqlx::FromRow)]
pub(crate) struct JobRow {
    account_id: Uuid,
    job_id: Uuid,
    kind: String,
    name: String,
    booking_id: Option<Uuid>,
    state: String,
    due_at: i64,
    attempts: i64,
    last_outcome: Option<String>,
    created_at: i64,
}

impl JobRow {
    pub(crate) fn into_engine(self) -> Result<Job> {
        Ok(Job {
            id: JobId::from_uuid(self.job_id),
            account_id: AccountId::from_uuid(self.account_id),
            kind: Named::named(&self.kind)?,
            name: self.name,
            booking_id: self.booking_id.map(BookingId::from_uuid),
            state: Named::named(&self.state)?,
            due_at: Timestamp::from_micros(self.due_at),
            attempts: to_u32(self.attempts)?,
            last_outcome: self.last_outcome,
            created_at: Timestamp::from_micros(self.created_at),
        })
    }
}
