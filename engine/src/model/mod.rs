//! The things AgentCal knows, as every floor sees them. Wire shapes live in the api, row shapes in the stores.

mod account;
mod booking;
mod calendar;
mod claim;
mod conference;
mod decision_record;
mod event;
mod event_type;
mod hold;
mod job;
mod mail;
mod rules;
mod user;
mod webhook;

pub use account::{Account, ApiKey, KeyKind, Mode, Organization, Tenant};
pub use booking::{Attendee, Booking, BookingHost, BookingStatus, ExternalState, Writeback, WritebackState};
pub use calendar::{Calendar, Connection, ConnectionStatus, ProviderKind, Watch, WatchState};
pub use claim::{Claim, ClaimKind, ClaimOwner};
pub use conference::{Conference, ConferenceKind, ConferenceState, JOIN_URL_LEN_MAX};
pub use decision_record::{DecisionKind, DecisionRecord, FactsSeen};
pub use event::{Event, EventKind, EventSubject};
pub use event_type::{
    AdHocMeeting, AttendeePolicy, BUFFER_MINUTES_MAX, BufferMode, DURATION_MINUTES_MAX, EventType, FollowUp,
    HOSTS_PER_EVENT_TYPE_MAX, MailPolicy, OnStale, POLICY_NOTICE_HOURS_MAX, POLICY_RESCHEDULES_MAX,
    REMINDER_MINUTES_MAX, REMINDER_MINUTES_MIN, REMINDERS_MAX, SchedulingMode, WINDOW_DAYS_MAX,
};
pub use hold::{HOLD_TTL_SECONDS_DEFAULT, HOLD_TTL_SECONDS_MAX, HOLD_TTL_SECONDS_MIN, Hold, HoldState};
pub use job::{
    Job, JobKind, JobState, JobWork, MailEvent, MailReader, MailWork, NewJob, NoticeWork, TimerWork, WebhookDisabled,
};
pub use mail::{MailBranding, MailKind, MailLanguage, MailPage, MailRole, MailTemplate, UnknownMailKind};
pub use rules::{AvailabilityRules, CivilTime, CivilWindow, DateOverride, OVERRIDES_MAX, WEEKLY_RULES_MAX, WeeklyRule};
pub use user::{CALENDARS_PER_USER_MAX, User};
pub use webhook::{
    DELIVERY_ATTEMPTS_MAX, DeliveryAttempt, DeliveryState, WebhookDelivery, WebhookEndpoint, WebhookHealth,
    WebhookSecrets, WebhookStanding,
};
