//! Bookings: reading them, and their rows inside a commit.

use std::collections::BTreeMap;

use agentcal_engine::commit::BookingChange;
use agentcal_engine::ids::{AccountId, BookingId, CalendarId, EventTypeId, UserId};
use agentcal_engine::model::{
    Attendee, Booking, BookingHost, BookingStatus, ClaimOwner, Conference, DURATION_MINUTES_MAX, Tenant, Writeback,
};
use agentcal_engine::ports::{BookingFilter, BookingStore, BookingStoreItem, ListPage, PageRequest, StoreError};
use agentcal_engine::time::{MINUTE_US, TimeRange, Timestamp};
use async_trait::async_trait;
use sqlx::QueryBuilder;
use uuid::Uuid;

use crate::claims;
use crate::db::{Db, DbConnection, DbStore};
use crate::error::{Result, Violation, store_error, violation};
use crate::rows::{into_page, probe};
use crate::scope::Scope;
use crate::text::{Named, email_key, from_json, phone_key, range, to_json, to_u32, to_u64, zone};
use crate::work::has_tenant;

/// Ids named in one statement.
const IDS_PER_STATEMENT: usize = 200;
/// Bookings of an account.
const SELECT_BOOKINGS: &str = "SELECT account_id, booking_id, event_type_id, title, location, start_at, end_at, status, timezone, attendee_name, \
     attendee_email, attendee_phone, attendee_timezone, metadata, sequence, attendee_reschedules, cancel_reason, \
     created_at, conference, conference_calendar_id, conference_state, conference_url FROM bookings WHERE account_id = ";
/// The longest booking.
const MAX_DURATION_US: i64 = DURATION_MINUTES_MAX as i64 * MINUTE_US;

#[async_trait]
impl BookingStore for DbStore {
    async fn booking(
        &self,
        account_id: AccountId,
        booking_id: BookingId,
    ) -> Result<Option<BookingStoreItem>, StoreError> {
        let mut reader = self.begin_read(Scope::Account(account_id)).await?;
        let mut found = load(&mut reader, account_id, &[booking_id.as_uuid()]).await?;
        let Some(booking) = found.remove(&booking_id) else { return Ok(None) };
        let owner = ClaimOwner::Booking(booking_id);
        let now = self.now_on(&mut reader).await?;
        let claim_count = claims::count_live(&mut reader, account_id, owner, now).await?;
        Ok(Some(BookingStoreItem { booking, claim_count }))
    }

    async fn list_bookings(
        &self,
        tenant: &Tenant,
        filter: &BookingFilter,
        now: Timestamp,
        page: &PageRequest,
    ) -> Result<ListPage<Booking>, StoreError> {
        let mut reader = self.begin_read(Scope::Account(tenant.account_id)).await?;
        if !has_tenant(&mut reader, tenant).await? {
            return Ok(ListPage { rows: Vec::new(), next: None });
        }
        let mut select = list_statement(tenant.account_id, filter, now, page);
        let places = select.build_query_as::<(i64, Uuid)>();
        let places = places.fetch_all(&mut *reader).await.map_err(store_error)?;
        let ListPage { rows: places, next } = into_page(places, page, |place| *place);
        let ids = places.into_iter().map(|(_, id)| id).collect::<Vec<_>>();
        let mut found = load(&mut reader, tenant.account_id, &ids).await?;
        let rows = ids.into_iter().filter_map(|id| found.remove(&BookingId::from_uuid(id))).collect();
        Ok(ListPage { rows, next })
    }

    async fn future_booking_counts(
        &self,
        account_id: AccountId,
        user_ids: &[UserId],
        now: Timestamp,
    ) -> Result<Vec<(UserId, u64)>, StoreError> {
        let mut reader = self.begin_read(Scope::Account(account_id)).await?;
        let mut counts = Vec::new();
        for &user_id in user_ids {
            let select = sqlx::query_scalar(
                "SELECT count(*) FROM claims WHERE account_id = $1 AND user_id = $2 AND start_at > $3 \
                 AND kind = 'booking'",
            );
            let select = select.bind(account_id.as_uuid()).bind(user_id.as_uuid()).bind(now.as_micros());
            let count = to_u64(select.fetch_one(&mut *reader).await.map_err(store_error)?)?;
            if count > 0 {
                counts.push((user_id, count));
            }
        }
        Ok(counts)
    }
}

