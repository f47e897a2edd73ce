//! When a user can be booked, and when an event type can: weekly windows and dated overrides, in wall-clock time.

mod event_type;
mod user;

use std::collections::BTreeMap;

use agentcal_engine::model::{
    AvailabilityRules, CivilTime, CivilWindow, DateOverride, OVERRIDES_MAX, WEEKLY_RULES_MAX, WeeklyRule,
};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use crate::app::AppState;
use crate::checks::Checks;
use crate::error::{ApiError, FieldCode};
use crate::instant::{parse_civil_minutes, parse_date};

/// Most windows of one date.
const WINDOWS_PER_DATE_MAX: usize = 24;

pub(super) fn routes() -> OpenApiRouter<AppState> {
    OpenApiRouter::new()
        .routes(routes!(user::get_user_rules, user::put_user_rules))
        .routes(routes!(event_type::get_event_type_rules, event_type::put_event_type_rules))
}

/// When somebody, or something, can be booked.
#[derive(Debug, Deserialize, Serialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(as = AvailabilityRules)]
pub(super) struct RulesBody {
    /// IANA zone of every wall-clock value.
    #[schema(example = "Europe/Berlin")]
    timezone: String,
    /// Windows of every week; none: never, but for the overrides.
    #[schema(max_items = 100)]
    rules: Vec<RuleBody>,
    /// Dates with windows of their own, in place of that weekday's.
    #[serde(default)]
    #[schema(max_items = 400, required = false)]
    overrides: Vec<OverrideBody>,
}

/// A window that comes back every week.
#[derive(Debug, Deserialize, Serialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(as = AvailabilityRule)]
pub(super) struct RuleBody {
    /// The day the window begins on: 0 is Sunday, 6 is Saturday.
    #[schema(minimum = 0, maximum = 6)]
    day_of_week: i64,
    /// First minute, `HH:MM`.
    #[schema(example = "09:00", pattern = r"^([01]\d|2[0-3]):[0-5]\d$")]
    start_time: String,
    /// First minute after the window, `HH:MM`, up to `24:00`; at or before the start it lies on the next day.
    #[schema(example = "17:00", pattern = r"^(([01]\d|2[0-3]):[0-5]\d|24:00)$")]
    end_time: String,
}

/// The windows of one date.
#[derive(Debug, Deserialize, Serialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(as = AvailabilityOverride)]
pub(super) struct OverrideBody {
    /// The date the windows begin on.
    #[schema(format = Date, example = "2026-12-24")]
    date: String,
    /// Its windows; none: the date is off.
    #[schema(max_items = 24)]
    windows: Vec<WindowBody>,
}

/// A window of one date.
#[derive(Debug, Deserialize, Serialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(as = AvailabilityWindow)]
pub(super) struct WindowBody {
    /// First minute, `HH:MM`.
    #[schema(example = "09:00", pattern = r"^([01]\d|2[0-3]):[0-5]\d$")]
    start_time: String,
    /// First minute after the window, `HH:MM`, up to `24:00`; at or before the start it lies on the next day.
    #[schema(example = "12:00", pattern = r"^(([01]\d|2[0-3]):[0-5]\d|24:00)$")]
    end_time: String,
}

impl RulesBody {
    fn read(&self) -> Result<AvailabilityRules, ApiError> {
        let mut checks = Checks::default();
        let timezone = checks.zone("timezone", &self.timezone);
        let weekly = self.weekly(&mut checks);
        let overrides = self.overrides(&mut checks);
        checks.finish().map(|()| AvailabilityRules { timezone, weekly, overrides })
    }

    fn weekly(&self, checks: &mut Checks) -> Vec<WeeklyRule> {
        if self.rules.len() > WEEKLY_RULES_MAX {
            checks.refuse("rules", FieldCode::TooLong, format!("must have at most {WEEKLY_RULES_MAX}"));
            return Vec::new();
        }
        let mut read = |(index, rule): (usize, &RuleBody)| {
            let at = format!("rules[{index}]");
            let day_of_week = checks.whole(&format!("{at}.day_of_week"), rule.day_of_week, 0..=6) as u8;
            WeeklyRule { day_of_week, window: window(&at, &rule.start_time, &rule.end_time, checks) }
        };
        self.rules.iter().enumerate().map(&mut read).collect()
    }

    fn overrides(&self, checks: &mut Checks) -> BTreeMap<chrono::NaiveDate, DateOverride> {
        let mut overrides = BTreeMap::new();
        if self.overrides.len() > OVERRIDES_MAX {
            checks.refuse("overrides", FieldCode::TooLong, format!("must have at most {OVERRIDES_MAX}"));
            return overrides;
        }
        for (index, body) in self.overrides.iter().enumerate() {
            let field = format!("overrides[{index}].date");
            let Some(date) = parse_date(&body.date) else {
                checks.refuse(&field, FieldCode::InvalidFormat, "must be a date like `2026-12-24`");
                continue;
            };
            let windows = body.windows(&format!("overrides[{index}].windows"), checks);
            if overrides.insert(date, DateOverride { windows }).is_some() {
                checks.refuse(&field, FieldCode::NotUnique, "stands in the list twice");
            }
        }
        overrides
    }
}

