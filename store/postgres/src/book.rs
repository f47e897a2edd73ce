//! A commit that makes a booking, in one call: a function in the database takes the whole plan and does the whole
//! transaction (`migrations/postgres/20261121210000_webhooks.sql`, `docs/adr/0013`). Every other commit takes
//! several statements.

use std::collections::BTreeMap;
use std::sync::{LazyLock, Mutex, MutexGuard, PoisonError};

use agentcal_engine::commit::{
    Access, BookingChange, ClaimChange, CommitPlan, Effect, HoldChange, IdempotentAnswer, Outcome,
};
use agentcal_engine::ids::AccountId;
use agentcal_engine::model::{Attendee, Booking, Claim, ClaimOwner, EventKind};
use agentcal_engine::time::Timestamp;
use agentcal_store_vault::{KeyOwner, WrappedKey};
use sqlx::postgres::PgArguments;
use sqlx::{AssertSqlSafe, Postgres, query::QueryAs};
use uuid::Uuid;

use crate::answers::{KEPT_FOR, binding, no_data_key};
use crate::error::{Result, corrupt, sealed_error, store_error};
use crate::open::PostgresStore;
use crate::revisions::columns;
use crate::scope::Scope;
use crate::text::{Named, email_key, phone_key, to_i64, to_json, to_u64};

/// The call. Parameters go by name, so that text and function cannot drift apart unseen.
pub const BOOK_CALL: &str = "SELECT verdict, raised, kept_fingerprint, kept_answer, was_performed FROM agentcal_book_2(\
     plan_account => $1, plan_organization => $2, plan_mode => $3, plan_commit => $4, plan_shared => $5, \
     plan_shard => $6, plan_epoch => $7, plan_clock => $8, plan_expired_until => $9, plan_kinds => $10, \
     plan_ids => $11, plan_revisions => $12, plan_raises => $13, plan_booking => $14, plan_event_type => $15, \
     plan_title => $16, plan_location => $17, plan_start => $18, plan_end => $19, plan_status => $20, \
     plan_timezone => $21, plan_attendee_name => $22, plan_attendee_email => $23, plan_attendee_email_key => $24, \
     plan_attendee_phone => $25, plan_attendee_phone_key => $26, plan_attendee_timezone => $27, \
     plan_metadata => $28, plan_sequence => $29, plan_cancel_reason => $30, plan_created_at => $31, \
     plan_hosts => $32, plan_host_calendars => $33, plan_claims => $34, plan_claim_users => $35, \
     plan_claim_homes => $36, plan_claim_buffers_before => $37, plan_claim_buffers_after => $38, plan_hold => $39, \
     plan_hold_claims => $40, plan_writebacks => $41, plan_decision => $42, plan_decision_hold => $43, \
     plan_decided_at => $44, plan_decision_record => $45, plan_answer_scope => $46, plan_answer_fingerprint => $47, \
     plan_answer => $48, plan_answer_counts_us => $49, plan_event => $50)";

/// Bookings that one statement makes. Each count is a statement of its own, which a connection keeps prepared.
const LINE_MAX: usize = 16;

/// The statements that make a call for each of several bookings, by their count less one: a line of them is asked for and
/// answered once. The function is volatile, so each call sees what those before it in the statement did (PostgreSQL,
/// "Function Volatility Categories"); if they were made in another order, those decided on others would find themselves stale.
static LINE_CALLS: LazyLock<Vec<String>> = LazyLock::new(|| (1..=LINE_MAX).map(line_call).collect());

fn line_call(len: usize) -> String {
    let mut parts = BOOK_CALL.split('$');
    let head = parts.next().unwrap_or_default();
    let parameters: Vec<&str> = parts.map(|part| part.trim_start_matches(|c: char| c.is_ascii_digit())).collect();
    let call = |turn: usize| {
        let first = turn * parameters.len() + 1;
        let bound = parameters.iter().zip(first..).map(|(after, number)| format!("${number}{after}"));
        format!("{}{}", head.replacen("SELECT ", &format!("SELECT {turn} AS turn, "), 1), bound.collect::<String>())
    };
    let calls: Vec<String> = (0..len).map(call).collect();
    let columns = "verdict, raised, kept_fingerprint, kept_answer, was_performed";
    format!("SELECT {columns} FROM ({}) AS line ORDER BY turn", calls.join(" UNION ALL "))
}

