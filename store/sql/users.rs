//! Users, the calendars they name, and the home of their claims.

use agentcal_engine::commit::RevisionKey;
use agentcal_engine::ids::{AccountId, CalendarId, UserId};
use agentcal_engine::model::{AvailabilityRules, DURATION_MINUTES_MAX, ProviderKind, User};
use agentcal_engine::ports::Write;
use agentcal_engine::time::{MINUTE_US, Timestamp};
use uuid::Uuid;

use crate::db::DbConnection;
use crate::error::{Result, Violation, store_error, violation};
use crate::text::{Named, from_json, to_json, zone};
use crate::{holds, locks, revisions};

#[derive(sqlx::FromRow)]
pub(crate) struct UserRow {
    account_id: Uuid,
    user_id: Uuid,
    name: String,
    email: String,
    timezone: String,
    calendar_id: Option<Uuid>,
    home_calendar_id: Uuid,
    rules: String,
    created_at: i64,
}

impl UserRow {
    pub(crate) fn into_engine(self, busy: Vec<CalendarId>) -> Result<(User, AvailabilityRules)> {
        let user = User {
            id: UserId::from_uuid(self.user_id),
            account_id: AccountId::from_uuid(self.account_id),
            name: self.name,
            email: self.email,
            timezone: zone(&self.timezone)?,
            calendar_id: self.calendar_id.map(CalendarId::from_uuid),
            home_calendar_id: CalendarId::from_uuid(self.home_calendar_id),
            busy_calendar_ids: busy,
            created_at: Timestamp::from_micros(self.created_at),
        };
        Ok((user, from_json("user rules", &self.rules)?))
    }

    pub(crate) fn id(&self) -> UserId {
        UserId::from_uuid(self.user_id)
    }
}

/// Writes a user; [`Write::Missing`] when it names a calendar that is not of its account.
pub(crate) async fn insert(connection: &mut DbConnection, user: &User, rules: &AvailabilityRules) -> Result<Write> {
    if !has_calendars(connection, user, user.created_at).await? {
        return Ok(Write::Missing);
    }
    let insert = sqlx::query(
        "INSERT INTO users (account_id, user_id, name, email, timezone, calendar_id, home_calendar_id, rules, created_at) \
         VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9)",
    );
    let insert = insert.bind(user.account_id.as_uuid()).bind(user.id.as_uuid()).bind(&user.name).bind(&user.email);
    let insert = insert.bind(user.timezone.name()).bind(user.calendar_id.map(|id| id.as_uuid()));
    let insert = insert.bind(user.home_calendar_id.as_uuid()).bind(to_json(rules)).bind(user.created_at.as_micros());
    insert.execute(&mut *connection).await.map_err(store_error)?;
    insert_busy_calendars(connection, user).await?;
    forget_cursor(connection, user.account_id, user.calendar_id).await?;
    revisions::create(connection, user.account_id, RevisionKey::User(user.id)).await?;
    Ok(Write::Done)
}

/// Replaces a user; its claims follow its home.
pub(crate) async fn update(connection: &mut DbConnection, user: &User, now: Timestamp) -> Result<Write> {
    let Some(old_home) = home_of(connection, user.account_id, user.id).await? else { return Ok(Write::Missing) };
    if old_home != user.home_calendar_id {
        locks::account(connection, user.account_id).await?;
    }
    if !has_calendars(connection, user, now).await? {
        return Ok(Write::Missing);
    }
    let (old_email, old_calendar) = owner_of(connection, user.account_id, user.id).await?;
    if (&old_email, old_calendar) != (&user.email, user.calendar_id) {
        forget_cursor(connection, user.account_id, old_calendar).await?;
        forget_cursor(connection, user.account_id, user.calendar_id).await?;
    }
    let update = sqlx::query(
        "UPDATE users SET name = $3, email = $4, timezone = $5, calendar_id = $6, home_calendar_id = $7 \
         WHERE account_id = $1 AND user_id = $2",
    );
    let update = update.bind(user.account_id.as_uuid()).bind(user.id.as_uuid()).bind(&user.name).bind(&user.email);
    let update = update.bind(user.timezone.name()).bind(user.calendar_id.map(|id| id.as_uuid()));
    update.bind(user.home_calendar_id.as_uuid()).execute(&mut *connection).await.map_err(store_error)?;
    delete_busy_calendars(connection, user.account_id, user.id).await?;
    insert_busy_calendars(connection, user).await?;
    if old_home != user.home_calendar_id {
        move_home(connection, user.account_id, user.id, user.home_calendar_id).await?;
        leave_home(connection, user.account_id, old_home).await?;
    }
    Ok(Write::Done)
}