/// Places of a page of bookings. Each filter that an index begins with is written so that the index serves, and status
/// bounds the start too, so that a list of what is to come does not walk through what was.
fn list_statement(
    account_id: AccountId,
    filter: &BookingFilter,
    now: Timestamp,
    page: &PageRequest,
) -> QueryBuilder<Db> {
    let mut select = match filter.user_id {
        Some(user_id) => {
            let mut select = QueryBuilder::new(
                "SELECT h.start_at, h.booking_id FROM booking_hosts AS h \
                 JOIN bookings AS b ON b.account_id = h.account_id AND b.booking_id = h.booking_id \
                 WHERE h.account_id = ",
            );
            select.push_bind(account_id.as_uuid()).push(" AND h.user_id = ").push_bind(user_id.as_uuid());
            select
        }
        None => {
            let mut select =
                QueryBuilder::new("SELECT h.start_at, h.booking_id FROM bookings AS h WHERE h.account_id = ");
            select.push_bind(account_id.as_uuid());
            select
        }
    };
    let bookings = if filter.user_id.is_some() { "b" } else { "h" };
    if let Some(after) = filter.starts_after {
        select.push(" AND h.start_at >= ").push_bind(after.as_micros());
    }
    if let Some(before) = filter.starts_before {
        select.push(" AND h.start_at < ").push_bind(before.as_micros());
    }
    if let Some(email) = &filter.attendee_email {
        select.push(format_args!(" AND {bookings}.attendee_email_key = ")).push_bind(email_key(email));
    }
    if let Some(phone) = &filter.attendee_phone {
        select.push(format_args!(" AND {bookings}.attendee_phone_key = ")).push_bind(phone_key(phone));
    }
    if let Some(status) = filter.status {
        push_status(&mut select, bookings, status, now);
    }
    if let Some((start, id)) = page.after {
        select.push(" AND (h.start_at, h.booking_id) > (").push_bind(start).push(", ").push_bind(id).push(")");
    }
    select.push(" ORDER BY h.start_at, h.booking_id LIMIT ").push_bind(probe(page));
    select
}

fn push_status(select: &mut QueryBuilder<Db>, bookings: &str, status: BookingStatus, now: Timestamp) {
    let stored = if status == BookingStatus::Completed { BookingStatus::Confirmed } else { status };
    select.push(format_args!(" AND {bookings}.status = ")).push_bind(stored.name());
    match status {
        BookingStatus::Confirmed => {
            select.push(" AND h.start_at > ").push_bind(now.plus_micros(-MAX_DURATION_US).as_micros());
            select.push(format_args!(" AND {bookings}.end_at > ")).push_bind(now.as_micros());
        }
        BookingStatus::Completed => {
            select.push(" AND h.start_at < ").push_bind(now.as_micros());
            select.push(format_args!(" AND {bookings}.end_at <= ")).push_bind(now.as_micros());
        }
        BookingStatus::Cancelled => {}
    }
}

#[derive(sqlx::FromRow)]
struct BookingRow {
    account_id: Uuid,
    booking_id: Uuid,
    event_type_id: Option<Uuid>,
    title: String,
    location: Option<String>,
    start_at: i64,
    end_at: i64,
    status: String,
    timezone: String,
    attendee_name: String,
    attendee_email: Option<String>,
    attendee_phone: Option<String>,
    attendee_timezone: Option<String>,
    metadata: String,
    sequence: i64,
    attendee_reschedules: i64,
    cancel_reason: Option<String>,
    created_at: i64,
    conference: Option<String>,
    conference_calendar_id: Option<Uuid>,
    conference_state: Option<String>,
    conference_url: Option<String>,
}

impl BookingRow {
    fn conference(&self) -> Result<Option<Conference>> {
        let Some((kind, state)) = self.conference.as_deref().zip(self.conference_state.as_deref()) else {
            return Ok(None);
        };
        Ok(Some(Conference {
            kind: Named::named(kind)?,
            calendar_id: self.conference_calendar_id.map(CalendarId::from_uuid),
            state: Named::named(state)?,
            join_url: self.conference_url.clone(),
        }))
    }

    fn into_engine(self, hosts: Vec<BookingHost>) -> Result<Booking> {
        let conference = self.conference()?;
        Ok(Booking {
            id: BookingId::from_uuid(self.booking_id),
            account_id: AccountId::from_uuid(self.account_id),
            event_type_id: self.event_type_id.map(EventTypeId::from_uuid),
            title: self.title,
            location: self.location,
            conference,
            range: range(self.start_at, self.end_at)?,
            status: Named::named(&self.status)?,
            timezone: zone(&self.timezone)?,
            attendee: Attendee {
                name: self.attendee_name,
                email: self.attendee_email,
                phone: self.attendee_phone,
                timezone: self.attendee_timezone.as_deref().map(zone).transpose()?,
            },
            metadata: from_json("booking metadata", &self.metadata)?,
            hosts,
            sequence: to_u32(self.sequence)?,
            attendee_reschedules: to_u32(self.attendee_reschedules)?,
            cancel_reason: self.cancel_reason,
            created_at: Timestamp::from_micros(self.created_at),
        })
    }
}

