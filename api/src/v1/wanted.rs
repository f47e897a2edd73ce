//! The time a caller wants, as bodies name it: by itself, or by the `slot_id` of an offer that stands for all of it.

use agentcal_engine::calendar::request::{Choice, Meeting};
use agentcal_engine::ids::{EventTypeId, UserId};
use agentcal_engine::model::{AdHocMeeting, DURATION_MINUTES_MAX, EventType, SchedulingMode};
use agentcal_engine::ports::AccountConfig;
use agentcal_engine::time::Timestamp;
use chrono_tz::Tz;
use serde::Serialize;

use crate::caller::{Cx, PublicCx};
use crate::checks::Checks;
use crate::error::{ApiError, FieldCode};
use crate::offers::{ResolvedOffer, refused_offer, resolve};
use crate::v1::event_types::find_event_type;
use crate::v1::users::find_user;
use crate::v1::wire::zone_of;

/// Longest slot id read; longer ones are none.
const SLOT_ID_LEN_MAX: usize = 200;
const AGREE: &str = "must be left out, or agree with the `slot_id`";

/// The fields of a body that name a time.
pub(super) struct TimeFields<'a> {
    pub(super) event_type_id: Option<&'a str>,
    pub(super) user_id: Option<&'a str>,
    pub(super) start_time: Option<&'a str>,
    pub(super) duration_minutes: Option<i64>,
    pub(super) slot_id: Option<&'a str>,
}

/// The same, read. Its serialisation is what was asked in one spelling: the same instant with another offset is the same
/// request.
#[derive(Clone, Debug, Serialize)]
pub(super) struct Named {
    pub(super) event_type_id: Option<EventTypeId>,
    pub(super) user_id: Option<UserId>,
    pub(super) start: Option<Timestamp>,
    pub(super) duration_minutes: Option<u32>,
    pub(super) slot_id: Option<String>,
}

/// What is wanted: a meeting, of whom, when.
pub(super) struct Wanted {
    pub(super) meeting: Meeting,
    pub(super) choice: Choice,
    pub(super) start: Timestamp,
}

impl TimeFields<'_> {
    /// Reads the fields; `by_other` says that another field names the time already.
    pub(super) fn read(&self, by_other: bool, checks: &mut Checks) -> Named {
        let named = Named {
            event_type_id: self.event_type_id.map(|id| checks.id("event_type_id", id)),
            user_id: self.user_id.map(|id| checks.id("user_id", id)),
            start: self.start_time.map(|text| checks.instant("start_time", text)),
            duration_minutes: self
                .duration_minutes
                .map(|minutes| checks.whole("duration_minutes", minutes, 1..=DURATION_MINUTES_MAX)),
            slot_id: self.slot_id.map(str::to_owned),
        };
        if self.slot_id.is_some_and(|id| id.is_empty() || id.len() > SLOT_ID_LEN_MAX) {
            checks.refuse("slot_id", FieldCode::InvalidFormat, "must be the `slot_id` of a slot, as it was answered");
        }
        if self.slot_id.is_none() && !by_other {
            self.check_bare(checks);
        }
        named
    }

    fn check_bare(&self, checks: &mut Checks) {
        if self.start_time.is_none() {
            checks.required("start_time");
        }
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

impl Named {
    /// The event type named, where the account has it; who may see it is judged before anything else.
    pub(super) fn event_type<'c>(&self, config: &'c AccountConfig) -> Option<&'c EventType> {
        find_event_type(config, self.event_type_id?).ok().map(|(event_type, _)| event_type)
    }

    /// Lets a secret key pass, and a publishable one to the time of a public event type. What a slot id by itself stands
    /// for is judged when it is read: a publishable key's stand for public event types only.
    pub(super) fn open<'c>(&self, cx: &'c PublicCx, config: &AccountConfig) -> Result<&'c Cx, ApiError> {
        let stands_alone = self.slot_id.is_some() && self.event_type_id.is_none();
        if stands_alone { Ok(cx.unchecked()) } else { cx.open(self.event_type(config)) }
    }

    /// The zone instants are answered in: the named user's, else the account's.
    pub(super) fn zone(&self, config: &AccountConfig) -> Tz {
        let user_zone = || find_user(config, self.user_id?).ok().map(|(user, _)| user.timezone);
        user_zone().unwrap_or_else(|| zone_of(&config.account))
    }

    /// What is wanted, its slot id checked.
    pub(super) async fn resolve(&self, cx: &Cx, config: &AccountConfig, zone: Tz) -> Result<Wanted, ApiError> {
        let Some(slot_id) = &self.slot_id else { return Ok(self.bare()) };
        let now = cx.app.parts.scheduler.store_now().await;
        match resolve(cx, config, slot_id, now) {
            Ok(offer) => self.agreeing(offer, config),
            Err(fault) => Err(refused_offer(cx, config, &fault, zone, now).await),
        }
    }

    fn bare(&self) -> Wanted {
        let meeting = match (self.event_type_id, self.user_id, self.duration_minutes) {
            (Some(id), _, _) => Meeting::EventType(id),
            (None, Some(user_id), Some(duration_minutes)) => Meeting::AdHoc(AdHocMeeting { user_id, duration_minutes }),
            // Refused by the checks before.
            (None, _, _) => Meeting::EventType(EventTypeId::from_uuid(uuid::Uuid::nil())),
        };
        let choice = self.user_id.map_or(Choice::Any, Choice::Named);
        Wanted { meeting, choice, start: self.start.unwrap_or(Timestamp::EARLIEST) }
    }

    /// The offer, where everything else that was sent says the same.
    fn agreeing(&self, offer: ResolvedOffer, config: &AccountConfig) -> Result<Wanted, ApiError> {
        let mut checks = Checks::default();
        let (event_type_id, duration) = match offer.meeting {
            Meeting::EventType(id) => {
                let found = find_event_type(config, id).ok().map(|(event_type, _)| event_type);
                if found
                    .is_some_and(|found| found.scheduling_mode == SchedulingMode::Collective && self.user_id.is_some())
                {
                    let detail = "must be left out: a collective event takes all hosts";
                    checks.refuse("user_id", FieldCode::NotTogether, detail);
                }
                (Some(id), found.map(|event_type| event_type.duration_minutes))
            }
            Meeting::AdHoc(meeting) => (None, Some(meeting.duration_minutes)),
        };
        for (field, disagrees) in [
            ("event_type_id", self.event_type_id.is_some() && self.event_type_id != event_type_id),
            ("user_id", self.user_id.is_some_and(|user_id| !offer.user_ids.contains(&user_id))),
            ("start_time", self.start.is_some_and(|start| start != offer.start)),
            ("duration_minutes", self.duration_minutes.is_some() && self.duration_minutes != duration),
        ] {
            if disagrees {
                checks.refuse(field, FieldCode::NotTogether, AGREE);
            }
        }
        checks.finish()?;
        let offered = self.user_id.map_or(offer.user_ids, |user_id| vec![user_id]);
        Ok(Wanted { meeting: offer.meeting, choice: Choice::Offered(offered), start: offer.start })
    }
}
