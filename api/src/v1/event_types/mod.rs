//! Event types: what can be booked, and on what terms.

mod body;
mod create;
mod delete;
mod get;
mod list;
mod update;

use std::sync::Arc;

use agentcal_engine::ids::{EventTypeId, UserId};
use agentcal_engine::model::{BufferMode, ConferenceKind, EventType, MailPolicy, OnStale, SchedulingMode};
use agentcal_engine::ports::AccountConfig;
use agentcal_engine::schedule::Schedule;
use chrono_tz::Tz;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use crate::app::AppState;
use crate::error::ApiError;
use crate::extract::NamedParam;
use crate::instant::rfc3339;

pub(super) fn routes() -> OpenApiRouter<AppState> {
    OpenApiRouter::new().routes(routes!(create::create_event_type, list::list_event_types)).routes(routes!(
        get::get_event_type,
        update::update_event_type,
        delete::delete_event_type
    ))
}

/// Who of the hosts takes a booking.
#[derive(Clone, Copy, Debug, Deserialize, Serialize, ToSchema)]
#[serde(rename_all = "snake_case")]
#[schema(as = SchedulingMode)]
pub(super) enum ModeWire {
    /// One host: the named one, or the first free in the order of `user_ids`.
    Individual,
    /// One host by policy: fewest bookings to come, then the order of `user_ids`.
    RoundRobin,
    /// All hosts.
    Collective,
}

/// How the gap between two neighbours follows from their buffers.
#[derive(Clone, Copy, Debug, Deserialize, Serialize, ToSchema)]
#[serde(rename_all = "snake_case")]
#[schema(as = BufferMode)]
pub(super) enum BufferModeWire {
    /// The larger of the two buffers that face each other.
    Larger,
    /// Their sum.
    Sum,
}

/// What a booking does when what is known of a calendar is too old.
#[derive(Clone, Copy, Debug, Deserialize, Serialize, ToSchema)]
#[serde(rename_all = "snake_case")]
#[schema(as = OnStale)]
pub(super) enum OnStaleWire {
    /// Ask the provider first, within a deadline; failing a sync, about this very time (Google, Microsoft 365); then 503.
    Verify,
    /// Decide on what is known.
    Accept,
    /// 503 at once.
    Refuse,
}

/// A service that a calendar's provider makes conferences with.
#[derive(Clone, Copy, Debug, Deserialize, Serialize, ToSchema)]
#[serde(rename_all = "snake_case")]
#[schema(as = ConferenceType)]
pub(in crate::v1) enum ConferenceKindWire {
    /// Google Meet.
    GoogleMeet,
    /// Microsoft Teams.
    MicrosoftTeams,
}

macro_rules! same_variants {
    ($wire:ident = $model:ident { $($variant:ident),* }) => {
        impl From<$wire> for $model {
            fn from(wire: $wire) -> Self {
                match wire { $($wire::$variant => Self::$variant,)* }
            }
        }

        impl From<$model> for $wire {
            fn from(model: $model) -> Self {
                match model { $($model::$variant => Self::$variant,)* }
            }
        }
    };
}

same_variants!(ModeWire = SchedulingMode { Individual, RoundRobin, Collective });
same_variants!(BufferModeWire = BufferMode { Larger, Sum });
same_variants!(ConferenceKindWire = ConferenceKind { GoogleMeet, MicrosoftTeams });
same_variants!(OnStaleWire = OnStale { Verify, Accept, Refuse });

/// One reminder of a booking.
#[derive(Clone, Copy, Debug, Deserialize, Serialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(as = Reminder)]
pub(super) struct ReminderWire {
    /// Minutes before the start.
    #[schema(value_type = u32, minimum = 5, maximum = 40320, example = 60)]
    minutes_before: i64,
}

/// Who gets mail about bookings. Nobody does without an address.
#[derive(Serialize, ToSchema)]
#[schema(as = MailPolicy)]
pub(super) struct MailView {
    /// Whoever booked.
    attendee: bool,
    /// Each host.
    hosts: bool,
}

