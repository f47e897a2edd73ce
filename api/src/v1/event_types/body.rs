//! The bodies that make and change event types.

use agentcal_engine::calendar::ask::{calendar_in, user_in};
use agentcal_engine::ids::UserId;
use agentcal_engine::model::{
    AttendeePolicy, BUFFER_MINUTES_MAX, ConferenceKind, DURATION_MINUTES_MAX, EventType, FollowUp,
    HOSTS_PER_EVENT_TYPE_MAX, POLICY_NOTICE_HOURS_MAX, POLICY_RESCHEDULES_MAX, REMINDER_MINUTES_MAX,
    REMINDER_MINUTES_MIN, REMINDERS_MAX, SchedulingMode, WINDOW_DAYS_MAX,
};
use agentcal_engine::ports::AccountConfig;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::{BufferModeWire, ConferenceKindWire, ModeWire, OnStaleWire, ReminderWire};
use crate::checks::{Checks, NAME_LEN_MAX};
use crate::error::FieldCode;
use crate::v1::wire::{Change, Sent, new_body};

/// Longest slug.
const SLUG_LEN_MAX: usize = 100;
/// Longest location, in characters.
const LOCATION_LEN_MAX: usize = 1_000;
/// Longest notice: a year.
const NOTICE_HOURS_MAX: u32 = 8_760;
/// Highest limit of bookings per day: one a minute.
const BOOKINGS_PER_DAY_MAX: u32 = 1_440;

