//! From a commit request and an account's configuration to the question that must be decided.

use std::sync::Arc;

use crate::decision::Terms;
use crate::ids::{CalendarId, EventTypeId, UserId};
use crate::model::{
    AdHocMeeting, AttendeePolicy, BookingStatus, Calendar, ClaimOwner, ConferenceKind, EventType, HoldState, OnStale,
    SchedulingMode, User,
};
use crate::ports::{AccountConfig, BookingStoreItem, HoldStoreItem};
use crate::schedule::Schedule;
use crate::time::{HOUR_US, MINUTE_US, TimeRange, Timestamp};

use super::request::{
    BookRequest, ChangedBy, Choice, CommitAnswer, CommitKind, ConfirmRequest, HoldRequest, HoldSelection, Made,
    Meeting, Rejection,
};

/// What a meeting without an event type is called.
pub const AD_HOC_TITLE: &str = "Meeting";

/// What the store has of what a request names.
#[derive(Clone, Debug, Default)]
pub struct Stored {
    /// The booking it changes; for a new one, one of the same id that is there already, where somebody looked.
    pub booking: Option<BookingStoreItem>,
    /// The hold it names, or the live holds of the session it names; for a new one, one of the same id, where somebody
    /// looked.
    pub holds: Vec<HoldStoreItem>,
}

impl From<Option<BookingStoreItem>> for Stored {
    fn from(booking: Option<BookingStoreItem>) -> Self {
        Self { booking, holds: Vec::new() }
    }
}

/// What must happen for a request.
#[derive(Clone, Debug)]
pub enum Ask {
    /// These hosts must be judged on these terms.
    Decide(Box<DecideAsk>),
    /// This booking must be cancelled; nobody's time is asked for.
    Cancel(Box<BookingStoreItem>),
    /// This hold must end later.
    Extend(Box<HoldStoreItem>),
    /// These holds must be given back.
    Release(Vec<HoldStoreItem>),
    /// The answer is known already.
    Answered(Box<CommitAnswer>),
}

/// What a question is about.
#[derive(Clone, Debug)]
pub enum Subject {
    /// A new booking or hold.
    New,
    /// A booking that shall be at another time.
    Move(Box<BookingStoreItem>),
    /// A hold that shall become a booking.
    Confirm(Box<HoldStoreItem>),
}

/// A question to decide.
#[derive(Clone, Debug)]
pub struct DecideAsk {
    /// The terms.
    pub terms: Terms,
    /// The candidates, in order of preference.
    pub user_ids: Vec<UserId>,
    /// When.
    pub range: TimeRange,
    /// What to do when facts are old.
    pub on_stale: OnStale,
    /// What a new booking is called.
    pub title: String,
    /// Where a new booking takes place.
    pub location: Option<String>,
    /// The conference a new booking is to have.
    pub conference: Option<ConferenceKind>,
    /// What it is about.
    pub subject: Subject,
}

impl DecideAsk {
    /// Whose own claims must not count.
    pub fn ignoring(&self) -> Option<ClaimOwner> {
        match &self.subject {
            Subject::New => None,
            Subject::Move(item) => Some(ClaimOwner::Booking(item.booking.id)),
            Subject::Confirm(item) => Some(ClaimOwner::Hold(item.hold.id)),
        }
    }
}

/// What a request asks for.
pub fn ask_of(kind: &CommitKind, config: &AccountConfig, stored: Stored, now: Timestamp) -> Ask {
    let Stored { booking, mut holds } = stored;
    let hold = holds.pop();
    let asked = match (kind, booking, hold) {
        (CommitKind::Book(_) | CommitKind::Confirm(_), Some(item), _) => {
            Err(Box::new(CommitAnswer::Committed(Made::Booking(Box::new(item.booking)))))
        }
        (CommitKind::Book(book), None, _) => ask_to_book(book, config).map_err(rejected),
        (CommitKind::Confirm(confirm), None, hold) => ask_to_confirm(confirm, hold, config).map_err(rejected),
        (CommitKind::Hold(_), _, Some(item)) => Err(Box::new(CommitAnswer::Committed(Made::Hold(Box::new(item.hold))))),
        (CommitKind::Hold(hold), _, None) => ask_to_hold(hold, config).map_err(rejected),
        (CommitKind::Extend { .. }, _, item) => return ask_to_extend(item),
        (CommitKind::Release(selection), _, last) => {
            return ask_to_release(selection, holds.into_iter().chain(last));
        }
        (CommitKind::Reschedule { start, offered, by, .. }, Some(item), _) => {
            ask_to_move(item, Move { start: *start, offered: *offered, by: *by }, config, now)
        }
        (CommitKind::Cancel { by, .. }, Some(item), _) => return ask_to_cancel(item, *by, config, now),
        (CommitKind::Reschedule { .. } | CommitKind::Cancel { .. }, None, _) => {
            Err(rejected(Rejection::BookingMissing))
        }
    };
    match asked {
        Ok(ask) => Ask::Decide(Box::new(ask)),
        Err(answer) => Ask::Answered(answer),
    }
}

