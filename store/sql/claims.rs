//! Claims: people's time, taken.

use agentcal_engine::commit::ClaimChange;
use agentcal_engine::ids::{AccountId, BookingId, CalendarId, ClaimId, EventTypeId, HoldId, UserId};
use agentcal_engine::model::{Claim, ClaimOwner, DURATION_MINUTES_MAX};
use agentcal_engine::ports::StoreError;
use agentcal_engine::shard::Shard;
use agentcal_engine::time::{MINUTE_US, TimeRange, Timestamp};
use sqlx::QueryBuilder;
use uuid::Uuid;

use crate::db::{Db, DbConnection, REFUSAL_ENDS_WORK, makes_room};
use crate::error::{Result, Violation, store_error, violation};
use crate::text::{range, to_u32};

/// The longest claim, as the schema bounds it.
const MAX_DURATION_US: i64 = DURATION_MINUTES_MAX as i64 * MINUTE_US;

#[derive(sqlx::FromRow)]
struct ClaimRow {
    account_id: Uuid,
    claim_id: Uuid,
    user_id: Uuid,
    home_calendar_id: Uuid,
    start_at: i64,
    end_at: i64,
    hold_id: Option<Uuid>,
    booking_id: Option<Uuid>,
    event_type_id: Option<Uuid>,
    buffer_before_minutes: i64,
    buffer_after_minutes: i64,
    expires_at: Option<i64>,
    session_id: Option<String>,
}

impl ClaimRow {
    fn into_engine(self) -> Result<Claim> {
        let owner = match (self.hold_id, self.booking_id) {
            (Some(id), None) => ClaimOwner::Hold(HoldId::from_uuid(id)),
            (None, Some(id)) => ClaimOwner::Booking(BookingId::from_uuid(id)),
            _ => return Err(StoreError::Corrupt("a claim without one owner".to_owned())),
        };
        Ok(Claim {
            id: ClaimId::from_uuid(self.claim_id),
            account_id: AccountId::from_uuid(self.account_id),
            user_id: UserId::from_uuid(self.user_id),
            home_calendar_id: CalendarId::from_uuid(self.home_calendar_id),
            range: range(self.start_at, self.end_at)?,
            owner,
            event_type_id: self.event_type_id.map(EventTypeId::from_uuid),
            buffer_before_minutes: to_u32(self.buffer_before_minutes)?,
            buffer_after_minutes: to_u32(self.buffer_after_minutes)?,
            expires_at: self.expires_at.map(Timestamp::from_micros),
            session_id: self.session_id,
        })
    }
}

/// Claims published with a calendar that end after an instant, ascending by start.
pub(crate) async fn of_home(
    connection: &mut DbConnection,
    account_id: AccountId,
    home: CalendarId,
    ending_after: Timestamp,
) -> Result<Vec<Claim>> {
    let select = sqlx::query_as::<_, ClaimRow>(
        "SELECT account_id, claim_id, user_id, home_calendar_id, start_at, end_at, hold_id, booking_id, event_type_id, \
         buffer_before_minutes, buffer_after_minutes, expires_at, session_id FROM claims \
         WHERE account_id = $1 AND home_calendar_id = $2 AND end_at > $3 ORDER BY start_at, claim_id",
    );
    let select = select.bind(account_id.as_uuid()).bind(home.as_uuid()).bind(ending_after.as_micros());
    let rows = select.fetch_all(connection).await.map_err(store_error)?;
    rows.into_iter().map(ClaimRow::into_engine).collect()
}

/// How many claims an owner has that are live.
pub(crate) async fn count_live(
    connection: &mut DbConnection,
    account_id: AccountId,
    owner: ClaimOwner,
    now: Timestamp,
) -> Result<u32> {
    let (select, id) = by_owner(
        owner,
        "SELECT count(*) FROM claims WHERE account_id = $1 AND booking_id = $2 AND (expires_at IS NULL OR expires_at > $3)",
        "SELECT count(*) FROM claims WHERE account_id = $1 AND hold_id = $2 AND (expires_at IS NULL OR expires_at > $3)",
    );
    let select = sqlx::query_scalar(select).bind(account_id.as_uuid()).bind(id).bind(now.as_micros());
    to_u32(select.fetch_one(connection).await.map_err(store_error)?)
}