/// The verdict on a plan that was performed.
const COMMITTED: &str = "committed";

/// Accounts whose wrapped data keys are kept in memory.
const KEYS_MAX: usize = 10_000;

/// A plan that makes a booking and does nothing that one call cannot say.
pub(crate) struct Book<'a> {
    plan: &'a CommitPlan,
    booking: &'a Booking,
    claims: Vec<&'a Claim>,
    confirms: Option<Confirms>,
}

/// A hold that becomes the booking.
#[derive(Clone, Copy, PartialEq, Eq)]
struct Confirms {
    hold_id: Uuid,
    claim_count: u32,
}

impl<'a> Book<'a> {
    /// `None`: the plan is another.
    pub(crate) fn of(plan: &'a CommitPlan) -> Option<Self> {
        let Some(BookingChange::Insert(booking)) = &plan.booking else { return None };
        let of_account = booking.account_id == plan.tenant.account_id;
        let mut book = Self { plan, booking, claims: Vec::new(), confirms: None };
        let claims_fit = plan.claims.iter().all(|change| book.takes(change));
        let holds_fit = match (plan.holds.as_slice(), book.confirms) {
            ([], None) => true,
            ([HoldChange::Confirm { hold_id, booking_id }], Some(confirms)) => {
                hold_id.as_uuid() == confirms.hold_id && *booking_id == booking.id
            }
            _ => false,
        };
        let effect_fits = |Effect::Writeback { booking_id, .. }: &Effect| *booking_id == booking.id;
        let record_fits = plan
            .decision
            .as_ref()
            .is_none_or(|record| record.account_id == booking.account_id && record.booking_id == Some(booking.id));
        let event_fits = plan.event.as_deref().is_none_or(|event| {
            let of_booking = event.kind == EventKind::BookingCreated && event.booking_id() == Some(booking.id);
            of_booking && event.id.as_uuid() == plan.commit_id && event.sequence() == Some(booking.sequence)
        });
        // The call does not know of conferences.
        let is_plain = booking.conference.is_none();
        let rest_fits = is_plain && record_fits && event_fits && plan.effects.iter().all(effect_fits);
        let fits = of_account && claims_fit && holds_fit && rest_fits;
        fits.then_some(book)
    }

    /// Takes in a change of claims, if it is one of those.
    fn takes(&mut self, change: &'a ClaimChange) -> bool {
        match change {
            ClaimChange::Insert(claim) => {
                let of_booking = claim.owner == ClaimOwner::Booking(self.booking.id)
                    && claim.account_id == self.booking.account_id
                    && claim.range == self.booking.range
                    && claim.event_type_id == self.booking.event_type_id;
                let is_plain = claim.expires_at.is_none() && claim.session_id.is_none();
                self.claims.push(claim);
                of_booking && is_plain
            }
            ClaimChange::Confirm { hold_id, booking_id, claim_count } => {
                let is_first = self.confirms.is_none() && *booking_id == self.booking.id;
                self.confirms = Some(Confirms { hold_id: hold_id.as_uuid(), claim_count: *claim_count });
                is_first
            }
            _ => false,
        }
    }
}

/// What the call answers.
#[derive(sqlx::FromRow)]
struct Answer {
    verdict: String,
    raised: Vec<i64>,
    kept_fingerprint: Option<Vec<u8>>,
    kept_answer: Option<Vec<u8>>,
    was_performed: Option<bool>,
}

type Call<'q> = QueryAs<'q, Postgres, Answer, PgArguments>;

/// An answer to keep, as it is to be kept.
struct Sealed {
    scope: Vec<u8>,
    fingerprint: Vec<u8>,
    answer: Vec<u8>,
}

impl PostgresStore {
    /// Makes a booking. An error of the outer kind is the server's, which may mean something.
    pub(crate) async fn book(&self, book: &Book<'_>) -> Result<Result<Outcome, sqlx::Error>> {
        let Some(sealed) = self.sealed_of(book).await? else { return Ok(Ok(Outcome::Stale)) };
        let mut lane = self.lanes.take(&self.pool).await?;
        match self.bind(sqlx::query_as(BOOK_CALL), book, sealed).fetch_one(&mut *lane.connection).await {
            Ok(answer) => {
                self.lanes.give_back(&self.pool, lane);
                self.outcome(book.plan, answer).await.map(Ok)
            }
            Err(error) => Ok(Err(error)),
        }
    }