/// The calendar whose actor leads: the lowest home among those whose claims may change. `None` where nobody has one.
pub fn leader_of(ask: &Ask, config: &AccountConfig) -> Option<CalendarId> {
    let homes = |user_ids: &[UserId]| user_ids.iter().filter_map(|&id| home_of(config, id)).min();
    match ask {
        Ask::Decide(ask) => homes(&ask.user_ids),
        Ask::Cancel(item) => homes(&item.booking.hosts.iter().map(|host| host.user_id).collect::<Vec<_>>()),
        Ask::Extend(item) => homes(&item.hold.user_ids),
        Ask::Release(items) => items.iter().filter_map(|item| homes(&item.hold.user_ids)).min(),
        Ask::Answered(_) => None,
    }
}

/// A user of the account with its rules.
pub fn user_in(config: &AccountConfig, id: UserId) -> Option<&(Arc<User>, Arc<Schedule>)> {
    config.users.binary_search_by_key(&id, |(user, _)| user.id).ok().map(|index| &config.users[index])
}

/// A calendar of the account.
pub fn calendar_in(config: &AccountConfig, id: CalendarId) -> Option<&Calendar> {
    config.calendars.binary_search_by_key(&id, |calendar| calendar.id).ok().map(|index| &config.calendars[index])
}

/// An event type of the account with its rules.
pub fn event_type_in(config: &AccountConfig, id: EventTypeId) -> Option<&(EventType, Option<Arc<Schedule>>)> {
    let found = config.event_types.binary_search_by_key(&id, |(event_type, _)| event_type.id).ok();
    found.map(|index| &config.event_types[index])
}

pub(crate) fn home_of(config: &AccountConfig, id: UserId) -> Option<CalendarId> {
    user_in(config, id).map(|(user, _)| user.home_calendar_id)
}

fn ask_to_book(book: &BookRequest, config: &AccountConfig) -> Result<DecideAsk, Rejection> {
    ask_for_time(book.meeting, &book.choice, book.start, config)
}

fn ask_to_hold(hold: &HoldRequest, config: &AccountConfig) -> Result<DecideAsk, Rejection> {
    ask_for_time(hold.meeting, &hold.choice, hold.start, config)
}

fn ask_for_time(
    meeting: Meeting,
    choice: &Choice,
    start: Timestamp,
    config: &AccountConfig,
) -> Result<DecideAsk, Rejection> {
    match meeting {
        Meeting::EventType(id) => {
            let (event_type, rules) = event_type_in(config, id).ok_or(Rejection::EventTypeMissing)?;
            if event_type.require_slot_id && !matches!(choice, Choice::Offered(_)) {
                return Err(Rejection::SlotIdRequired);
            }
            Ok(DecideAsk {
                user_ids: candidates(event_type, choice, config)?,
                range: range_of(start, event_type.duration_minutes)?,
                terms: Terms::of_event_type(event_type, rules.clone()),
                on_stale: event_type.on_stale,
                title: event_type.name.clone(),
                location: event_type.location.clone(),
                conference: event_type.conference,
                subject: Subject::New,
            })
        }
        Meeting::AdHoc(AdHocMeeting { user_id, duration_minutes }) => {
            user_in(config, user_id).ok_or(Rejection::UserMissing)?;
            Ok(DecideAsk {
                user_ids: vec![user_id],
                range: range_of(start, duration_minutes)?,
                terms: Terms::ad_hoc(duration_minutes),
                on_stale: OnStale::Verify,
                title: AD_HOC_TITLE.into(),
                location: None,
                conference: None,
                subject: Subject::New,
            })
        }
    }
}

fn candidates(event_type: &EventType, choice: &Choice, config: &AccountConfig) -> Result<Vec<UserId>, Rejection> {
    match choice {
        Choice::Any => {
            let known = event_type.user_ids.iter().copied().filter(|&id| user_in(config, id).is_some());
            let known: Vec<UserId> = known.collect();
            if known.is_empty() { Err(Rejection::NoHosts) } else { Ok(known) }
        }
        Choice::Named(named) => {
            if event_type.scheduling_mode == SchedulingMode::Collective {
                return Err(Rejection::UserNotAllowedForCollective);
            }
            user_in(config, *named).ok_or(Rejection::UserMissing)?;
            if event_type.user_ids.contains(named) { Ok(vec![*named]) } else { Err(Rejection::UserNotHost) }
        }
        Choice::Offered(offered) => offered_candidates(event_type, offered, config),
    }
}