/// What became of a change to claims.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Changed {
    /// As asked.
    Done,
    /// What it rested on is not there.
    Stale,
    /// The user's time is taken.
    Overlap(UserId),
}

/// Performs one change inside a commit.
pub(crate) async fn apply(
    connection: &mut DbConnection,
    account_id: AccountId,
    shard: Shard,
    change: &ClaimChange,
    now: Timestamp,
) -> Result<Changed> {
    match change {
        ClaimChange::Insert(claim) if claim.account_id != account_id => Ok(Changed::Stale),
        ClaimChange::Insert(claim) => insert(connection, shard, claim, now).await,
        ClaimChange::Move { owner, range, claim_count } => {
            move_all(connection, account_id, *owner, *range, *claim_count, now).await
        }
        ClaimChange::Delete { owner, claim_count } => delete_all(connection, account_id, *owner, *claim_count).await,
        ClaimChange::Confirm { hold_id, booking_id, claim_count } => {
            confirm(connection, account_id, (*hold_id, *booking_id), *claim_count, now).await
        }
        ClaimChange::Extend { hold_id, expires_at, claim_count } => {
            extend(connection, account_id, (*hold_id, *expires_at), *claim_count, now).await
        }
    }
}

/// An expired hold in the way is rare, so the claim is tried first where a refused statement leaves nothing.
async fn insert(connection: &mut DbConnection, shard: Shard, claim: &Claim, now: Timestamp) -> Result<Changed> {
    if REFUSAL_ENDS_WORK {
        if makes_room() {
            delete_expired(connection, claim.account_id, claim.user_id, claim.range, now).await?;
        }
        return try_insert(connection, shard, claim).await;
    }
    let tried = try_insert(connection, shard, claim).await?;
    let is_refused = matches!(tried, Changed::Overlap(_));
    if is_refused && delete_expired(connection, claim.account_id, claim.user_id, claim.range, now).await? > 0 {
        return try_insert(connection, shard, claim).await;
    }
    Ok(tried)
}

async fn try_insert(connection: &mut DbConnection, shard: Shard, claim: &Claim) -> Result<Changed> {
    let mut insert = QueryBuilder::new("");
    push_insert(&mut insert, shard, &[claim]);
    match insert.build().execute(connection).await {
        Ok(_) => Ok(Changed::Done),
        Err(error) => match violation(&error) {
            Some(Violation::Overlap) => Ok(Changed::Overlap(claim.user_id)),
            Some(Violation::ForeignKey) => Ok(Changed::Stale),
            Some(Violation::Unique) | None => Err(store_error(error)),
        },
    }
}

/// Words the insertion of claims, of which there is one at least.
pub(crate) fn push_insert(statement: &mut QueryBuilder<Db>, shard: Shard, claims: &[&Claim]) {
    statement.push(
        "INSERT INTO claims (account_id, claim_id, shard, user_id, home_calendar_id, start_at, end_at, kind, hold_id, \
         booking_id, event_type_id, buffer_before_minutes, buffer_after_minutes, expires_at, session_id) ",
    );
    statement.push_values(claims, |mut values, claim| {
        let (hold_id, booking_id, kind) = match claim.owner {
            ClaimOwner::Hold(id) => (Some(id.as_uuid()), None, "hold"),
            ClaimOwner::Booking(id) => (None, Some(id.as_uuid()), "booking"),
        };
        values.push_bind(claim.account_id.as_uuid()).push_bind(claim.id.as_uuid());
        values.push_bind(i32::from(shard.number())).push_bind(claim.user_id.as_uuid());
        values.push_bind(claim.home_calendar_id.as_uuid());
        values.push_bind(claim.range.start.as_micros()).push_bind(claim.range.end.as_micros());
        values.push_bind(kind).push_bind(hold_id).push_bind(booking_id);
        values.push_bind(claim.event_type_id.map(|id| id.as_uuid()));
        values.push_bind(i64::from(claim.buffer_before_minutes)).push_bind(i64::from(claim.buffer_after_minutes));
        values.push_bind(claim.expires_at.map(Timestamp::as_micros)).push_bind(&claim.session_id);
    });
}

