//! Event types and their hosts.

use agentcal_engine::ids::{AccountId, EventTypeId, UserId};
use agentcal_engine::model::{AttendeePolicy, AvailabilityRules, EventType, FollowUp, MailPolicy};
use agentcal_engine::ports::Write;
use agentcal_engine::time::Timestamp;
use uuid::Uuid;

use crate::db::{Db, DbArguments, DbConnection};
use crate::error::{Result, Violation, store_error, violation};
use crate::text::{Named, from_json, to_json, to_u32};

/// The event types of an account.
pub(crate) const SELECT_ALL: &str = "SELECT account_id, event_type_id, name, slug, duration_minutes, slot_interval_minutes, buffer_before_minutes, \
    buffer_after_minutes, buffer_mode, min_notice_hours, booking_window_days, max_bookings_per_day, \
    scheduling_mode, public, location, require_slot_id, on_stale, cancel_notice_hours, reschedule_notice_hours, \
    reschedules_max, reminders, mail_attendee, mail_hosts, conference, rules, created_at \
    FROM event_types WHERE account_id = $1 ORDER BY event_type_id";

/// A page of them.
pub(crate) const SELECT_PAGE: &str = "SELECT e.account_id, e.event_type_id, e.name, e.slug, e.duration_minutes, e.slot_interval_minutes, \
     e.buffer_before_minutes, e.buffer_after_minutes, e.buffer_mode, e.min_notice_hours, e.booking_window_days, \
     e.max_bookings_per_day, e.scheduling_mode, e.public, e.location, e.require_slot_id, e.on_stale, \
     e.cancel_notice_hours, e.reschedule_notice_hours, e.reschedules_max, e.reminders, e.mail_attendee, e.mail_hosts, \
     e.conference, e.rules, e.created_at \
     FROM event_types AS e JOIN accounts AS a ON a.account_id = e.account_id \
     WHERE e.account_id = $1 AND a.organization_id = $2 AND a.mode = $3 \
     AND (e.created_at, e.event_type_id) < ($4, $5) ORDER BY e.created_at DESC, e.event_type_id DESC LIMIT $6";

#[derive(sqlx::FromRow)]
pub(crate) struct EventTypeRow {
    account_id: Uuid,
    event_type_id: Uuid,
    name: String,
    slug: String,
    duration_minutes: i64,
    slot_interval_minutes: i64,
    buffer_before_minutes: i64,
    buffer_after_minutes: i64,
    buffer_mode: String,
    min_notice_hours: i64,
    booking_window_days: i64,
    max_bookings_per_day: Option<i64>,
    scheduling_mode: String,
    public: bool,
    location: Option<String>,
    require_slot_id: bool,
    on_stale: String,
    cancel_notice_hours: Option<i64>,
    reschedule_notice_hours: Option<i64>,
    reschedules_max: Option<i64>,
    reminders: String,
    mail_attendee: bool,
    mail_hosts: bool,
    conference: Option<String>,
    rules: Option<String>,
    created_at: i64,
}

impl EventTypeRow {
    pub(crate) fn id(&self) -> EventTypeId {
        EventTypeId::from_uuid(self.event_type_id)
    }