/// When a user goes.
#[derive(Clone, Copy)]
pub(crate) struct Moments {
    /// The instant the caller means, for bookings.
    pub(crate) now: Timestamp,
    /// The store's clock, for holds.
    pub(crate) store_now: Timestamp,
}

/// Deletes a user, unless it is still needed. Live holds on it end; what expired goes with it.
pub(crate) async fn delete(
    connection: &mut DbConnection,
    account_id: AccountId,
    user_id: UserId,
    Moments { now, store_now }: Moments,
) -> Result<Write> {
    let Some(home) = home_of(connection, account_id, user_id).await? else { return Ok(Write::Missing) };
    locks::account(connection, account_id).await?;
    if has_bookings_after(connection, account_id, user_id, now).await? {
        return Ok(Write::Refused("future_bookings"));
    }
    if is_only_host(connection, account_id, user_id).await? {
        return Ok(Write::Refused("in_use"));
    }
    let (_, calendar) = owner_of(connection, account_id, user_id).await?;
    forget_cursor(connection, account_id, calendar).await?;
    holds::end_of_user(connection, account_id, user_id, store_now).await?;
    for delete in [
        "DELETE FROM event_type_hosts WHERE account_id = $1 AND user_id = $2",
        "DELETE FROM claims WHERE account_id = $1 AND user_id = $2",
        "DELETE FROM users WHERE account_id = $1 AND user_id = $2",
    ] {
        let delete = sqlx::query(delete).bind(account_id.as_uuid()).bind(user_id.as_uuid());
        delete.execute(&mut *connection).await.map_err(store_error)?;
    }
    revisions::remove(connection, account_id, RevisionKey::User(user_id)).await?;
    leave_home(connection, account_id, home).await?;
    Ok(Write::Done)
}

/// The calendars a user's busy time is read from besides its own, in its order.
pub(crate) async fn busy_calendars(
    connection: &mut DbConnection,
    account_id: AccountId,
    user_id: UserId,
) -> Result<Vec<CalendarId>> {
    let select = sqlx::query_scalar(
        "SELECT calendar_id FROM user_busy_calendars WHERE account_id = $1 AND user_id = $2 ORDER BY position",
    );
    let select = select.bind(account_id.as_uuid()).bind(user_id.as_uuid());
    let ids: Vec<Uuid> = select.fetch_all(connection).await.map_err(store_error)?;
    Ok(ids.into_iter().map(CalendarId::from_uuid).collect())
}

/// Publishes a user's claims with another calendar from now on, and raises what that concerns there.
pub(crate) async fn move_home(
    connection: &mut DbConnection,
    account_id: AccountId,
    user_id: UserId,
    home: CalendarId,
) -> Result<()> {
    let update = sqlx::query("UPDATE claims SET home_calendar_id = $3 WHERE account_id = $1 AND user_id = $2");
    let update = update.bind(account_id.as_uuid()).bind(user_id.as_uuid()).bind(home.as_uuid());
    update.execute(&mut *connection).await.map_err(store_error)?;
    revisions::raise_calendar(connection, account_id, home).await?;
    revisions::raise_user(connection, account_id, user_id).await?;
    Ok(())
}