async fn move_all(
    connection: &mut DbConnection,
    account_id: AccountId,
    owner: ClaimOwner,
    to: TimeRange,
    claim_count: u32,
    now: Timestamp,
) -> Result<Changed> {
    let users = users_of(connection, account_id, owner).await?;
    for &user_id in &users {
        delete_expired(connection, account_id, user_id, to, now).await?;
    }
    if REFUSAL_ENDS_WORK && let Some(taken) = first_taken(connection, account_id, owner, &users, to).await? {
        return Ok(Changed::Overlap(taken));
    }
    let (update, id) = by_owner(
        owner,
        "UPDATE claims SET start_at = $3, end_at = $4 WHERE account_id = $1 AND booking_id = $2",
        "UPDATE claims SET start_at = $3, end_at = $4 WHERE account_id = $1 AND hold_id = $2",
    );
    let update = sqlx::query(update).bind(account_id.as_uuid()).bind(id);
    match update.bind(to.start.as_micros()).bind(to.end.as_micros()).execute(&mut *connection).await {
        Ok(done) => Ok(counted(done.rows_affected(), claim_count)),
        Err(error) if violation(&error) == Some(Violation::Overlap) => {
            let taken = match REFUSAL_ENDS_WORK {
                true => None,
                false => first_taken(connection, account_id, owner, &users, to).await?,
            };
            // Two claims of one owner and one user: moving both to one range can never be done.
            Ok(taken.or(users.first().copied()).map_or(Changed::Stale, Changed::Overlap))
        }
        Err(error) => Err(store_error(error)),
    }
}

/// A hold's live claims become the booking's, where they stand.
async fn confirm(
    connection: &mut DbConnection,
    account_id: AccountId,
    (hold_id, booking_id): (HoldId, BookingId),
    claim_count: u32,
    now: Timestamp,
) -> Result<Changed> {
    let update = sqlx::query(
        "UPDATE claims SET kind = 'booking', hold_id = NULL, booking_id = $3, expires_at = NULL, session_id = NULL \
         WHERE account_id = $1 AND hold_id = $2 AND expires_at > $4",
    );
    let update = update.bind(account_id.as_uuid()).bind(hold_id.as_uuid());
    let done = update.bind(booking_id.as_uuid()).bind(now.as_micros()).execute(connection).await;
    Ok(counted(done.map_err(store_error)?.rows_affected(), claim_count))
}

/// A hold's live claims end at another time.
async fn extend(
    connection: &mut DbConnection,
    account_id: AccountId,
    (hold_id, expires_at): (HoldId, Timestamp),
    claim_count: u32,
    now: Timestamp,
) -> Result<Changed> {
    let update =
        sqlx::query("UPDATE claims SET expires_at = $3 WHERE account_id = $1 AND hold_id = $2 AND expires_at > $4");
    let update = update.bind(account_id.as_uuid()).bind(hold_id.as_uuid());
    let done = update.bind(expires_at.as_micros()).bind(now.as_micros()).execute(connection).await;
    Ok(counted(done.map_err(store_error)?.rows_affected(), claim_count))
}

async fn delete_all(
    connection: &mut DbConnection,
    account_id: AccountId,
    owner: ClaimOwner,
    claim_count: u32,
) -> Result<Changed> {
    let (delete, id) = by_owner(
        owner,
        "DELETE FROM claims WHERE account_id = $1 AND booking_id = $2",
        "DELETE FROM claims WHERE account_id = $1 AND hold_id = $2",
    );
    let delete = sqlx::query(delete).bind(account_id.as_uuid()).bind(id);
    let done = delete.execute(connection).await.map_err(store_error)?;
    Ok(counted(done.rows_affected(), claim_count))
}

fn counted(rows: u64, claim_count: u32) -> Changed {
    if rows == u64::from(claim_count) { Changed::Done } else { Changed::Stale }
}

/// Expired holds of a user that stand in the way go, by the store's clock; how many.
pub(crate) async fn delete_expired(
    connection: &mut DbConnection,
    account_id: AccountId,
    user_id: UserId,
    within: TimeRange,
    now: Timestamp,
) -> Result<u64> {
    let delete = sqlx::query(
        "DELETE FROM claims WHERE account_id = $1 AND user_id = $2 AND start_at > $3 AND start_at < $4 AND end_at > $5 \
         AND kind = 'hold' AND expires_at <= $6",
    );
    let delete = delete.bind(account_id.as_uuid()).bind(user_id.as_uuid());
    let delete = delete.bind(within.start.plus_micros(-MAX_DURATION_US).as_micros());
    let delete = delete.bind(within.end.as_micros()).bind(within.start.as_micros()).bind(now.as_micros());
    Ok(delete.execute(connection).await.map_err(store_error)?.rows_affected())
}