    pub(crate) fn into_engine(self, user_ids: Vec<UserId>) -> Result<(EventType, Option<AvailabilityRules>)> {
        let event_type = EventType {
            id: self.id(),
            account_id: AccountId::from_uuid(self.account_id),
            name: self.name,
            slug: self.slug,
            duration_minutes: to_u32(self.duration_minutes)?,
            slot_interval_minutes: to_u32(self.slot_interval_minutes)?,
            buffer_before_minutes: to_u32(self.buffer_before_minutes)?,
            buffer_after_minutes: to_u32(self.buffer_after_minutes)?,
            buffer_mode: Named::named(&self.buffer_mode)?,
            min_notice_hours: to_u32(self.min_notice_hours)?,
            booking_window_days: to_u32(self.booking_window_days)?,
            max_bookings_per_day: self.max_bookings_per_day.map(to_u32).transpose()?,
            user_ids,
            scheduling_mode: Named::named(&self.scheduling_mode)?,
            public: self.public,
            location: self.location,
            conference: self.conference.as_deref().map(Named::named).transpose()?,
            require_slot_id: self.require_slot_id,
            on_stale: Named::named(&self.on_stale)?,
            attendee_policy: AttendeePolicy {
                cancel_notice_hours: self.cancel_notice_hours.map(to_u32).transpose()?,
                reschedule_notice_hours: self.reschedule_notice_hours.map(to_u32).transpose()?,
                reschedules_max: self.reschedules_max.map(to_u32).transpose()?,
            },
            follow_up: FollowUp {
                reminders: from_json("reminders", &self.reminders)?,
                mail: MailPolicy { attendee: self.mail_attendee, hosts: self.mail_hosts },
            },
            created_at: Timestamp::from_micros(self.created_at),
        };
        let rules = self.rules.as_deref().map(|rules| from_json("event type rules", rules)).transpose()?;
        Ok((event_type, rules))
    }
}

/// Writes an event type with its hosts.
pub(crate) async fn insert(connection: &mut DbConnection, event_type: &EventType) -> Result<Write> {
    let insert = sqlx::query(
        "INSERT INTO event_types (account_id, event_type_id, name, slug, duration_minutes, slot_interval_minutes, \
         buffer_before_minutes, buffer_after_minutes, buffer_mode, min_notice_hours, booking_window_days, \
         max_bookings_per_day, scheduling_mode, public, location, require_slot_id, on_stale, cancel_notice_hours, \
         reschedule_notice_hours, reschedules_max, reminders, mail_attendee, mail_hosts, conference, rules, created_at) \
         VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, $16, $17, $18, $19, $20, $21, $22, $23, \
         $24, NULL, $25)",
    );
    let insert = bind_terms(insert, event_type).bind(event_type.created_at.as_micros());
    match insert.execute(&mut *connection).await {
        Ok(_) => insert_hosts(connection, event_type).await,
        Err(error) if violation(&error) == Some(Violation::Unique) => Ok(Write::Refused("slug")),
        Err(error) => Err(store_error(error)),
    }
}

/// Replaces an event type and its hosts; its rules stay.
pub(crate) async fn update(connection: &mut DbConnection, event_type: &EventType) -> Result<Write> {
    let update = sqlx::query(
        "UPDATE event_types SET name = $3, slug = $4, duration_minutes = $5, slot_interval_minutes = $6, \
         buffer_before_minutes = $7, buffer_after_minutes = $8, buffer_mode = $9, min_notice_hours = $10, \
         booking_window_days = $11, max_bookings_per_day = $12, scheduling_mode = $13, public = $14, location = $15, \
         require_slot_id = $16, on_stale = $17, cancel_notice_hours = $18, reschedule_notice_hours = $19, \
         reschedules_max = $20, reminders = $21, mail_attendee = $22, mail_hosts = $23, conference = $24 \
         WHERE account_id = $1 AND event_type_id = $2",
    );
    match bind_terms(update, event_type).execute(&mut *connection).await {
        Ok(done) if done.rows_affected() == 0 => return Ok(Write::Missing),
        Ok(_) => {}
        Err(error) if violation(&error) == Some(Violation::Unique) => return Ok(Write::Refused("slug")),
        Err(error) => return Err(store_error(error)),
    }
    let delete = sqlx::query("DELETE FROM event_type_hosts WHERE account_id = $1 AND event_type_id = $2");
    let delete = delete.bind(event_type.account_id.as_uuid()).bind(event_type.id.as_uuid());
    delete.execute(&mut *connection).await.map_err(store_error)?;
    insert_hosts(connection, event_type).await
}

/// Deletes an event type; its bookings stay.
pub(crate) async fn delete(
    connection: &mut DbConnection,
    account_id: AccountId,
    event_type_id: EventTypeId,
) -> Result<Write> {
    let delete = sqlx::query("DELETE FROM event_types WHERE account_id = $1 AND event_type_id = $2");
    let delete = delete.bind(account_id.as_uuid()).bind(event_type_id.as_uuid());
    let done = delete.execute(connection).await.map_err(store_error)?;
    Ok(if done.rows_affected() == 1 { Write::Done } else { Write::Missing })
}