    /// Makes bookings of one account, all of them or none, and waits for the disk once. `None`: none was made, since one of
    /// them cannot be.
    pub(crate) async fn book_together(&self, books: &[Book<'_>]) -> Result<Option<Vec<Outcome>>> {
        let Some(first) = books.first() else { return Ok(Some(Vec::new())) };
        let mut all_sealed = Vec::with_capacity(books.len());
        for book in books {
            let Some(sealed) = self.sealed_of(book).await? else { return Ok(None) };
            all_sealed.push(sealed);
        }
        let mut all_sealed = all_sealed.into_iter();
        let mut work = self.begin_write(Scope::Account(first.plan.tenant.account_id)).await?;
        let mut outcomes = Vec::with_capacity(books.len());
        for line in books.chunks(LINE_MAX) {
            let call = sqlx::query_as(AssertSqlSafe(LINE_CALLS[line.len() - 1].as_str()));
            let call =
                line.iter().zip(&mut all_sealed).fold(call, |call, (book, sealed)| self.bind(call, book, sealed));
            let answers = match call.fetch_all(&mut *work).await {
                Ok(answers) if answers.iter().all(|answer| answer.verdict == COMMITTED) => answers,
                // Alone, each will say what is the matter.
                Ok(_) | Err(_) => {
                    // Undone, and the connection given back, before another is asked for.
                    work.rollback().await.map_err(store_error)?;
                    return Ok(None);
                }
            };
            for (book, answer) in line.iter().zip(&answers) {
                outcomes.push(committed(book.plan, answer)?);
            }
        }
        work.commit().await.map_err(store_error)?;
        Ok(Some(outcomes))
    }

    /// Binds what the call is to be made with.
    fn bind<'q>(&self, call: Call<'q>, book: &'q Book<'_>, sealed: Option<Sealed>) -> Call<'q> {
        let call = bind_ground(call, book.plan, self.given_clock());
        let call = bind_booking(call, book.booking);
        let call = bind_claims(call, book);
        bind_rest(call, book.plan, sealed)
    }

    /// The answer to keep with a booking, if there is one to keep; `None` where the account is gone.
    async fn sealed_of(&self, book: &Book<'_>) -> Result<Option<Option<Sealed>>> {
        match &book.plan.idempotency {
            None => Ok(Some(None)),
            Some(idempotent) => Ok(self.sealed(book.plan.tenant.account_id, idempotent).await?.map(Some)),
        }
    }

    async fn outcome(&self, plan: &CommitPlan, answer: Answer) -> Result<Outcome> {
        let outcome = match answer.verdict.as_str() {
            COMMITTED => return committed(plan, &answer),
            "answered" => self.kept_outcome(plan, answer).await?,
            "used_up" => Outcome::UsedUp { is_performed: answer.was_performed.unwrap_or(false) },
            "fenced" => Outcome::Fenced,
            "stale" => Outcome::Stale,
            other => return Err(corrupt("a verdict", other)),
        };
        // Perhaps the account is gone, and its key shall go with it.
        self.data_keys.forget(plan.tenant.account_id);
        Ok(outcome)
    }

    async fn kept_outcome(&self, plan: &CommitPlan, answer: Answer) -> Result<Outcome> {
        let (Some(idempotent), Some(kept)) = (&plan.idempotency, answer.kept_answer) else {
            return Err(corrupt("a kept answer", "it is not there"));
        };
        if answer.kept_fingerprint.as_deref() != Some(&idempotent.key.fingerprint[..]) {
            return Ok(Outcome::IdempotencyMismatch);
        }
        let owner = KeyOwner::Account(plan.tenant.account_id);
        let Some(wrapped) = self.wrapped_key(plan.tenant.account_id).await? else { return Err(no_data_key()) };
        let key = self.keyring.unwrap(owner, &wrapped).map_err(sealed_error)?;
        let plain = key.open(&binding(owner, &idempotent.key.scope), &kept).map_err(sealed_error)?;
        Ok(Outcome::Replayed { answer: plain.to_vec() })
    }

    /// An answer as it is to be kept; `None` where there is no such account.
    async fn sealed(&self, account_id: AccountId, idempotent: &IdempotentAnswer) -> Result<Option<Sealed>> {
        let IdempotentAnswer { key, answer } = idempotent;
        let owner = KeyOwner::Account(account_id);
        let Some(wrapped) = self.wrapped_key(account_id).await? else { return Ok(None) };
        let data_key = self.keyring.unwrap(owner, &wrapped).map_err(sealed_error)?;
        let answer = data_key.seal(&binding(owner, &key.scope), answer, self.entropy.as_ref());
        Ok(Some(Sealed { scope: key.scope.to_vec(), fingerprint: key.fingerprint.to_vec(), answer }))
    }

    async fn wrapped_key(&self, account_id: AccountId) -> Result<Option<WrappedKey>> {
        if let Some(known) = self.data_keys.of(account_id) {
            return Ok(Some(known));
        }
        let mut reader = self.reader(Scope::Account(account_id)).await?;
        let select = sqlx::query_as("SELECT wrapped_by, wrapped FROM account_keys WHERE account_id = $1");
        let select = select.bind(account_id.as_uuid()).fetch_optional(&mut *reader);
        let Some((key_id, bytes)) = select.await.map_err(store_error)? else { return Ok(None) };
        let wrapped = WrappedKey { key_id, bytes };
        self.data_keys.learn(account_id, wrapped.clone());
        Ok(Some(wrapped))
    }
}