/// What to change of an event type. Fields left out stay as they are.
#[derive(Debug, Deserialize, Serialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct EventTypePatch {
    /// Its name; becomes the title of calendar events.
    #[serde(default)]
    #[schema(value_type = String, required = false, min_length = 1, max_length = 200)]
    name: Sent<String>,
    /// Its name in addresses, unique in the account: lower-case letters, digits and single hyphens.
    #[serde(default)]
    #[schema(value_type = String, required = false, max_length = 100, pattern = "^[a-z0-9]+(-[a-z0-9]+)*$")]
    slug: Sent<String>,
    /// Length of a booking, in minutes.
    #[serde(default)]
    #[schema(value_type = u32, required = false, minimum = 1, maximum = 1440)]
    duration_minutes: Sent<i64>,
    /// Distance of two slots' starts, in minutes. A new event type takes its duration.
    #[serde(default)]
    #[schema(value_type = u32, required = false, minimum = 1, maximum = 1440)]
    slot_interval_minutes: Sent<i64>,
    /// Minutes kept free before a booking. Default 0.
    #[serde(default)]
    #[schema(value_type = u32, required = false, minimum = 0, maximum = 1440)]
    buffer_before: Sent<i64>,
    /// Minutes kept free after a booking. Default 0.
    #[serde(default)]
    #[schema(value_type = u32, required = false, minimum = 0, maximum = 1440)]
    buffer_after: Sent<i64>,
    /// How buffers of neighbours combine. Default `larger`.
    #[serde(default)]
    #[schema(value_type = BufferModeWire, required = false)]
    buffer_mode: Sent<BufferModeWire>,
    /// Hours between now and the earliest start. Default 0.
    #[serde(default)]
    #[schema(value_type = u32, required = false, minimum = 0, maximum = 8760)]
    min_notice_hours: Sent<i64>,
    /// Days of 24 hours between now and the latest start. Default 60.
    #[serde(default)]
    #[schema(value_type = u32, required = false, minimum = 1, maximum = 365)]
    booking_window_days: Sent<i64>,
    /// Most bookings of this type a host takes on one day of its zone; null, the default: no limit.
    #[serde(default, skip_serializing_if = "Change::is_keep")]
    #[schema(value_type = Option<u32>, minimum = 1, maximum = 1440)]
    max_bookings_per_day: Change<i64>,
    /// The hosts, in order of preference, none twice.
    #[serde(default)]
    #[schema(value_type = Vec<String>, required = false, min_items = 1, max_items = 100)]
    user_ids: Sent<Vec<String>>,
    /// Who of the hosts takes a booking. Default `individual`.
    #[serde(default)]
    #[schema(value_type = ModeWire, required = false)]
    scheduling_mode: Sent<ModeWire>,
    /// Whether publishable keys see it. Default false.
    #[serde(default)]
    #[schema(value_type = bool, required = false)]
    public: Sent<bool>,
    /// Where it takes place; becomes the location of calendar events.
    #[serde(default, skip_serializing_if = "Change::is_keep")]
    #[schema(value_type = Option<String>, max_length = 1000)]
    location: Change<String>,
    /// The conference each booking gets: its link comes with the booking once the host's calendar has made it. Null, the
    /// default: none. Every host needs a calendar at that provider; of a collective, one is enough.
    #[serde(default, skip_serializing_if = "Change::is_keep")]
    #[schema(value_type = Option<ConferenceKindWire>)]
    conference: Change<ConferenceKindWire>,
    /// Whether a bare `start_time` is refused: only offered times, by their `slot_id`, are booked. Default false.
    #[serde(default)]
    #[schema(value_type = bool, required = false)]
    require_slot_id: Sent<bool>,
    /// What a booking does on old facts. Default `verify`.
    #[serde(default)]
    #[schema(value_type = OnStaleWire, required = false)]
    on_stale: Sent<OnStaleWire>,
    /// Hours before the start up to which the attendee may cancel through the booking's link; null: never. Default 0.
    #[serde(default, skip_serializing_if = "Change::is_keep")]
    #[schema(value_type = Option<u32>, minimum = 0, maximum = 8760)]
    cancel_notice_hours: Change<i64>,
    /// Hours before the start up to which the attendee may move it through the booking's link; null: never. Default 0.
    #[serde(default, skip_serializing_if = "Change::is_keep")]
    #[schema(value_type = Option<u32>, minimum = 0, maximum = 8760)]
    reschedule_notice_hours: Change<i64>,
    /// Most times the attendee may move one booking; null, the default: no limit.
    #[serde(default, skip_serializing_if = "Change::is_keep")]
    #[schema(value_type = Option<u32>, minimum = 0, maximum = 100)]
    reschedules_max: Change<i64>,
    /// When bookings are reminded of, none twice; at first: never. Bookings that stand keep the reminders they were made with.
    #[serde(default)]
    #[schema(value_type = Vec<ReminderWire>, required = false, max_items = 5)]
    reminders: Sent<Vec<ReminderWire>>,
    /// Who gets mail; what is left out stays as it is.
    #[serde(default)]
    #[schema(value_type = MailPatch, required = false)]
    mail: Sent<MailPatch>,
}

/// Who gets mail about bookings. Nobody does without an address.
#[derive(Debug, Deserialize, Serialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct MailPatch {
    /// Whoever booked. Default true.
    #[serde(default)]
    #[schema(value_type = bool, required = false)]
    attendee: Sent<bool>,
    /// Each host. Default false.
    #[serde(default)]
    #[schema(value_type = bool, required = false)]
    hosts: Sent<bool>,
}

new_body! {
    /// A new event type.
    NewEventType = EventTypePatch requires &["name", "slug", "duration_minutes", "user_ids"]
}

impl NewEventType {
    /// Fills in a blank event type.
    pub(super) fn fill(&self, event_type: &mut EventType, config: &AccountConfig, checks: &mut Checks) {
        let body = &self.0;
        let missing = [
            ("name", body.name.0.is_none()),
            ("slug", body.slug.0.is_none()),
            ("duration_minutes", body.duration_minutes.0.is_none()),
            ("user_ids", body.user_ids.0.is_none()),
        ];
        for (field, _) in missing.iter().filter(|(_, is_missing)| *is_missing) {
            checks.required(field);
        }
        body.apply(event_type, config, checks);
        if body.slot_interval_minutes.0.is_none() {
            event_type.slot_interval_minutes = event_type.duration_minutes;
        }
    }
}