/// What an event type says follows from its bookings; of one that is gone, what is said by default.
pub(crate) async fn follow_up(
    connection: &mut DbConnection,
    account_id: AccountId,
    event_type_id: EventTypeId,
) -> Result<FollowUp> {
    let select = sqlx::query_as::<_, (String, bool, bool)>(
        "SELECT reminders, mail_attendee, mail_hosts FROM event_types WHERE account_id = $1 AND event_type_id = $2",
    );
    let select = select.bind(account_id.as_uuid()).bind(event_type_id.as_uuid());
    let Some((reminders, attendee, hosts)) = select.fetch_optional(connection).await.map_err(store_error)? else {
        return Ok(FollowUp::default());
    };
    Ok(FollowUp { reminders: from_json("reminders", &reminders)?, mail: MailPolicy { attendee, hosts } })
}

/// The hosts of an event type, in its order.
pub(crate) async fn hosts(
    connection: &mut DbConnection,
    account_id: AccountId,
    event_type_id: EventTypeId,
) -> Result<Vec<UserId>> {
    let select = sqlx::query_scalar(
        "SELECT user_id FROM event_type_hosts WHERE account_id = $1 AND event_type_id = $2 ORDER BY position",
    );
    let select = select.bind(account_id.as_uuid()).bind(event_type_id.as_uuid());
    let ids: Vec<Uuid> = select.fetch_all(connection).await.map_err(store_error)?;
    Ok(ids.into_iter().map(UserId::from_uuid).collect())
}

type Statement<'q> = sqlx::query::Query<'q, Db, DbArguments>;

/// Binds `$1` to `$24`, in the order both statements name them.
fn bind_terms<'q>(statement: Statement<'q>, event_type: &'q EventType) -> Statement<'q> {
    statement
        .bind(event_type.account_id.as_uuid())
        .bind(event_type.id.as_uuid())
        .bind(&event_type.name)
        .bind(&event_type.slug)
        .bind(i64::from(event_type.duration_minutes))
        .bind(i64::from(event_type.slot_interval_minutes))
        .bind(i64::from(event_type.buffer_before_minutes))
        .bind(i64::from(event_type.buffer_after_minutes))
        .bind(event_type.buffer_mode.name())
        .bind(i64::from(event_type.min_notice_hours))
        .bind(i64::from(event_type.booking_window_days))
        .bind(event_type.max_bookings_per_day.map(i64::from))
        .bind(event_type.scheduling_mode.name())
        .bind(event_type.public)
        .bind(&event_type.location)
        .bind(event_type.require_slot_id)
        .bind(event_type.on_stale.name())
        .bind(event_type.attendee_policy.cancel_notice_hours.map(i64::from))
        .bind(event_type.attendee_policy.reschedule_notice_hours.map(i64::from))
        .bind(event_type.attendee_policy.reschedules_max.map(i64::from))
        .bind(to_json(&event_type.follow_up.reminders))
        .bind(event_type.follow_up.mail.attendee)
        .bind(event_type.follow_up.mail.hosts)
        .bind(event_type.conference.map(Named::name))
}

async fn insert_hosts(connection: &mut DbConnection, event_type: &EventType) -> Result<Write> {
    for (position, user_id) in (0i64..).zip(&event_type.user_ids) {
        let insert = sqlx::query(
            "INSERT INTO event_type_hosts (account_id, event_type_id, position, user_id) VALUES ($1, $2, $3, $4)",
        );
        let insert = insert.bind(event_type.account_id.as_uuid()).bind(event_type.id.as_uuid()).bind(position);
        match insert.bind(user_id.as_uuid()).execute(&mut *connection).await {
            Ok(_) => {}
            Err(error) if violation(&error) == Some(Violation::ForeignKey) => return Ok(Write::Missing),
            Err(error) => return Err(store_error(error)),
        }
    }
    Ok(Write::Done)
}
