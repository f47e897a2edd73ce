//! Users: the people who can be booked.

mod create;
mod delete;
mod get;
mod list;
mod update;

use std::sync::Arc;

use agentcal_engine::ids::{CalendarId, UserId};
use agentcal_engine::model::{CALENDARS_PER_USER_MAX, User};
use agentcal_engine::ports::AccountConfig;
use agentcal_engine::schedule::Schedule;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use super::wire::{Change, Sent, new_body};
use crate::app::AppState;
use crate::checks::{Checks, NAME_LEN_MAX};
use crate::error::{ApiError, FieldCode};
use crate::extract::NamedParam;
use crate::instant::rfc3339;

pub(super) fn routes() -> OpenApiRouter<AppState> {
    OpenApiRouter::new().routes(routes!(create::create_user, list::list_users)).routes(routes!(
        get::get_user,
        update::update_user,
        delete::delete_user
    ))
}

/// A person who can be booked.
#[derive(Serialize, ToSchema)]
#[schema(as = User)]
pub(super) struct UserView {
    /// Its id.
    #[schema(example = "user_01kaj2wz5rfv8t6xg3m9c1nq4d")]
    id: String,
    /// Its name.
    name: String,
    /// Its e-mail address.
    email: String,
    /// Its IANA zone.
    timezone: &'static str,
    /// The calendar bookings are written to, which always counts as busy; null: judged on rules and bookings alone.
    #[schema(required = true)]
    calendar_id: Option<String>,
    /// Further calendars whose busy time blocks the user.
    busy_calendar_ids: Vec<String>,
    /// When it was made.
    #[schema(format = DateTime)]
    created_at: String,
}

impl From<User> for UserView {
    fn from(user: User) -> Self {
        Self {
            id: user.id.to_string(),
            timezone: user.timezone.name(),
            calendar_id: user.calendar_id.map(|id| id.to_string()),
            busy_calendar_ids: user.busy_calendar_ids.iter().map(CalendarId::to_string).collect(),
            created_at: rfc3339(user.created_at, user.timezone),
            name: user.name,
            email: user.email,
        }
    }
}

/// What to change of a user. Fields left out stay as they are.
#[derive(Debug, Deserialize, Serialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct UserPatch {
    /// Its name.
    #[serde(default)]
    #[schema(value_type = String, required = false, min_length = 1, max_length = 200)]
    name: Sent<String>,
    /// Its e-mail address.
    #[serde(default)]
    #[schema(value_type = String, required = false, format = Email, example = "sarah@example.com")]
    email: Sent<String>,
    /// Its IANA zone.
    #[serde(default)]
    #[schema(value_type = String, required = false, example = "Europe/Berlin")]
    timezone: Sent<String>,
    /// A writable calendar of the account: bookings are written to it, and it always counts as busy. Null: none.
    #[serde(default, skip_serializing_if = "Change::is_keep")]
    #[schema(value_type = Option<String>)]
    calendar_id: Change<String>,
    /// Further calendars of the account whose busy time blocks the user; may repeat `calendar_id`. Replaces the list.
    #[serde(default, skip_serializing_if = "Change::is_keep")]
    #[schema(value_type = Option<Vec<String>>, max_items = 20)]
    busy_calendar_ids: Change<Vec<String>>,
}

new_body! {
    /// A new user.
    NewUser = UserPatch requires &["name", "email", "timezone"]
}

impl UserPatch {
    /// `fresh_home` becomes the home of the user's claims where it has no calendar of its own any more.
    fn apply(&self, user: &mut User, fresh_home: CalendarId, config: &AccountConfig, checks: &mut Checks) {
        if let Some(name) = &self.name.0 {
            user.name = checks.text("name", name, NAME_LEN_MAX);
        }
        if let Some(email) = &self.email.0 {
            user.email = checks.email("email", email);
        }
        if let Some(zone) = &self.timezone.0 {
            user.timezone = checks.zone("timezone", zone);
        }
        let before = user.calendar_id;
        user.calendar_id = self.calendar_id.onto(before, |id| receiving_calendar(id, config, checks));
        user.home_calendar_id = match user.calendar_id {
            Some(calendar_id) => calendar_id,
            None if before.is_some() => fresh_home,
            None => user.home_calendar_id,
        };
        let present = Some(std::mem::take(&mut user.busy_calendar_ids));
        let busy = self.busy_calendar_ids.onto(present, |ids| busy_calendars(ids, config, checks));
        user.busy_calendar_ids = busy.unwrap_or_default();
    }
}

fn receiving_calendar(id: &str, config: &AccountConfig, checks: &mut Checks) -> CalendarId {
    let id = checks.id("calendar_id", id);
    match config.calendars.iter().find(|calendar| calendar.id == id && calendar.connection_id.is_some()) {
        None => checks.refuse("calendar_id", FieldCode::NotFound, "names no calendar of this account"),
        Some(calendar) if !calendar.writable => {
            checks.refuse("calendar_id", FieldCode::NotWritable, "names a calendar that cannot be written to");
        }
        Some(_) => {}
    }
    id
}

fn busy_calendars(ids: &[String], config: &AccountConfig, checks: &mut Checks) -> Vec<CalendarId> {
    checks.unique_list("busy_calendar_ids", ids, 0..=CALENDARS_PER_USER_MAX);
    let known = |id| config.calendars.iter().any(|calendar| calendar.id == id && calendar.connection_id.is_some());
    let mut read = |(index, id): (usize, &String)| {
        let field = format!("busy_calendar_ids[{index}]");
        let id = checks.id(&field, id);
        if !known(id) {
            checks.refuse(&field, FieldCode::NotFound, "names no calendar of this account");
        }
        id
    };
    ids.iter().take(CALENDARS_PER_USER_MAX).enumerate().map(&mut read).collect()
}

/// A user of the account, with its rules.
pub(super) fn find_user(config: &AccountConfig, user_id: UserId) -> Result<&(Arc<User>, Arc<Schedule>), ApiError> {
    let place = config.users.binary_search_by_key(&user_id, |(user, _)| user.id);
    place.map(|index| &config.users[index]).map_err(|_place| ApiError::not_found(UserId::KIND))
}
