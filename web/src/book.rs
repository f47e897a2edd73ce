//! The booking's own page.

use agentcal_engine::calendar::request::Rejection;
use agentcal_engine::model::{BookingStatus, ExternalState};
use agentcal_engine::time::{HOUR_US, Timestamp};
use axum::extract::Query;
use axum::extract::rejection::QueryRejection;
use axum::response::Response;
use http::StatusCode;
use serde::{Deserialize, Serialize};
use url::Url;

use crate::page;
use crate::visit::Visit;
use crate::words;

/// What was just done, as the redirect after it says. Anything else is passed over: links may be decorated by others.
#[derive(Debug, Deserialize)]
pub(crate) struct Arrival {
    #[serde(default)]
    done: String,
}

/// Shows the booking, and what its attendee may still do.
pub(crate) async fn show(visit: Visit, arrival: Result<Query<Arrival>, QueryRejection>) -> Response {
    let done = arrival.map_or_else(|_| String::new(), |Query(arrival)| arrival.done);
    render(&visit, StatusCode::OK, Said { notice: notice(&visit, &done), alert: None })
}

/// What is told beside the booking.
#[derive(Default)]
pub(crate) struct Said {
    /// Good news.
    pub(crate) notice: Option<&'static str>,
    /// Why something was not done.
    pub(crate) alert: Option<&'static str>,
}

/// The page, about a booking as it now is.
pub(crate) fn render(visit: &Visit, status: StatusCode, said: Said) -> Response {
    let context = BookingPage {
        card: Card::of(visit),
        notice: said.notice,
        alert: said.alert,
        reschedule: Offer::of_move(visit),
        cancel: Offer::of_cancellation(visit),
    };
    page::html(status, "booking.html", &context)
}

/// Says only what is so: the address of a page can be kept and opened again much later.
fn notice(visit: &Visit, done: &str) -> Option<&'static str> {
    match (done, visit.booking().status_at(visit.now)) {
        ("moved", BookingStatus::Confirmed) => Some("Your booking was moved. This is its new time."),
        ("cancelled", BookingStatus::Cancelled) => Some("Your booking was cancelled."),
        _ => None,
    }
}

#[derive(Serialize)]
struct BookingPage {
    card: Card,
    notice: Option<&'static str>,
    alert: Option<&'static str>,
    reschedule: Option<Offer>,
    cancel: Option<Offer>,
}

/// A booking in words.
#[derive(Serialize)]
pub(crate) struct Card {
    path: String,
    title: String,
    when: String,
    machine_start: String,
    zone: String,
    /// Without its distance from UTC, which may be another on other days.
    zone_name: String,
    hosts: Vec<String>,
    attendee: String,
    location: Option<Location>,
    status: &'static str,
    is_confirmed: bool,
    reason: Option<String>,
    warning: Option<&'static str>,
}

#[derive(Serialize)]
struct Location {
    text: String,
    /// Where the text is the address of a web page.
    address: Option<String>,
}

impl Card {
    /// The booking of a visit.
    pub(crate) fn of(visit: &Visit) -> Self {
        let booking = visit.booking();
        let name = |id| visit.config.users.iter().find(|(user, _)| user.id == id).map(|(user, _)| user.name.clone());
        let status = booking.status_at(visit.now);
        Self {
            path: visit.path.clone(),
            title: booking.title.clone(),
            when: words::range(booking.range, booking.timezone),
            machine_start: words::machine(booking.range.start),
            zone: words::zone(booking.timezone, booking.range.start),
            zone_name: words::zone_name(booking.timezone),
            hosts: booking.hosts.iter().filter_map(|host| name(host.user_id)).collect(),
            attendee: booking.attendee.name.clone(),
            location: booking.place().map(str::to_owned).map(Location::of),
            status: match status {
                BookingStatus::Confirmed => "Confirmed",
                BookingStatus::Cancelled => "Cancelled",
                BookingStatus::Completed => "Over",
            },
            is_confirmed: status == BookingStatus::Confirmed,
            reason: booking.cancel_reason.clone(),
            warning: warning(visit, status),
        }
    }
}

impl Location {
    fn of(text: String) -> Self {
        let is_page = Url::parse(&text).is_ok_and(|url| matches!(url.scheme(), "http" | "https") && url.has_host());
        Self { address: is_page.then(|| text.clone()), text }
    }
}

/// Somebody changed the event in the host's own calendar; the attendee had better ask.
fn warning(visit: &Visit, status: BookingStatus) -> Option<&'static str> {
    let differs = |state| matches!(state, Some(ExternalState::Moved | ExternalState::Deleted));
    let is_changed = visit.booking().hosts.iter().any(|host| differs(host.external_state));
    (status == BookingStatus::Confirmed && is_changed)
        .then_some("The host has changed this in their own calendar. Please ask them whether the time still stands.")
}

/// One thing an attendee may do, or may not.
#[derive(Serialize)]
struct Offer {
    is_open: bool,
    text: String,
}

impl Offer {
    /// `None` where the booking is over or cancelled: then there is nothing to say.
    fn of_move(visit: &Visit) -> Option<Self> {
        let (booking, policy) = (visit.booking(), visit.policy());
        let open = || {
            let until = until(visit, policy.reschedule_notice_hours);
            let left = policy.reschedules_max.map(|max| max.saturating_sub(booking.attendee_reschedules));
            format!("You can change the time {until}{}.", times_left(left))
        };
        let closed = |rejection| match (rejection, policy.reschedule_notice_hours) {
            (Rejection::TooManyReschedules, _) => {
                "The time has been changed as often as is possible online.".to_owned()
            }
            (Rejection::TooLateForAttendee, Some(hours)) => {
                format!("The time could be changed {}.", until(visit, Some(hours)))
            }
            _ => "The time of this booking cannot be changed online.".to_owned(),
        };
        Self::of(visit, visit.may_move().map(drop), open, closed)
    }

    fn of_cancellation(visit: &Visit) -> Option<Self> {
        let notice_hours = visit.policy().cancel_notice_hours;
        let open = || format!("You can cancel {}.", until(visit, notice_hours));
        let closed = |_| match notice_hours {
            Some(hours) => format!("It could be cancelled {}.", until(visit, Some(hours))),
            None => "This booking cannot be cancelled online.".to_owned(),
        };
        Self::of(visit, visit.may_cancel(), open, closed)
    }

    fn of(
        visit: &Visit,
        may: Result<(), Rejection>,
        open: impl FnOnce() -> String,
        closed: impl FnOnce(Rejection) -> String,
    ) -> Option<Self> {
        if visit.booking().status_at(visit.now) != BookingStatus::Confirmed {
            return None;
        }
        Some(match may {
            Ok(()) => Self { is_open: true, text: open() },
            Err(rejection) => Self { is_open: false, text: closed(rejection) },
        })
    }
}

/// `until Monday, 23 November 2026, 09:00`.
fn until(visit: &Visit, notice_hours: Option<u32>) -> String {
    let booking = visit.booking();
    match notice_hours {
        None | Some(0) => "until it begins".to_owned(),
        Some(hours) => {
            let last: Timestamp = booking.range.start.plus_micros(-i64::from(hours) * HOUR_US);
            format!("until {}", words::instant(last, booking.timezone))
        }
    }
}

fn times_left(left: Option<u32>) -> String {
    match left {
        None => String::new(),
        Some(1) => ", once more".to_owned(),
        Some(count) => format!(", {count} more times"),
    }
}