/// What can be booked.
#[derive(Serialize, ToSchema)]
#[schema(as = EventType)]
pub(super) struct EventTypeView {
    /// Its id.
    #[schema(example = "evt_01kaj2wz5rfv8t6xg3m9c1nq4d")]
    id: String,
    /// Its name; becomes the title of calendar events.
    name: String,
    /// Its name in addresses, unique in the account.
    slug: String,
    /// Length of a booking, in minutes.
    duration_minutes: u32,
    /// Distance of two slots' starts, in minutes.
    slot_interval_minutes: u32,
    /// Minutes kept free before a booking.
    buffer_before: u32,
    /// Minutes kept free after a booking.
    buffer_after: u32,
    /// How buffers of neighbours combine.
    buffer_mode: BufferModeWire,
    /// Hours between now and the earliest start.
    min_notice_hours: u32,
    /// Days of 24 hours between now and the latest start.
    booking_window_days: u32,
    /// Most bookings of this type a host takes on one day of its zone; null: no limit.
    #[schema(required = true)]
    max_bookings_per_day: Option<u32>,
    /// The hosts, in order of preference.
    user_ids: Vec<String>,
    /// Who of them takes a booking.
    scheduling_mode: ModeWire,
    /// Whether publishable keys see it.
    public: bool,
    /// Where it takes place.
    #[schema(required = true)]
    location: Option<String>,
    /// The conference each booking gets; null: none.
    #[schema(required = true)]
    conference: Option<ConferenceKindWire>,
    /// Whether a bare `start_time` is refused.
    require_slot_id: bool,
    /// What a booking does on old facts.
    on_stale: OnStaleWire,
    /// Hours before the start up to which the attendee may cancel; null: never.
    #[schema(required = true)]
    cancel_notice_hours: Option<u32>,
    /// Hours before the start up to which the attendee may move it; null: never.
    #[schema(required = true)]
    reschedule_notice_hours: Option<u32>,
    /// Most times the attendee may move one booking; null: no limit.
    #[schema(required = true)]
    reschedules_max: Option<u32>,
    /// When bookings are reminded of.
    reminders: Vec<ReminderWire>,
    /// Who gets mail.
    mail: MailView,
    /// When it was made.
    #[schema(format = DateTime)]
    created_at: String,
}

impl EventTypeView {
    pub(super) fn of(event_type: EventType, zone: Tz) -> Self {
        Self {
            id: event_type.id.to_string(),
            name: event_type.name,
            slug: event_type.slug,
            duration_minutes: event_type.duration_minutes,
            slot_interval_minutes: event_type.slot_interval_minutes,
            buffer_before: event_type.buffer_before_minutes,
            buffer_after: event_type.buffer_after_minutes,
            buffer_mode: event_type.buffer_mode.into(),
            min_notice_hours: event_type.min_notice_hours,
            booking_window_days: event_type.booking_window_days,
            max_bookings_per_day: event_type.max_bookings_per_day,
            user_ids: event_type.user_ids.iter().map(UserId::to_string).collect(),
            scheduling_mode: event_type.scheduling_mode.into(),
            public: event_type.public,
            location: event_type.location,
            conference: event_type.conference.map(ConferenceKindWire::from),
            require_slot_id: event_type.require_slot_id,
            on_stale: event_type.on_stale.into(),
            cancel_notice_hours: event_type.attendee_policy.cancel_notice_hours,
            reschedule_notice_hours: event_type.attendee_policy.reschedule_notice_hours,
            reschedules_max: event_type.attendee_policy.reschedules_max,
            reminders: event_type.follow_up.reminders.iter().map(|&minutes| minutes.into()).collect(),
            mail: event_type.follow_up.mail.into(),
            created_at: rfc3339(event_type.created_at, zone),
        }
    }
}

impl From<u32> for ReminderWire {
    fn from(minutes: u32) -> Self {
        Self { minutes_before: minutes.into() }
    }
}

impl From<MailPolicy> for MailView {
    fn from(MailPolicy { attendee, hosts }: MailPolicy) -> Self {
        Self { attendee, hosts }
    }
}

/// An event type of the account, with its rules where it has any.
pub(super) fn find_event_type(
    config: &AccountConfig,
    event_type_id: EventTypeId,
) -> Result<&(EventType, Option<Arc<Schedule>>), ApiError> {
    let place = config.event_types.binary_search_by_key(&event_type_id, |(event_type, _)| event_type.id);
    place.map(|index| &config.event_types[index]).map_err(|_place| ApiError::not_found(EventTypeId::KIND))
}
