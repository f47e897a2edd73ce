//! What is asked of availability.

use agentcal_engine::civil::day_start;
use agentcal_engine::ports::AccountConfig;
use agentcal_engine::time::{TimeRange, Timestamp};
use chrono::NaiveDate;
use serde::Deserialize;
use utoipa::IntoParams;

use super::subject::{Subject, SubjectPlan, SubjectTexts};
use crate::checks::Checks;
use crate::error::{ApiError, FieldCode};

/// Most days of one question.
const DAYS_MAX: i64 = 62;
/// Most slots of one answer: as many as there are minutes in that many days.
const SLOTS_MAX: u32 = 62 * 1_440;

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
    /// How old facts may be before they are renewed first, and called stale where that fails; by default two polls or,
    /// where the provider rings, seven hours.
    #[param(value_type = Option<u32>, minimum = 0, maximum = 86400000)]
    max_staleness_ms: Option<String>,
    /// How long to wait for facts that are missing or too old. Whoever is not known by then is left out and named.
    #[param(value_type = Option<u32>, minimum = 1, maximum = 20000)]
    deadline_ms: Option<String>,
}

/// A question whose parameters could be read.
pub(super) struct Asked {
    start_date: NaiveDate,
    end_date: NaiveDate,
    pub(super) limit: usize,
    pub(super) subject: Subject,
}

/// A question that makes sense in its account.
pub(super) struct Plan {
    pub(super) subject: SubjectPlan,
    /// `None`: the dates asked for never were in that zone.
    pub(super) range: Option<TimeRange>,
}

impl AvailabilityQuery {
    pub(super) fn read(&self) -> Result<Asked, ApiError> {
        let mut checks = Checks::default();
        let asked = Asked {
            start_date: date(&mut checks, "start_date", self.start_date.as_deref()),
            end_date: date(&mut checks, "end_date", self.end_date.as_deref()),
            limit: self.limit.as_ref().map_or(SLOTS_MAX, |limit| checks.query_whole("limit", limit, 1..=SLOTS_MAX))
                as usize,
            subject: self.subject().read(&mut checks),
        };
        checks.finish()?;
        asked.check_dates()?;
        Ok(asked)
    }

    fn subject(&self) -> SubjectTexts<'_> {
        SubjectTexts {
            event_type_id: self.event_type_id.as_deref(),
            user_id: self.user_id.as_deref(),
            duration_minutes: self.duration_minutes.as_deref(),
            timezone: self.timezone.as_deref(),
            max_staleness_ms: self.max_staleness_ms.as_deref(),
            deadline_ms: self.deadline_ms.as_deref(),
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

    pub(super) fn plan(&self, config: &AccountConfig) -> Result<Plan, ApiError> {
        let subject = self.subject.plan(config)?;
        let (first, after) = (self.start_date, day_after(self.end_date));
        let range = TimeRange::new(day_start(first, subject.zone), day_start(after, subject.zone));
        Ok(Plan { subject, range })
    }
}

fn day_after(date: NaiveDate) -> NaiveDate {
    date.succ_opt().unwrap_or(date)
}