impl OverrideBody {
    fn windows(&self, field: &str, checks: &mut Checks) -> Vec<CivilWindow> {
        if self.windows.len() > WINDOWS_PER_DATE_MAX {
            checks.refuse(field, FieldCode::TooLong, format!("must have at most {WINDOWS_PER_DATE_MAX}"));
            return Vec::new();
        }
        let read = |(index, body): (usize, &WindowBody)| {
            window(&format!("{field}[{index}]"), &body.start_time, &body.end_time, checks)
        };
        self.windows.iter().enumerate().map(read).collect()
    }
}

fn window(at: &str, start: &str, end: &str, checks: &mut Checks) -> CivilWindow {
    let civil_start = civil_time(&format!("{at}.start_time"), start, 1_439, checks);
    let civil_end = civil_time(&format!("{at}.end_time"), end, 1_440, checks);
    CivilWindow { civil_start, civil_end }
}

fn civil_time(field: &str, text: &str, last_minute: u16, checks: &mut Checks) -> CivilTime {
    let minutes = parse_civil_minutes(text).filter(|&minutes| minutes <= last_minute);
    if minutes.is_none() {
        let last = if last_minute == 1_440 { "24:00" } else { "23:59" };
        checks.refuse(
            field,
            FieldCode::InvalidFormat,
            format!("must be a wall-clock time `HH:MM` from 00:00 to {last}"),
        );
    }
    CivilTime::from_minutes(minutes.unwrap_or_default()).expect("at most 1,440 minutes were let through")
}

impl From<AvailabilityRules> for RulesBody {
    fn from(rules: AvailabilityRules) -> Self {
        let weekly = rules.weekly.iter().map(|rule| RuleBody {
            day_of_week: i64::from(rule.day_of_week),
            start_time: hours_and_minutes(rule.window.civil_start),
            end_time: hours_and_minutes(rule.window.civil_end),
        });
        let overrides = rules.overrides.iter().map(|(date, windows)| OverrideBody {
            date: date.to_string(),
            windows: windows.windows.iter().map(WindowBody::from).collect(),
        });
        Self { timezone: rules.timezone.name().to_owned(), rules: weekly.collect(), overrides: overrides.collect() }
    }
}

impl From<&CivilWindow> for WindowBody {
    fn from(window: &CivilWindow) -> Self {
        Self { start_time: hours_and_minutes(window.civil_start), end_time: hours_and_minutes(window.civil_end) }
    }
}

fn hours_and_minutes(time: CivilTime) -> String {
    format!("{:02}:{:02}", time.minutes() / 60, time.minutes() % 60)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rules_come_back_as_they_went() {
        let text = r#"{"timezone":"Asia/Kathmandu","rules":[{"day_of_week":6,"start_time":"22:00","end_time":"02:30"}],
            "overrides":[{"date":"2026-12-24","windows":[]},
                {"date":"2026-12-31","windows":[{"start_time":"00:00","end_time":"24:00"}]}]}"#;
        let body: RulesBody = serde_json::from_str(text).expect("a body");
        let again = RulesBody::from(body.read().expect("acceptable"));
        let value: serde_json::Value = serde_json::from_str(text).expect("json");
        assert_eq!(serde_json::to_value(again).expect("json"), value);
    }

    #[test]
    fn each_bad_window_is_named() {
        let check = |rule: &str, fields: &[&str]| {
            let text = format!(r#"{{"timezone":"UTC","rules":[{rule}]}}"#);
            let body: RulesBody = serde_json::from_str(&text).expect("a body");
            let named: Vec<_> = match body.read() {
                Ok(_) => Vec::new(),
                Err(error) => error.into_problem().errors.into_iter().map(|error| error.field).collect(),
            };
            assert_eq!(named, fields, "{rule}");
        };
        check(r#"{"day_of_week":0,"start_time":"09:00","end_time":"09:00"}"#, &[]);
        check(r#"{"day_of_week":7,"start_time":"09:00","end_time":"17:00"}"#, &["rules[0].day_of_week"]);
        check(
            r#"{"day_of_week":-1,"start_time":"24:00","end_time":"17:00"}"#,
            &["rules[0].day_of_week", "rules[0].start_time"],
        );
        check(
            r#"{"day_of_week":1,"start_time":"9:00","end_time":"25:00"}"#,
            &["rules[0].start_time", "rules[0].end_time"],
        );
    }
}