/// A host, and how the booking stands in its calendar, from the writeback of that calendar.
#[derive(sqlx::FromRow)]
struct HostRow {
    booking_id: Uuid,
    user_id: Uuid,
    calendar_id: Option<Uuid>,
    written_event_id: Option<String>,
    state: Option<String>,
    attempts: Option<i64>,
    last_error: Option<String>,
    external_state: Option<String>,
}

impl HostRow {
    fn into_engine(self) -> Result<BookingHost> {
        let writeback = match self.state.as_deref().zip(self.attempts) {
            Some((state, attempts)) => Some(Writeback {
                state: Named::named(state)?,
                attempts: to_u32(attempts)?,
                last_error: self.last_error,
            }),
            None => None,
        };
        Ok(BookingHost {
            user_id: UserId::from_uuid(self.user_id),
            calendar_id: self.calendar_id.map(CalendarId::from_uuid),
            provider_event_id: self.written_event_id,
            writeback,
            external_state: self.external_state.as_deref().map(Named::named).transpose()?,
        })
    }
}

/// Bookings by id, with their hosts.
pub(crate) async fn load(
    connection: &mut DbConnection,
    account_id: AccountId,
    ids: &[Uuid],
) -> Result<BTreeMap<BookingId, Booking>> {
    let mut found = BTreeMap::new();
    for ids in ids.chunks(IDS_PER_STATEMENT) {
        let mut hosts = load_hosts(connection, account_id, ids).await?;
        let mut select = of_ids(SELECT_BOOKINGS, account_id, "booking_id", ids);
        let rows = select.build_query_as::<BookingRow>().fetch_all(&mut *connection).await.map_err(store_error)?;
        for row in rows {
            let hosts = hosts.remove(&row.booking_id).unwrap_or_default();
            found.insert(BookingId::from_uuid(row.booking_id), row.into_engine(hosts)?);
        }
    }
    Ok(found)
}

async fn load_hosts(
    connection: &mut DbConnection,
    account_id: AccountId,
    ids: &[Uuid],
) -> Result<BTreeMap<Uuid, Vec<BookingHost>>> {
    let mut select = of_ids(
        "SELECT h.booking_id, h.user_id, h.calendar_id, w.written_event_id, w.state, w.attempts, w.last_error, \
         w.external_state FROM booking_hosts AS h LEFT JOIN writebacks AS w ON w.account_id = h.account_id \
         AND w.booking_id = h.booking_id AND w.calendar_id = h.calendar_id WHERE h.account_id = ",
        account_id,
        "h.booking_id",
        ids,
    );
    select.push(" ORDER BY h.booking_id, h.position");
    let mut hosts = BTreeMap::<Uuid, Vec<BookingHost>>::new();
    for row in select.build_query_as::<HostRow>().fetch_all(connection).await.map_err(store_error)? {
        hosts.entry(row.booking_id).or_default().push(row.into_engine()?);
    }
    Ok(hosts)
}

fn of_ids(select: &'static str, account_id: AccountId, column: &'static str, ids: &[Uuid]) -> QueryBuilder<Db> {
    let mut select = QueryBuilder::new(select);
    select.push_bind(account_id.as_uuid()).push(" AND ").push(column).push(" IN (");
    let mut list = select.separated(", ");
    for &id in ids {
        list.push_bind(id);
    }
    select.push(")");
    select
}

/// Performs the change to a booking's own row inside a commit; false when it is not as the decision saw it.
pub(crate) async fn apply(
    connection: &mut DbConnection,
    account_id: AccountId,
    change: &BookingChange,
) -> Result<bool> {
    match change {
        BookingChange::Insert(booking) if booking.account_id != account_id => Ok(false),
        BookingChange::Insert(booking) => insert(connection, booking).await,
        BookingChange::Reschedule { booking_id, sequence, range, attendee_reschedules } => {
            let expected = Expected { booking_id: *booking_id, sequence: *sequence };
            reschedule(connection, account_id, expected, *range, *attendee_reschedules).await
        }
        BookingChange::Cancel { booking_id, sequence, reason } => {
            let update = sqlx::query(
                "UPDATE bookings SET status = 'cancelled', cancel_reason = $4, sequence = sequence + 1 \
                 WHERE account_id = $1 AND booking_id = $2 AND sequence = $3 AND status = 'confirmed'",
            );
            let update = update.bind(account_id.as_uuid()).bind(booking_id.as_uuid()).bind(i64::from(*sequence));
            let update = update.bind(reason);
            let done = update.execute(connection).await.map_err(store_error)?;
            Ok(done.rows_affected() == 1)
        }
    }
}

