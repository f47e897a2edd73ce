//! From a commit request and an account's configuration to the question that must be decided.

use std::sync::Arc;

use crate::decision::Terms;
use crate::ids::{BookingId, CalendarId, EventTypeId, UserId};
use crate::model::{
    AdHocMeeting, AvailabilityRules, BookingStatus, Calendar, EventType, OnStale, SchedulingMode, User,
};
use crate::ports::{AccountConfig, BookingStoreItem};
use crate::time::{MINUTE_US, TimeRange, Timestamp};

use super::request::{BookRequest, CommitAnswer, CommitKind, Meeting, Rejection};

/// What a meeting without an event type is called.
pub const AD_HOC_TITLE: &str = "Meeting";

/// What must happen for a request.
#[derive(Clone, Debug)]
pub enum Ask {
    /// These hosts must be judged on these terms.
    Decide(Box<DecideAsk>),
    /// This booking must be cancelled; nobody's time is asked for.
    Cancel(Box<BookingStoreItem>),
    /// The answer is known already.
    Answered(Box<CommitAnswer>),
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
    /// The booking to move, unless it is a new one.
    pub moving: Option<BookingStoreItem>,
}

impl DecideAsk {
    /// The booking whose own claims must not count.
    pub fn ignoring(&self) -> Option<BookingId> {
        self.moving.as_ref().map(|item| item.booking.id)
    }
}

/// What a request asks for. `stored` is the booking it names, as the store has it; for a new booking, one of the same id
/// that is there already, where somebody looked.
pub fn ask_of(kind: &CommitKind, config: &AccountConfig, stored: Option<BookingStoreItem>, now: Timestamp) -> Ask {
    let asked = match (kind, stored) {
        (CommitKind::Book(_), Some(item)) => Err(Box::new(CommitAnswer::Committed(item.booking))),
        (CommitKind::Book(book), None) => ask_to_book(book, config).map_err(rejected),
        (_, None) => Err(rejected(Rejection::BookingMissing)),
        (CommitKind::Reschedule { start, .. }, Some(item)) => ask_to_move(item, *start, config, now),
        (CommitKind::Cancel { .. }, Some(item)) => return ask_to_cancel(item, now),
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
        Ask::Answered(_) => None,
    }
}

/// A user of the account with its rules.
pub fn user_in(config: &AccountConfig, id: UserId) -> Option<&(User, AvailabilityRules)> {
    config.users.binary_search_by_key(&id, |(user, _)| user.id).ok().map(|index| &config.users[index])
}

/// A calendar of the account.
pub fn calendar_in(config: &AccountConfig, id: CalendarId) -> Option<&Calendar> {
    config.calendars.binary_search_by_key(&id, |calendar| calendar.id).ok().map(|index| &config.calendars[index])
}

/// An event type of the account with its rules.
pub fn event_type_in(config: &AccountConfig, id: EventTypeId) -> Option<&(EventType, Option<AvailabilityRules>)> {
    let found = config.event_types.binary_search_by_key(&id, |(event_type, _)| event_type.id).ok();
    found.map(|index| &config.event_types[index])
}

pub(crate) fn home_of(config: &AccountConfig, id: UserId) -> Option<CalendarId> {
    user_in(config, id).map(|(user, _)| user.home_calendar_id)
}

fn ask_to_book(book: &BookRequest, config: &AccountConfig) -> Result<DecideAsk, Rejection> {
    match book.meeting {
        Meeting::EventType(id) => {
            let (event_type, rules) = event_type_in(config, id).ok_or(Rejection::EventTypeMissing)?;
            let user_ids = candidates(event_type, book.user_id, config)?;
            Ok(DecideAsk {
                range: range_of(book.start, event_type.duration_minutes)?,
                terms: Terms::of_event_type(event_type, rules.clone().map(Arc::new)),
                user_ids,
                on_stale: event_type.on_stale,
                title: event_type.name.clone(),
                location: event_type.location.clone(),
                moving: None,
            })
        }
        Meeting::AdHoc(AdHocMeeting { user_id, duration_minutes }) => {
            user_in(config, user_id).ok_or(Rejection::UserMissing)?;
            Ok(DecideAsk {
                range: range_of(book.start, duration_minutes)?,
                terms: Terms::ad_hoc(duration_minutes),
                user_ids: vec![user_id],
                on_stale: OnStale::Verify,
                title: AD_HOC_TITLE.into(),
                location: None,
                moving: None,
            })
        }
    }
}

fn candidates(event_type: &EventType, named: Option<UserId>, config: &AccountConfig) -> Result<Vec<UserId>, Rejection> {
    let Some(named) = named else {
        let known = event_type.user_ids.iter().copied().filter(|&id| user_in(config, id).is_some());
        let known: Vec<UserId> = known.collect();
        return if known.is_empty() { Err(Rejection::NoHosts) } else { Ok(known) };
    };
    if event_type.scheduling_mode == SchedulingMode::Collective {
        return Err(Rejection::UserNotAllowedForCollective);
    }
    user_in(config, named).ok_or(Rejection::UserMissing)?;
    if event_type.user_ids.contains(&named) { Ok(vec![named]) } else { Err(Rejection::UserNotHost) }
}

fn ask_to_move(
    item: BookingStoreItem,
    start: Timestamp,
    config: &AccountConfig,
    now: Timestamp,
) -> Result<DecideAsk, Box<CommitAnswer>> {
    match item.booking.status_at(now) {
        BookingStatus::Cancelled => return Err(rejected(Rejection::BookingCancelled)),
        _ if item.booking.range.start == start => return Err(Box::new(CommitAnswer::Committed(item.booking))),
        BookingStatus::Completed => return Err(rejected(Rejection::BookingCompleted)),
        BookingStatus::Confirmed => {}
    }
    let event_type = item.booking.event_type_id.and_then(|id| event_type_in(config, id));
    let (mut terms, on_stale) = match event_type {
        Some((event_type, rules)) => {
            (Terms::of_event_type(event_type, rules.clone().map(Arc::new)), event_type.on_stale)
        }
        None => (Terms::ad_hoc(minutes_of(item.booking.range)), OnStale::Verify),
    };
    // The hosts are settled: each of them must be free at the new time.
    let user_ids: Vec<UserId> = item.booking.hosts.iter().map(|host| host.user_id).collect();
    terms.scheduling_mode = if user_ids.len() == 1 { SchedulingMode::Individual } else { SchedulingMode::Collective };
    if user_ids.iter().any(|&id| user_in(config, id).is_none()) {
        return Err(rejected(Rejection::UserMissing));
    }
    let range = range_of(start, terms.duration_minutes).map_err(rejected)?;
    let (title, location) = (item.booking.title.clone(), item.booking.location.clone());
    Ok(DecideAsk { terms, user_ids, range, on_stale, title, location, moving: Some(item) })
}

fn ask_to_cancel(item: BookingStoreItem, now: Timestamp) -> Ask {
    match item.booking.status_at(now) {
        BookingStatus::Confirmed => Ask::Cancel(Box::new(item)),
        BookingStatus::Cancelled => Ask::Answered(Box::new(CommitAnswer::Committed(item.booking))),
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
mod tests;