/// Makes an internal calendar; false when the id is another's.
pub(crate) async fn insert_internal_calendar(
    connection: &mut DbConnection,
    account_id: AccountId,
    calendar_id: CalendarId,
    timezone: &str,
    now: Timestamp,
) -> Result<bool> {
    let insert = sqlx::query(
        "INSERT INTO calendars (account_id, calendar_id, connection_id, provider, provider_calendar_id, name, timezone, \
         writable, watch_state, watch_expires_at, created_at) \
         VALUES ($1, $2, NULL, 'internal', '', '', $3, FALSE, 'none', NULL, $4)",
    );
    let insert = insert.bind(account_id.as_uuid()).bind(calendar_id.as_uuid()).bind(timezone).bind(now.as_micros());
    match insert.execute(&mut *connection).await {
        Ok(_) => {}
        Err(error) if violation(&error) == Some(Violation::Unique) => return Ok(false),
        Err(error) => return Err(store_error(error)),
    }
    revisions::create(connection, account_id, RevisionKey::Calendar(calendar_id)).await?;
    Ok(true)
}

/// A user's address and the calendar it owns by it.
async fn owner_of(
    connection: &mut DbConnection,
    account_id: AccountId,
    user_id: UserId,
) -> Result<(String, Option<CalendarId>)> {
    let select = sqlx::query_as("SELECT email, calendar_id FROM users WHERE account_id = $1 AND user_id = $2");
    let select = select.bind(account_id.as_uuid()).bind(user_id.as_uuid());
    let (email, calendar_id): (String, Option<Uuid>) = select.fetch_one(connection).await.map_err(store_error)?;
    Ok((email, calendar_id.map(CalendarId::from_uuid)))
}

/// A calendar whose connection does not say whose it is belongs to its users. When these change, other answers to
/// invitations count, and those were not kept: the cursor no longer stands for the facts, and the next sync is a full one.
async fn forget_cursor(
    connection: &mut DbConnection,
    account_id: AccountId,
    calendar_id: Option<CalendarId>,
) -> Result<()> {
    let Some(calendar_id) = calendar_id else { return Ok(()) };
    let update = sqlx::query(
        "UPDATE sync_states SET sync_cursor = NULL WHERE account_id = $1 AND calendar_id = $2 AND EXISTS (          SELECT 1 FROM calendars k JOIN connections c ON c.account_id = k.account_id AND c.connection_id = k.connection_id          WHERE k.account_id = $1 AND k.calendar_id = $2 AND c.owner_addresses = '[]')",
    );
    let update = update.bind(account_id.as_uuid()).bind(calendar_id.as_uuid());
    update.execute(connection).await.map(drop).map_err(store_error)
}

/// A calendar that lost a user: raised, or deleted when it was that user's internal one.
async fn leave_home(connection: &mut DbConnection, account_id: AccountId, home: CalendarId) -> Result<()> {
    if provider_of(connection, account_id, home).await? != Some(ProviderKind::Internal) {
        return revisions::raise_calendar(connection, account_id, home).await.map(drop);
    }
    let delete = sqlx::query("DELETE FROM calendars WHERE account_id = $1 AND calendar_id = $2");
    let delete = delete.bind(account_id.as_uuid()).bind(home.as_uuid());
    delete.execute(&mut *connection).await.map_err(store_error)?;
    revisions::remove(connection, account_id, RevisionKey::Calendar(home)).await
}

/// Whether every calendar a user names is there for it; makes its internal home where it has none yet.
async fn has_calendars(connection: &mut DbConnection, user: &User, now: Timestamp) -> Result<bool> {
    for &calendar_id in user.calendar_id.iter().chain(&user.busy_calendar_ids) {
        match provider_of(connection, user.account_id, calendar_id).await? {
            None | Some(ProviderKind::Internal) => return Ok(false),
            Some(_) => {}
        }
    }
    match user.calendar_id {
        Some(calendar_id) => Ok(calendar_id == user.home_calendar_id),
        None => has_internal_home(connection, user, now).await,
    }
}