/// The holds that take a user's time now.
pub(crate) async fn live_holds_on(
    connection: &mut DbConnection,
    account_id: AccountId,
    user_id: UserId,
    now: Timestamp,
) -> Result<Vec<HoldId>> {
    let select = sqlx::query_scalar::<_, Uuid>(
        "SELECT hold_id FROM claims WHERE account_id = $1 AND user_id = $2 AND kind = 'hold' AND expires_at > $3",
    );
    let select = select.bind(account_id.as_uuid()).bind(user_id.as_uuid()).bind(now.as_micros());
    let ids = select.fetch_all(connection).await.map_err(store_error)?;
    Ok(ids.into_iter().map(HoldId::from_uuid).collect())
}

/// Gives back all claims of a hold; whose they were, and with which calendars they were published.
pub(crate) async fn free(
    connection: &mut DbConnection,
    account_id: AccountId,
    hold_id: HoldId,
) -> Result<Vec<(UserId, CalendarId)>> {
    let delete = sqlx::query_as::<_, (Uuid, Uuid)>(
        "DELETE FROM claims WHERE account_id = $1 AND hold_id = $2 RETURNING user_id, home_calendar_id",
    );
    let freed = delete.bind(account_id.as_uuid()).bind(hold_id.as_uuid()).fetch_all(connection).await;
    let freed = freed.map_err(store_error)?;
    Ok(freed.into_iter().map(|(user, home)| (UserId::from_uuid(user), CalendarId::from_uuid(home))).collect())
}

async fn users_of(connection: &mut DbConnection, account_id: AccountId, owner: ClaimOwner) -> Result<Vec<UserId>> {
    let (select, id) = by_owner(
        owner,
        "SELECT user_id FROM claims WHERE account_id = $1 AND booking_id = $2",
        "SELECT user_id FROM claims WHERE account_id = $1 AND hold_id = $2",
    );
    let select = sqlx::query_scalar::<_, Uuid>(select).bind(account_id.as_uuid()).bind(id);
    let mut ids = select.fetch_all(connection).await.map_err(store_error)?;
    // Sorted here: asked to sort, SQLite walks all claims of the account in order instead.
    ids.sort();
    Ok(ids.into_iter().map(UserId::from_uuid).collect())
}

/// Whose time refuses a move; the constraint does not say.
async fn first_taken(
    connection: &mut DbConnection,
    account_id: AccountId,
    owner: ClaimOwner,
    users: &[UserId],
    to: TimeRange,
) -> Result<Option<UserId>> {
    let (select, id) = by_owner(
        owner,
        "SELECT count(*) FROM claims WHERE account_id = $1 AND user_id = $3 AND start_at > $4 AND start_at < $5 \
         AND end_at > $6 AND (booking_id IS NULL OR booking_id <> $2)",
        "SELECT count(*) FROM claims WHERE account_id = $1 AND user_id = $3 AND start_at > $4 AND start_at < $5 \
         AND end_at > $6 AND (hold_id IS NULL OR hold_id <> $2)",
    );
    for &user_id in users {
        let count = sqlx::query_scalar::<_, i64>(select).bind(account_id.as_uuid()).bind(id).bind(user_id.as_uuid());
        let count = count.bind(to.start.plus_micros(-MAX_DURATION_US).as_micros());
        let count = count.bind(to.end.as_micros()).bind(to.start.as_micros());
        if count.fetch_one(&mut *connection).await.map_err(store_error)? > 0 {
            return Ok(Some(user_id));
        }
    }
    Ok(None)
}

/// The statement for the owner's kind, and the owner's id.
fn by_owner(owner: ClaimOwner, of_booking: &'static str, of_hold: &'static str) -> (&'static str, Uuid) {
    match owner {
        ClaimOwner::Booking(id) => (of_booking, id.as_uuid()),
        ClaimOwner::Hold(id) => (of_hold, id.as_uuid()),
    }
}