/// False when there is a booking of this id already.
async fn insert(connection: &mut DbConnection, booking: &Booking) -> Result<bool> {
    let mut insert = QueryBuilder::new("");
    push_insert(&mut insert, booking);
    match insert.build().execute(&mut *connection).await {
        Ok(_) => {}
        Err(error) if violation(&error) == Some(Violation::Unique) => return Ok(false),
        Err(error) => return Err(store_error(error)),
    }
    if !booking.hosts.is_empty() {
        let mut insert = QueryBuilder::new("");
        push_hosts(&mut insert, booking);
        insert.build().execute(connection).await.map_err(store_error)?;
    }
    Ok(true)
}

/// Words the insertion of a booking's own row.
pub(crate) fn push_insert(statement: &mut QueryBuilder<Db>, booking: &Booking) {
    statement.push(
        "INSERT INTO bookings (account_id, booking_id, event_type_id, title, location, start_at, end_at, status, \
         timezone, attendee_name, attendee_email, attendee_email_key, attendee_phone, attendee_phone_key, \
         attendee_timezone, metadata, sequence, cancel_reason, created_at, conference, conference_calendar_id, \
         conference_state, conference_url) VALUES (",
    );
    let Attendee { name, email, phone, timezone } = &booking.attendee;
    let mut values = statement.separated(", ");
    values.push_bind(booking.account_id.as_uuid()).push_bind(booking.id.as_uuid());
    values.push_bind(booking.event_type_id.map(|id| id.as_uuid())).push_bind(&booking.title);
    values.push_bind(&booking.location);
    values.push_bind(booking.range.start.as_micros()).push_bind(booking.range.end.as_micros());
    values.push_bind(booking.status.name()).push_bind(booking.timezone.name()).push_bind(name);
    values.push_bind(email).push_bind(email.as_deref().map(email_key));
    values.push_bind(phone).push_bind(phone.as_deref().map(phone_key));
    values.push_bind(timezone.map(|tz| tz.name())).push_bind(to_json(&booking.metadata));
    values.push_bind(i64::from(booking.sequence)).push_bind(&booking.cancel_reason);
    values.push_bind(booking.created_at.as_micros());
    let conference = booking.conference.as_ref();
    values.push_bind(conference.map(|conference| conference.kind.name()));
    values.push_bind(conference.and_then(|conference| conference.calendar_id).map(|id| id.as_uuid()));
    values.push_bind(conference.map(|conference| conference.state.name()));
    values.push_bind(conference.and_then(|conference| conference.join_url.as_deref()));
    statement.push(")");
}

/// Words the insertion of a booking's hosts, of which there is one at least.
pub(crate) fn push_hosts(statement: &mut QueryBuilder<Db>, booking: &Booking) {
    statement.push("INSERT INTO booking_hosts (account_id, booking_id, position, user_id, calendar_id, start_at) ");
    statement.push_values((0i64..).zip(&booking.hosts), |mut values, (position, host)| {
        values.push_bind(booking.account_id.as_uuid()).push_bind(booking.id.as_uuid()).push_bind(position);
        values.push_bind(host.user_id.as_uuid()).push_bind(host.calendar_id.map(|id| id.as_uuid()));
        values.push_bind(booking.range.start.as_micros());
    });
}

/// A booking as a decision saw it.
#[derive(Clone, Copy)]
struct Expected {
    booking_id: BookingId,
    sequence: u32,
}

async fn reschedule(
    connection: &mut DbConnection,
    account_id: AccountId,
    Expected { booking_id, sequence }: Expected,
    to: TimeRange,
    attendee_reschedules: u32,
) -> Result<bool> {
    let update = sqlx::query(
        "UPDATE bookings SET start_at = $4, end_at = $5, attendee_reschedules = $6, sequence = sequence + 1 \
         WHERE account_id = $1 AND booking_id = $2 AND sequence = $3 AND status = 'confirmed'",
    );
    let update = update.bind(account_id.as_uuid()).bind(booking_id.as_uuid()).bind(i64::from(sequence));
    let update = update.bind(to.start.as_micros()).bind(to.end.as_micros()).bind(i64::from(attendee_reschedules));
    if update.execute(&mut *connection).await.map_err(store_error)?.rows_affected() != 1 {
        return Ok(false);
    }
    for (update, instant) in [
        ("UPDATE booking_hosts SET start_at = $3 WHERE account_id = $1 AND booking_id = $2", to.start),
        ("UPDATE writebacks SET booking_end_at = $3 WHERE account_id = $1 AND booking_id = $2", to.end),
    ] {
        let update = sqlx::query(update).bind(account_id.as_uuid()).bind(booking_id.as_uuid());
        update.bind(instant.as_micros()).execute(&mut *connection).await.map_err(store_error)?;
    }
    Ok(true)
}