async fn has_internal_home(connection: &mut DbConnection, user: &User, now: Timestamp) -> Result<bool> {
    let home = user.home_calendar_id;
    match provider_of(connection, user.account_id, home).await? {
        None => insert_internal_calendar(connection, user.account_id, home, user.timezone.name(), now).await,
        Some(ProviderKind::Internal) => Ok(home_of(connection, user.account_id, user.id).await? == Some(home)),
        Some(_) => Ok(false),
    }
}

async fn provider_of(
    connection: &mut DbConnection,
    account_id: AccountId,
    calendar_id: CalendarId,
) -> Result<Option<ProviderKind>> {
    let select = sqlx::query_scalar("SELECT provider FROM calendars WHERE account_id = $1 AND calendar_id = $2");
    let select = select.bind(account_id.as_uuid()).bind(calendar_id.as_uuid());
    let name: Option<String> = select.fetch_optional(connection).await.map_err(store_error)?;
    name.as_deref().map(Named::named).transpose()
}

async fn home_of(connection: &mut DbConnection, account_id: AccountId, user_id: UserId) -> Result<Option<CalendarId>> {
    let select = sqlx::query_scalar("SELECT home_calendar_id FROM users WHERE account_id = $1 AND user_id = $2");
    let select = select.bind(account_id.as_uuid()).bind(user_id.as_uuid());
    let home: Option<Uuid> = select.fetch_optional(connection).await.map_err(store_error)?;
    Ok(home.map(CalendarId::from_uuid))
}

async fn has_bookings_after(
    connection: &mut DbConnection,
    account_id: AccountId,
    user_id: UserId,
    now: Timestamp,
) -> Result<bool> {
    let earliest_start = now.plus_micros(-i64::from(DURATION_MINUTES_MAX) * MINUTE_US);
    let select = sqlx::query_scalar(
        "SELECT count(*) FROM claims WHERE account_id = $1 AND user_id = $2 AND start_at > $3 AND end_at > $4 \
         AND kind = 'booking'",
    );
    let select = select.bind(account_id.as_uuid()).bind(user_id.as_uuid());
    let select = select.bind(earliest_start.as_micros()).bind(now.as_micros());
    let count: i64 = select.fetch_one(connection).await.map_err(store_error)?;
    Ok(count > 0)
}

async fn is_only_host(connection: &mut DbConnection, account_id: AccountId, user_id: UserId) -> Result<bool> {
    let select = sqlx::query_scalar(
        "SELECT count(*) FROM event_type_hosts AS mine WHERE mine.account_id = $1 AND mine.user_id = $2 AND NOT EXISTS \
         (SELECT 1 FROM event_type_hosts AS other WHERE other.account_id = mine.account_id \
          AND other.event_type_id = mine.event_type_id AND other.user_id <> mine.user_id)",
    );
    let select = select.bind(account_id.as_uuid()).bind(user_id.as_uuid());
    let count: i64 = select.fetch_one(connection).await.map_err(store_error)?;
    Ok(count > 0)
}

async fn insert_busy_calendars(connection: &mut DbConnection, user: &User) -> Result<()> {
    for (position, calendar_id) in (0i64..).zip(&user.busy_calendar_ids) {
        let insert = sqlx::query(
            "INSERT INTO user_busy_calendars (account_id, user_id, position, calendar_id) VALUES ($1, $2, $3, $4)",
        );
        let insert = insert.bind(user.account_id.as_uuid()).bind(user.id.as_uuid()).bind(position);
        insert.bind(calendar_id.as_uuid()).execute(&mut *connection).await.map_err(store_error)?;
    }
    Ok(())
}

async fn delete_busy_calendars(connection: &mut DbConnection, account_id: AccountId, user_id: UserId) -> Result<()> {
    let delete = sqlx::query("DELETE FROM user_busy_calendars WHERE account_id = $1 AND user_id = $2");
    let delete = delete.bind(account_id.as_uuid()).bind(user_id.as_uuid());
    delete.execute(connection).await.map(drop).map_err(store_error)
}