fn offered_candidates(
    event_type: &EventType,
    offered: &[UserId],
    config: &AccountConfig,
) -> Result<Vec<UserId>, Rejection> {
    let is_host = |id: &UserId| event_type.user_ids.contains(id) && user_in(config, *id).is_some();
    let known: Vec<UserId> = match event_type.scheduling_mode {
        SchedulingMode::Collective if event_type.user_ids.iter().all(|id| offered.contains(id)) => {
            event_type.user_ids.clone()
        }
        SchedulingMode::Collective => Vec::new(),
        SchedulingMode::Individual | SchedulingMode::RoundRobin => offered.iter().copied().filter(is_host).collect(),
    };
    if known.is_empty() { Err(Rejection::OfferOutdated) } else { Ok(known) }
}

/// A hold is a promise: the terms it was placed on count, at the time and for the hosts it holds.
fn ask_to_confirm(
    confirm: &ConfirmRequest,
    item: Option<HoldStoreItem>,
    config: &AccountConfig,
) -> Result<DecideAsk, Rejection> {
    let item = item.ok_or(Rejection::HoldMissing)?;
    debug_assert_eq!(item.hold.id, confirm.hold_id, "the hold that was named");
    match item.state() {
        HoldState::Active => {}
        HoldState::Released | HoldState::Expired => return Err(Rejection::HoldExpired),
        HoldState::Confirmed(booking_id) => return Err(Rejection::HoldConfirmed(booking_id)),
    }
    let duration_minutes = minutes_of(item.hold.range);
    let (terms, on_stale, title, location, conference) = match item.hold.event_type_id {
        Some(id) => {
            let (event_type, rules) = event_type_in(config, id).ok_or(Rejection::EventTypeMissing)?;
            let terms = Terms::of_event_type(event_type, rules.clone());
            (terms, event_type.on_stale, event_type.name.clone(), event_type.location.clone(), event_type.conference)
        }
        None => (Terms::ad_hoc(duration_minutes), OnStale::Verify, AD_HOC_TITLE.into(), None, None),
    };
    let terms = Terms { duration_minutes, scheduling_mode: settled_mode(&item.hold.user_ids), ..terms };
    let (user_ids, range) = (item.hold.user_ids.clone(), item.hold.range);
    if user_ids.iter().any(|&id| user_in(config, id).is_none()) {
        return Err(Rejection::UserMissing);
    }
    let subject = Subject::Confirm(Box::new(item));
    Ok(DecideAsk { terms, user_ids, range, on_stale, title, location, conference, subject })
}

/// The mode in which hosts that are settled must be judged: each of them must be free.
fn settled_mode(user_ids: &[UserId]) -> SchedulingMode {
    if user_ids.len() == 1 { SchedulingMode::Individual } else { SchedulingMode::Collective }
}

fn ask_to_extend(item: Option<HoldStoreItem>) -> Ask {
    let Some(item) = item else { return Ask::Answered(rejected(Rejection::HoldMissing)) };
    match item.state() {
        HoldState::Active => Ask::Extend(Box::new(item)),
        HoldState::Released | HoldState::Expired => Ask::Answered(rejected(Rejection::HoldExpired)),
        HoldState::Confirmed(booking_id) => Ask::Answered(rejected(Rejection::HoldConfirmed(booking_id))),
    }
}

fn ask_to_release(selection: &HoldSelection, items: impl Iterator<Item = HoldStoreItem>) -> Ask {
    let items: Vec<HoldStoreItem> = items.collect();
    if items.is_empty() && matches!(selection, HoldSelection::One(_)) {
        return Ask::Answered(rejected(Rejection::HoldMissing));
    }
    if let (HoldSelection::One(_), [only]) = (selection, &items[..])
        && let HoldState::Confirmed(booking_id) = only.hold.state
    {
        return Ask::Answered(rejected(Rejection::HoldConfirmed(booking_id)));
    }
    let live: Vec<HoldStoreItem> = items.into_iter().filter(|item| item.state() == HoldState::Active).collect();
    if live.is_empty() {
        return Ask::Answered(Box::new(CommitAnswer::Committed(Made::Released(Vec::new()))));
    }
    Ask::Release(live)
}

/// Where a booking shall go, and who says so.
#[derive(Clone, Copy)]
struct Move {
    start: Timestamp,
    offered: bool,
    by: ChangedBy,
}