/// Data keys of accounts that commit, wrapped as in their rows. A data key is made with its account and never replaced;
/// one that was wrapped anew since opens as before.
#[derive(Debug, Default)]
pub(crate) struct WrappedKeys(Mutex<BTreeMap<AccountId, WrappedKey>>);

impl WrappedKeys {
    fn of(&self, account_id: AccountId) -> Option<WrappedKey> {
        self.lock().get(&account_id).cloned()
    }

    fn learn(&self, account_id: AccountId, key: WrappedKey) {
        let mut keys = self.lock();
        if keys.len() >= KEYS_MAX {
            keys.clear();
        }
        keys.insert(account_id, key);
    }

    fn forget(&self, account_id: AccountId) {
        self.lock().remove(&account_id);
    }

    pub(crate) fn forget_all(&self) {
        self.lock().clear();
    }

    fn lock(&self) -> MutexGuard<'_, BTreeMap<AccountId, WrappedKey>> {
        // Every change is one step, so a panic beside the lock left nothing half done.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn committed(plan: &CommitPlan, answer: &Answer) -> Result<Outcome> {
    Ok(Outcome::Committed { revisions: raised(plan, &answer.raised)? })
}

/// What the plan raised, as it now is.
fn raised(plan: &CommitPlan, present: &[i64]) -> Result<Vec<(agentcal_engine::commit::RevisionKey, u64)>> {
    let written = plan.expected_revisions.iter().filter(|expected| expected.access == Access::Write);
    written.zip(present).map(|(expected, &revision)| Ok((expected.key, to_u64(revision)?))).collect()
}

fn bind_ground<'q>(call: Call<'q>, plan: &CommitPlan, given_clock: Option<Timestamp>) -> Call<'q> {
    let tenant = &plan.tenant;
    let keys = || plan.expected_revisions.iter().map(|expected| columns(tenant.account_id, expected.key));
    let seen = plan.expected_revisions.iter().map(|expected| expected.revision.map(to_i64));
    let raises = plan.expected_revisions.iter().map(|expected| expected.access == Access::Write);
    call.bind(tenant.account_id.as_uuid())
        .bind(tenant.organization_id.as_uuid())
        .bind(tenant.mode.name())
        .bind(plan.commit_id)
        .bind(plan.is_shared)
        .bind(i32::from(plan.shard.number()))
        .bind(plan.epoch.map(|epoch| to_i64(epoch.0)))
        .bind(given_clock.map(Timestamp::as_micros))
        .bind(plan.expired_until.map(Timestamp::as_micros))
        .bind(keys().map(|(kind, _)| kind).collect::<Vec<i64>>())
        .bind(keys().map(|(_, id)| id).collect::<Vec<Uuid>>())
        .bind(seen.collect::<Vec<Option<i64>>>())
        .bind(raises.collect::<Vec<bool>>())
}