impl EventTypePatch {
    pub(super) fn apply(&self, event_type: &mut EventType, config: &AccountConfig, checks: &mut Checks) {
        self.apply_words(event_type, checks);
        self.apply_numbers(event_type, checks);
        if let Some(user_ids) = &self.user_ids.0 {
            event_type.user_ids = hosts(user_ids, config, checks);
        }
        if let Some(mode) = self.scheduling_mode.0 {
            event_type.scheduling_mode = mode.into();
        }
        if let Some(mode) = self.buffer_mode.0 {
            event_type.buffer_mode = mode.into();
        }
        if let Some(on_stale) = self.on_stale.0 {
            event_type.on_stale = on_stale.into();
        }
        if let Some(public) = self.public.0 {
            event_type.public = public;
        }
        if let Some(required) = self.require_slot_id.0 {
            event_type.require_slot_id = required;
        }
        event_type.conference = self.conference.onto(event_type.conference, |&kind| kind.into());
        let is_touched = !self.conference.is_keep() || self.user_ids.0.is_some() || self.scheduling_mode.0.is_some();
        if is_touched {
            check_conference(event_type, config, checks);
        }
        self.apply_policy(&mut event_type.attendee_policy, checks);
        self.apply_follow_up(&mut event_type.follow_up, checks);
    }

    fn apply_follow_up(&self, follow_up: &mut FollowUp, checks: &mut Checks) {
        if let Some(reminders) = &self.reminders.0 {
            follow_up.reminders = minutes(reminders, checks);
        }
        if let Some(mail) = &self.mail.0 {
            follow_up.mail.attendee = mail.attendee.0.unwrap_or(follow_up.mail.attendee);
            follow_up.mail.hosts = mail.hosts.0.unwrap_or(follow_up.mail.hosts);
        }
    }

    fn apply_policy(&self, policy: &mut AttendeePolicy, checks: &mut Checks) {
        for (field, change, max, target) in [
            (
                "cancel_notice_hours",
                &self.cancel_notice_hours,
                POLICY_NOTICE_HOURS_MAX,
                &mut policy.cancel_notice_hours,
            ),
            (
                "reschedule_notice_hours",
                &self.reschedule_notice_hours,
                POLICY_NOTICE_HOURS_MAX,
                &mut policy.reschedule_notice_hours,
            ),
            ("reschedules_max", &self.reschedules_max, POLICY_RESCHEDULES_MAX, &mut policy.reschedules_max),
        ] {
            *target = change.onto(*target, |&value| checks.whole(field, value, 0..=max));
        }
    }

    fn apply_words(&self, event_type: &mut EventType, checks: &mut Checks) {
        if let Some(name) = &self.name.0 {
            event_type.name = checks.text("name", name, NAME_LEN_MAX);
        }
        if let Some(slug) = &self.slug.0 {
            if slug.len() > SLUG_LEN_MAX || !is_slug(slug) {
                let detail = "must be 1 to 100 lower-case letters, digits and single hyphens, like `intro-call`";
                checks.refuse("slug", FieldCode::InvalidFormat, detail);
            }
            event_type.slug = slug.clone();
        }
        let present = event_type.location.take();
        event_type.location =
            self.location.onto(present, |location| checks.text("location", location, LOCATION_LEN_MAX));
    }

    fn apply_numbers(&self, event_type: &mut EventType, checks: &mut Checks) {
        let numbers = [
            ("duration_minutes", &self.duration_minutes, 1..=DURATION_MINUTES_MAX, &mut event_type.duration_minutes),
            (
                "slot_interval_minutes",
                &self.slot_interval_minutes,
                1..=DURATION_MINUTES_MAX,
                &mut event_type.slot_interval_minutes,
            ),
            ("buffer_before", &self.buffer_before, 0..=BUFFER_MINUTES_MAX, &mut event_type.buffer_before_minutes),
            ("buffer_after", &self.buffer_after, 0..=BUFFER_MINUTES_MAX, &mut event_type.buffer_after_minutes),
            ("min_notice_hours", &self.min_notice_hours, 0..=NOTICE_HOURS_MAX, &mut event_type.min_notice_hours),
            (
                "booking_window_days",
                &self.booking_window_days,
                1..=WINDOW_DAYS_MAX,
                &mut event_type.booking_window_days,
            ),
        ];
        for (field, sent, range, target) in numbers {
            if let Some(value) = sent.0 {
                *target = checks.whole(field, value, range);
            }
        }
        event_type.max_bookings_per_day = self.max_bookings_per_day.onto(event_type.max_bookings_per_day, |&limit| {
            checks.whole("max_bookings_per_day", limit, 1..=BOOKINGS_PER_DAY_MAX)
        });
    }
}

