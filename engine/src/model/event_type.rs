//! What can be booked, and on what terms.

use super::ConferenceKind;
use serde::{Deserialize, Serialize};

use crate::ids::{AccountId, EventTypeId, UserId};
use crate::time::Timestamp;

/// Longest booking, in minutes: 24 hours.
pub const DURATION_MINUTES_MAX: u32 = 1_440;
/// Longest buffer, in minutes.
pub const BUFFER_MINUTES_MAX: u32 = 1_440;
/// Furthest booking window, in days. The synced window of every calendar reaches further (see `calendar::sync`).
pub const WINDOW_DAYS_MAX: u32 = 365;
/// Most hosts of one event type.
pub const HOSTS_PER_EVENT_TYPE_MAX: usize = 100;

/// Who of the hosts takes a booking.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum SchedulingMode {
    /// One host: the named one, or the first free in the order of `user_ids`.
    Individual,
    /// One host by policy: fewest future bookings, then the order of `user_ids`.
    RoundRobin,
    /// All hosts.
    Collective,
}

/// How the gap between two neighbours follows from their buffers.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum BufferMode {
    /// The larger of the two buffers that face each other.
    Larger,
    /// Their sum.
    Sum,
}

/// What a commit does when the facts are older than allowed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum OnStale {
    /// Ask the provider first, within a deadline; then refuse with 503.
    Verify,
    /// Decide on what is known.
    Accept,
    /// Refuse with 503 at once.
    Refuse,
}

/// What attendees may do with a booking by themselves, until when and how often. Holders of keys are not bound by it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct AttendeePolicy {
    /// Hours before the start up to which the attendee may cancel; `None`: never.
    pub cancel_notice_hours: Option<u32>,
    /// Hours before the start up to which the attendee may move it; `None`: never.
    pub reschedule_notice_hours: Option<u32>,
    /// Most times the attendee may move one booking; `None`: no limit.
    pub reschedules_max: Option<u32>,
}

impl Default for AttendeePolicy {
    /// Both until the start, any number of times.
    fn default() -> Self {
        Self { cancel_notice_hours: Some(0), reschedule_notice_hours: Some(0), reschedules_max: None }
    }
}

/// Furthest ahead a policy can ask attendees to decide, in hours: the booking window.
pub const POLICY_NOTICE_HOURS_MAX: u32 = WINDOW_DAYS_MAX * 24;
/// Most moves a policy can allow.
pub const POLICY_RESCHEDULES_MAX: u32 = 100;

/// Most reminders of one event type.
pub const REMINDERS_MAX: usize = 5;
/// How long before the start a reminder is at least, in minutes.
pub const REMINDER_MINUTES_MIN: u32 = 5;
/// How long before the start a reminder is at most, in minutes: four weeks.
pub const REMINDER_MINUTES_MAX: u32 = 40_320;

/// What follows from a booking, besides its hosts' calendars and webhooks. What of it lies ahead is settled when the booking
/// is made or moved.
#[derive(Clone, Debug, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct FollowUp {
    /// Minutes before the start, for each reminder; none twice.
    pub reminders: Vec<u32>,
    /// Who gets mail.
    pub mail: MailPolicy,
}

impl FollowUp {
    fn is_default(&self) -> bool {
        *self == Self::default()
    }
}

/// Who gets mail about a booking. Nobody does without an address.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct MailPolicy {
    /// Whoever booked.
    pub attendee: bool,
    /// Each host.
    pub hosts: bool,
}

impl Default for MailPolicy {
    /// Whoever booked, and no host: hosts have it in their calendars.
    fn default() -> Self {
        Self { attendee: true, hosts: false }
    }
}

/// What can be booked.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct EventType {
    /// Its id.
    pub id: EventTypeId,
    /// The account it belongs to.
    pub account_id: AccountId,
    /// Its name; becomes the summary of the calendar event.
    pub name: String,
    /// Its name in addresses, unique in the account.
    pub slug: String,
    /// Length of a booking.
    pub duration_minutes: u32,
    /// Distance of two slots' starts.
    pub slot_interval_minutes: u32,
    /// Minutes kept free before a booking.
    pub buffer_before_minutes: u32,
    /// Minutes kept free after a booking.
    pub buffer_after_minutes: u32,
    /// How buffers of neighbours combine.
    pub buffer_mode: BufferMode,
    /// Hours between now and the earliest start.
    pub min_notice_hours: u32,
    /// Days (of 24 hours) between now and the latest start.
    pub booking_window_days: u32,
    /// Most bookings of this type a host takes on one day of its zone.
    pub max_bookings_per_day: Option<u32>,
    /// The hosts, in order of preference, none twice.
    pub user_ids: Vec<UserId>,
    /// Who of them takes a booking.
    pub scheduling_mode: SchedulingMode,
    /// Whether publishable keys see it.
    pub public: bool,
    /// Where it takes place; becomes the location of the calendar event.
    pub location: Option<String>,
    /// The conference each booking of it gets. Left out where there is none, so that offers made before there were any stand.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub conference: Option<ConferenceKind>,
    /// Whether a bare `start_time` is refused.
    pub require_slot_id: bool,
    /// What a commit does on old facts.
    pub on_stale: OnStale,
    /// What attendees may do by themselves, through the link of their booking.
    pub attendee_policy: AttendeePolicy,
    /// What follows from its bookings. Left out where it is as by default, so that offers made before there was any stand.
    #[serde(default, skip_serializing_if = "FollowUp::is_default")]
    pub follow_up: FollowUp,
    /// When it was made.
    pub created_at: Timestamp,
}

/// A meeting without an event type: one user, a duration, every other term at its default.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct AdHocMeeting {
    /// The host.
    pub user_id: UserId,
    /// Length of the meeting, and the distance of two slots' starts.
    pub duration_minutes: u32,
}