fn bind_booking<'q>(call: Call<'q>, booking: &'q Booking) -> Call<'q> {
    let Attendee { name, email, phone, timezone } = &booking.attendee;
    let hosts = booking.hosts.iter().map(|host| host.user_id.as_uuid());
    let calendars = booking.hosts.iter().map(|host| host.calendar_id.map(|id| id.as_uuid()));
    call.bind(booking.id.as_uuid())
        .bind(booking.event_type_id.map(|id| id.as_uuid()))
        .bind(&booking.title)
        .bind(&booking.location)
        .bind(booking.range.start.as_micros())
        .bind(booking.range.end.as_micros())
        .bind(booking.status.name())
        .bind(booking.timezone.name())
        .bind(name)
        .bind(email)
        .bind(email.as_deref().map(email_key))
        .bind(phone)
        .bind(phone.as_deref().map(phone_key))
        .bind(timezone.map(|tz| tz.name()))
        .bind(to_json(&booking.metadata))
        .bind(i64::from(booking.sequence))
        .bind(&booking.cancel_reason)
        .bind(booking.created_at.as_micros())
        .bind(hosts.collect::<Vec<Uuid>>())
        .bind(calendars.collect::<Vec<Option<Uuid>>>())
}

fn bind_claims<'q>(call: Call<'q>, book: &Book<'_>) -> Call<'q> {
    let of = |part: fn(&Claim) -> Uuid| book.claims.iter().map(|claim| part(claim)).collect::<Vec<Uuid>>();
    let minutes = |part: fn(&Claim) -> u32| book.claims.iter().map(|claim| i64::from(part(claim))).collect::<Vec<_>>();
    call.bind(of(|claim| claim.id.as_uuid()))
        .bind(of(|claim| claim.user_id.as_uuid()))
        .bind(of(|claim| claim.home_calendar_id.as_uuid()))
        .bind(minutes(|claim| claim.buffer_before_minutes))
        .bind(minutes(|claim| claim.buffer_after_minutes))
        .bind(book.confirms.map(|confirms| confirms.hold_id))
        .bind(book.confirms.map(|confirms| i64::from(confirms.claim_count)))
}

fn bind_rest<'q>(call: Call<'q>, plan: &CommitPlan, sealed: Option<Sealed>) -> Call<'q> {
    let calendars = plan.effects.iter().map(|Effect::Writeback { calendar_id, .. }| calendar_id.as_uuid());
    let record = plan.decision.as_deref();
    let (scope, fingerprint, answer) = match sealed {
        Some(Sealed { scope, fingerprint, answer }) => (Some(scope), Some(fingerprint), Some(answer)),
        None => (None, None, None),
    };
    call.bind(calendars.collect::<Vec<Uuid>>())
        .bind(record.map(|record| record.id.as_uuid()))
        .bind(record.and_then(|record| record.hold_id).map(|id| id.as_uuid()))
        .bind(record.map(|record| record.decided_at.as_micros()))
        .bind(record.map(to_json))
        .bind(scope)
        .bind(fingerprint)
        .bind(answer)
        .bind(i64::try_from(KEPT_FOR.as_micros()).unwrap_or(i64::MAX))
        .bind(plan.event.as_deref().map(|event| to_json(&event.subject)))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The highest parameter a text names.
    fn highest(text: &str) -> usize {
        let numbers =
            text.split('$').skip(1).map(|part| part.split(|c: char| !c.is_ascii_digit()).next().unwrap_or(""));
        numbers.map(|number| number.parse().expect("a number")).max().expect("a parameter")
    }

    #[test]
    fn a_line_gives_each_call_parameters_of_its_own() {
        let of_one = highest(BOOK_CALL);
        for (text, len) in LINE_CALLS.iter().zip(1..) {
            assert_eq!(highest(text), of_one * len, "{text}");
            for number in 1..=of_one * len {
                let uses = text.split('$').skip(1).filter(|part| {
                    part.strip_prefix(&number.to_string())
                        .is_some_and(|rest| !rest.starts_with(|c: char| c.is_ascii_digit()))
                });
                assert_eq!(uses.count(), 1, "${number} of {text}");
            }
        }
    }
}
