//! What is asked of availability.

use std::sync::Arc;
use std::time::Duration;

use agentcal_engine::calendar::request::Meeting;
use agentcal_engine::civil::day_start;
use agentcal_engine::decision::Terms;
use agentcal_engine::ids::{EventTypeId, UserId};
use agentcal_engine::model::{AdHocMeeting, AvailabilityRules, DURATION_MINUTES_MAX, EventType, SchedulingMode};
use agentcal_engine::ports::AccountConfig;
use agentcal_engine::time::{TimeRange, Timestamp};
use chrono::NaiveDate;
use chrono_tz::Tz;
use serde::Deserialize;
use utoipa::IntoParams;

use crate::checks::Checks;
use crate::error::{ApiError, FieldCode};
use crate::v1::event_types::find_event_type;
use crate::v1::users::find_user;
use crate::v1::wire::zone_of;

/// Most days of one question.
const DAYS_MAX: i64 = 62;
/// Most slots of one answer: as many as there are minutes in that many days.
const SLOTS_MAX: u32 = 62 * 1_440;
/// Oldest facts a caller may ask to be content with: a day.
const STALENESS_MS_MAX: u32 = 86_400_000;

/// Which times, of whom.
#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(super) struct AvailabilityQuery {
    /// First date, in `timezone`.
    #[param(required = true, value_type = String, format = Date, example = "2026-12-01")]
    start_date: Option<String>,
    /// Last date, inclusive; at most 62 days with the first.
    #[param(required = true, value_type = String, format = Date, example = "2026-12-07")]
    end_date: Option<String>,
    /// What to book. Without it: `user_id` and `duration_minutes`.
    event_type_id: Option<String>,
    /// Whom to book: one of the event type's hosts, or, without an event type, any user.
    user_id: Option<String>,
    /// Length of the meeting, without an event type.
    #[param(value_type = Option<u32>, minimum = 1, maximum = 1440)]
    duration_minutes: Option<String>,
    /// IANA zone of the dates and of the answer; by default the user's where one is named, else the account's, else UTC.
    #[param(example = "Europe/Berlin")]
    timezone: Option<String>,
    /// Most slots; by default all.
    #[param(value_type = Option<u32>, minimum = 1, maximum = 89280)]
    limit: Option<String>,
    /// How old facts may be before they are renewed first, and called stale where that fails; by default two intervals of
    /// looking for changes.
    #[param(value_type = Option<u32>, minimum = 0, maximum = 86400000)]
    max_staleness_ms: Option<String>,
}

/// A question whose parameters could be read.
pub(super) struct Asked {
    start_date: NaiveDate,
    end_date: NaiveDate,
    pub(super) event_type_id: Option<EventTypeId>,
    user_id: Option<UserId>,
    duration_minutes: Option<u32>,
    timezone: Option<Tz>,
    pub(super) limit: usize,
    pub(super) max_staleness: Option<Duration>,
}

/// A question that makes sense in its account.
pub(super) struct Plan {
    pub(super) meeting: Meeting,
    pub(super) terms: Terms,
    pub(super) user_ids: Vec<UserId>,
    pub(super) zone: Tz,
    /// `None`: the dates asked for never were in that zone.
    pub(super) range: Option<TimeRange>,
}

impl AvailabilityQuery {
    pub(super) fn read(&self) -> Result<Asked, ApiError> {
        let mut checks = Checks::default();
        let asked = Asked {
            start_date: date(&mut checks, "start_date", self.start_date.as_deref()),
            end_date: date(&mut checks, "end_date", self.end_date.as_deref()),
            event_type_id: self.event_type_id.as_ref().map(|id| checks.query_id("event_type_id", id)),
            user_id: self.user_id.as_ref().map(|id| checks.query_id("user_id", id)),
            duration_minutes: self
                .duration_minutes
                .as_ref()
                .map(|minutes| checks.query_whole("duration_minutes", minutes, 1..=DURATION_MINUTES_MAX)),
            timezone: self.timezone.as_ref().map(|zone| checks.query_zone("timezone", zone)),
            limit: self.limit.as_ref().map_or(SLOTS_MAX, |limit| checks.query_whole("limit", limit, 1..=SLOTS_MAX))
                as usize,
            max_staleness: self.max_staleness_ms.as_ref().map(|age| {
                Duration::from_millis(checks.query_whole("max_staleness_ms", age, 0..=STALENESS_MS_MAX).into())
            }),
        };
        self.check_combination(&mut checks);
        checks.finish()?;
        asked.check_dates()?;
        Ok(asked)
    }

