//! What every question of availability has: what is to be booked, with whom, and how fresh the answer shall be.

use std::sync::Arc;
use std::time::Duration;

use agentcal_engine::calendar::request::Meeting;
use agentcal_engine::decision::Terms;
use agentcal_engine::ids::{EventTypeId, UserId};
use agentcal_engine::model::{AdHocMeeting, DURATION_MINUTES_MAX, EventType, SchedulingMode};
use agentcal_engine::ports::AccountConfig;
use agentcal_engine::schedule::Schedule;
use chrono_tz::Tz;

use crate::checks::Checks;
use crate::error::{ApiError, FieldCode};
use crate::v1::event_types::find_event_type;
use crate::v1::users::find_user;
use crate::v1::wire::zone_of;

/// Oldest facts a caller may ask to be content with: a day.
const STALENESS_MS_MAX: u32 = 86_400_000;
/// Longest wait for facts a caller may ask for: short of the time any request may take.
const DEADLINE_MS_MAX: u32 = 20_000;

/// The parameters as they came.
pub(super) struct SubjectTexts<'a> {
    pub(super) event_type_id: Option<&'a str>,
    pub(super) user_id: Option<&'a str>,
    pub(super) duration_minutes: Option<&'a str>,
    pub(super) timezone: Option<&'a str>,
    pub(super) max_staleness_ms: Option<&'a str>,
    pub(super) deadline_ms: Option<&'a str>,
}

/// What is asked about, once the parameters could be read.
pub(super) struct Subject {
    pub(super) event_type_id: Option<EventTypeId>,
    user_id: Option<UserId>,
    duration_minutes: Option<u32>,
    timezone: Option<Tz>,
    pub(super) max_staleness: Option<Duration>,
    pub(super) deadline: Option<Duration>,
}

/// What is asked about, in its account.
pub(super) struct SubjectPlan {
    pub(super) meeting: Meeting,
    pub(super) terms: Terms,
    pub(super) user_ids: Vec<UserId>,
    pub(super) zone: Tz,
}

impl SubjectTexts<'_> {
    pub(super) fn read(&self, checks: &mut Checks) -> Subject {
        let mut millis = |field: &str, text: Option<&str>, first: u32, last: u32| {
            text.map(|text| Duration::from_millis(checks.query_whole(field, text, first..=last).into()))
        };
        let max_staleness = millis("max_staleness_ms", self.max_staleness_ms, 0, STALENESS_MS_MAX);
        let deadline = millis("deadline_ms", self.deadline_ms, 1, DEADLINE_MS_MAX);
        let subject = Subject {
            event_type_id: self.event_type_id.map(|id| checks.query_id("event_type_id", id)),
            user_id: self.user_id.map(|id| checks.query_id("user_id", id)),
            duration_minutes: self
                .duration_minutes
                .map(|minutes| checks.query_whole("duration_minutes", minutes, 1..=DURATION_MINUTES_MAX)),
            timezone: self.timezone.map(|zone| checks.query_zone("timezone", zone)),
            max_staleness,
            deadline,
        };
        self.check_combination(checks);
        subject
    }

    fn check_combination(&self, checks: &mut Checks) {
        match (self.event_type_id, self.user_id, self.duration_minutes) {
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

impl Subject {
    /// The event type asked about, where it is there.
    pub(super) fn event_type<'a>(&self, config: &'a AccountConfig) -> Option<&'a (EventType, Option<Arc<Schedule>>)> {
        find_event_type(config, self.event_type_id?).ok()
    }

    pub(super) fn plan(&self, config: &AccountConfig) -> Result<SubjectPlan, ApiError> {
        let (meeting, terms, user_ids) = self.meeting(config)?;
        let user = self.user_id.map(|user_id| find_user(config, user_id)).transpose();
        let user =
            user.map_err(|_missing| ApiError::field("user_id", FieldCode::NotFound, "names no user of this account"))?;
        let default_zone = user.map_or_else(|| zone_of(&config.account), |(user, _)| user.timezone);
        Ok(SubjectPlan { meeting, terms, user_ids, zone: self.timezone.unwrap_or(default_zone) })
    }

    fn meeting(&self, config: &AccountConfig) -> Result<(Meeting, Terms, Vec<UserId>), ApiError> {
        if let (None, Some(user_id), Some(duration_minutes)) = (self.event_type_id, self.user_id, self.duration_minutes)
        {
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
        let terms = Terms::of_event_type(event_type, rules.clone());
        Ok((Meeting::EventType(event_type.id), terms, user_ids))
    }
}