fn ask_to_move(
    item: BookingStoreItem,
    to: Move,
    config: &AccountConfig,
    now: Timestamp,
) -> Result<DecideAsk, Box<CommitAnswer>> {
    match item.booking.status_at(now) {
        BookingStatus::Cancelled => return Err(rejected(Rejection::BookingCancelled)),
        _ if item.booking.range.start == to.start => {
            return Err(Box::new(CommitAnswer::Committed(Made::Booking(Box::new(item.booking)))));
        }
        BookingStatus::Completed => return Err(rejected(Rejection::BookingCompleted)),
        BookingStatus::Confirmed => {}
    }
    let event_type = item.booking.event_type_id.and_then(|id| event_type_in(config, id));
    let event_type_alone = event_type.map(|(event_type, _)| event_type);
    may_move(&item, to, event_type_alone, now).map_err(rejected)?;
    let (mut terms, on_stale) = match event_type {
        Some((event_type, rules)) => (Terms::of_event_type(event_type, rules.clone()), event_type.on_stale),
        None => (Terms::ad_hoc(minutes_of(item.booking.range)), OnStale::Verify),
    };
    // The hosts are settled: each of them must be free at the new time.
    let user_ids: Vec<UserId> = item.booking.hosts.iter().map(|host| host.user_id).collect();
    terms.scheduling_mode = settled_mode(&user_ids);
    if user_ids.iter().any(|&id| user_in(config, id).is_none()) {
        return Err(rejected(Rejection::UserMissing));
    }
    let range = range_of(to.start, terms.duration_minutes).map_err(rejected)?;
    let (title, location) = (item.booking.title.clone(), item.booking.location.clone());
    let subject = Subject::Move(Box::new(item));
    Ok(DecideAsk { terms, user_ids, range, on_stale, title, location, conference: None, subject })
}

fn may_move(
    item: &BookingStoreItem,
    to: Move,
    event_type: Option<&EventType>,
    now: Timestamp,
) -> Result<(), Rejection> {
    let policy = event_type.map_or_else(AttendeePolicy::default, |event_type| event_type.attendee_policy);
    let is_strict = event_type.is_some_and(|event_type| event_type.require_slot_id);
    match to.by {
        ChangedBy::Key if is_strict && !to.offered => Err(Rejection::SlotIdRequired),
        ChangedBy::Key => Ok(()),
        ChangedBy::Attendee if is_too_late(policy.reschedule_notice_hours, item.booking.range.start, now) => {
            Err(Rejection::TooLateForAttendee)
        }
        ChangedBy::Attendee if policy.reschedules_max.is_some_and(|max| item.booking.attendee_reschedules >= max) => {
            Err(Rejection::TooManyReschedules)
        }
        ChangedBy::Attendee => Ok(()),
    }
}

/// Whether an attendee may not change a booking any more that begins at `start`.
fn is_too_late(notice_hours: Option<u32>, start: Timestamp, now: Timestamp) -> bool {
    notice_hours.is_none_or(|hours| now > start.plus_micros(-i64::from(hours) * HOUR_US))
}

fn ask_to_cancel(item: BookingStoreItem, by: ChangedBy, config: &AccountConfig, now: Timestamp) -> Ask {
    let event_type = item.booking.event_type_id.and_then(|id| event_type_in(config, id));
    let policy = event_type.map_or_else(AttendeePolicy::default, |(event_type, _)| event_type.attendee_policy);
    match item.booking.status_at(now) {
        BookingStatus::Confirmed
            if by == ChangedBy::Attendee && is_too_late(policy.cancel_notice_hours, item.booking.range.start, now) =>
        {
            Ask::Answered(rejected(Rejection::TooLateForAttendee))
        }
        BookingStatus::Confirmed => Ask::Cancel(Box::new(item)),
        BookingStatus::Cancelled => {
            Ask::Answered(Box::new(CommitAnswer::Committed(Made::Booking(Box::new(item.booking)))))
        }
        BookingStatus::Completed => Ask::Answered(rejected(Rejection::BookingCompleted)),
    }
}

fn rejected(rejection: Rejection) -> Box<CommitAnswer> {
    Box::new(CommitAnswer::Rejected(rejection))
}

fn range_of(start: Timestamp, duration_minutes: u32) -> Result<TimeRange, Rejection> {
    let end = start.plus_micros(i64::from(duration_minutes) * MINUTE_US);
    let range = TimeRange::new(start, end).ok_or(Rejection::StartOutOfRange)?;
    let known = TimeRange { start: Timestamp::EARLIEST, end: Timestamp::LATEST };
    if known.covers(&range) { Ok(range) } else { Err(Rejection::StartOutOfRange) }
}

fn minutes_of(range: TimeRange) -> u32 {
    u32::try_from(range.len_micros() / MINUTE_US).unwrap_or(u32::MAX)
}

#[cfg(test)]
mod hold_tests;
#[cfg(test)]
mod tests;