/// Whether whoever takes a booking can have its conference in their calendar.
fn check_conference(event_type: &EventType, config: &AccountConfig, checks: &mut Checks) {
    let Some(kind) = event_type.conference else { return };
    let can_have_it = |user_id: &&UserId| {
        let calendar_id = user_in(config, **user_id).and_then(|(user, _)| user.calendar_id);
        let calendar = calendar_id.and_then(|calendar_id| calendar_in(config, calendar_id));
        calendar.is_some_and(|calendar| calendar.writable && kind.is_made_at(calendar.provider))
    };
    let is_known = |user_id: &&UserId| user_in(config, **user_id).is_some();
    let known: Vec<&UserId> = event_type.user_ids.iter().filter(is_known).collect();
    let missing = known.iter().find(|user_id| !can_have_it(user_id));
    let is_had = match event_type.scheduling_mode {
        SchedulingMode::Collective => known.is_empty() || known.iter().any(can_have_it),
        SchedulingMode::Individual | SchedulingMode::RoundRobin => missing.is_none(),
    };
    if let Some(user_id) = missing.filter(|_| !is_had) {
        let (name, at) = match kind {
            ConferenceKind::GoogleMeet => ("google_meet", "Google"),
            ConferenceKind::MicrosoftTeams => ("microsoft_teams", "Microsoft 365"),
        };
        let detail = format!(
            "`{name}` needs the bookings of {user_id} to be written to a calendar at {at}: \
             set the user's `calendar_id` to one, or leave the conference out"
        );
        checks.refuse("conference", FieldCode::ConferenceNotPossible, detail);
    }
}

fn minutes(reminders: &[ReminderWire], checks: &mut Checks) -> Vec<u32> {
    let sent: Vec<i64> = reminders.iter().map(|reminder| reminder.minutes_before).collect();
    checks.unique_list("reminders", &sent, 0..=REMINDERS_MAX);
    let mut read = |(index, &minutes): (usize, &i64)| {
        checks.whole(
            &format!("reminders[{index}].minutes_before"),
            minutes,
            REMINDER_MINUTES_MIN..=REMINDER_MINUTES_MAX,
        )
    };
    sent.iter().take(REMINDERS_MAX).enumerate().map(&mut read).collect()
}

fn hosts(user_ids: &[String], config: &AccountConfig, checks: &mut Checks) -> Vec<UserId> {
    checks.unique_list("user_ids", user_ids, 1..=HOSTS_PER_EVENT_TYPE_MAX);
    let mut read = |(index, id): (usize, &String)| {
        let field = format!("user_ids[{index}]");
        let id: UserId = checks.id(&field, id);
        if config.users.binary_search_by_key(&id, |(user, _)| user.id).is_err() {
            checks.refuse(&field, FieldCode::NotFound, "names no user of this account");
        }
        id
    };
    user_ids.iter().take(HOSTS_PER_EVENT_TYPE_MAX).enumerate().map(&mut read).collect()
}

fn is_slug(text: &str) -> bool {
    let is_part =
        |part: &str| !part.is_empty() && part.bytes().all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit());
    text.split('-').all(is_part)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn slugs() {
        for good in ["a", "intro-call", "30", "a-1-b"] {
            assert!(is_slug(good), "{good}");
        }
        for bad in ["", "-", "a-", "-a", "a--b", "A", "a b", "é", "a/b"] {
            assert!(!is_slug(bad), "{bad}");
        }
    }
}