    fn check_combination(&self, checks: &mut Checks) {
        match (&self.event_type_id, &self.user_id, &self.duration_minutes) {
            (Some(_), _, Some(_)) => {
                checks.refuse("duration_minutes", FieldCode::NotTogether, "follows from the event type; leave it out");
            }
            (None, None, None) => checks.required("event_type_id"),
            (None, None, Some(_)) => checks.required("user_id"),
            (None, Some(_), None) => checks.required("duration_minutes"),
            (Some(_), _, None) | (None, Some(_), Some(_)) => {}
        }
    }
}

fn date(checks: &mut Checks, field: &str, text: Option<&str>) -> NaiveDate {
    let Some(text) = text else {
        checks.required(field);
        return NaiveDate::default();
    };
    let date = checks.query_date(field, text);
    let bounds = (Timestamp::EARLIEST.to_utc().date_naive(), Timestamp::LATEST.to_utc().date_naive());
    if date < bounds.0 || date >= bounds.1 {
        checks.refuse(field, FieldCode::OutOfRange, "must lie between 1970-01-01 and 2199-12-31");
    }
    date
}

impl Asked {
    fn check_dates(&self) -> Result<(), ApiError> {
        let days = (self.end_date - self.start_date).num_days() + 1;
        if days < 1 {
            return Err(ApiError::field("end_date", FieldCode::OutOfRange, "must not lie before `start_date`"));
        }
        if days > DAYS_MAX {
            let detail = format!("must lie at most {DAYS_MAX} days from `start_date`, both included; these are {days}");
            return Err(ApiError::field("end_date", FieldCode::OutOfRange, detail));
        }
        Ok(())
    }

    /// The event type asked about, where it is there.
    pub(super) fn event_type<'a>(
        &self,
        config: &'a AccountConfig,
    ) -> Option<&'a (EventType, Option<AvailabilityRules>)> {
        find_event_type(config, self.event_type_id?).ok()
    }

    pub(super) fn plan(&self, config: &AccountConfig) -> Result<Plan, ApiError> {
        let (meeting, terms, user_ids) = self.meeting(config)?;
        let user = self.user_id.map(|user_id| find_user(config, user_id)).transpose();
        let user =
            user.map_err(|_missing| ApiError::field("user_id", FieldCode::NotFound, "names no user of this account"))?;
        let default_zone = user.map_or_else(|| zone_of(&config.account), |(user, _)| user.timezone);
        let zone = self.timezone.unwrap_or(default_zone);
        let range = TimeRange::new(day_start(self.start_date, zone), day_start(day_after(self.end_date), zone));
        Ok(Plan { meeting, terms, user_ids, zone, range })
    }

    fn meeting(&self, config: &AccountConfig) -> Result<(Meeting, Terms, Vec<UserId>), ApiError> {
        if let (None, Some(user_id), Some(duration_minutes)) = (self.event_type_id, self.user_id, self.duration_minutes) {
            let meeting = Meeting::AdHoc(AdHocMeeting { user_id, duration_minutes });
            return Ok((meeting, Terms::ad_hoc(duration_minutes), vec![user_id]));
        }
        self.hosts_of_event_type(config)
    }

    fn hosts_of_event_type(&self, config: &AccountConfig) -> Result<(Meeting, Terms, Vec<UserId>), ApiError> {
        let (event_type, rules) = self.event_type(config).ok_or_else(|| {
            ApiError::field("event_type_id", FieldCode::NotFound, "names no event type of this account")
        })?;
        let user_ids = match self.user_id {
            None => event_type.user_ids.clone(),
            Some(_) if event_type.scheduling_mode == SchedulingMode::Collective => {
                let detail = "must be left out: a collective event takes all hosts";
                return Err(ApiError::field("user_id", FieldCode::NotTogether, detail));
            }
            Some(user_id) if event_type.user_ids.contains(&user_id) => vec![user_id],
            Some(_) => {
                let detail = "must be one of the event type's `user_ids`";
                return Err(ApiError::field("user_id", FieldCode::NotAHost, detail));
            }
        };
        let terms = Terms::of_event_type(event_type, rules.clone().map(Arc::new));
        Ok((Meeting::EventType(event_type.id), terms, user_ids))
    }
}

fn day_after(date: NaiveDate) -> NaiveDate {
    date.succ_opt().unwrap_or(date)
}
