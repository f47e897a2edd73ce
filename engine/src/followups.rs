//! What follows from a booking: which mails are sent, which moments ahead are told of, and what is still of use when its
//! time has come.

use std::time::Duration;

use crate::model::{
    Booking, BookingStatus, ConferenceState, Event, EventKind, EventSubject, FollowUp, JobWork, MailEvent, MailPolicy,
    MailReader, MailWork, Mode, NewJob, TimerWork,
};
use crate::time::{MINUTE_US, TimeRange, Timestamp};

/// Longest time a mail waits for the link of its booking's conference. Most are made with the event, within a second or two.
pub const LINK_PATIENCE: Duration = Duration::from_secs(60);
/// Shortest wait between two looks whether it is there; each is as long as all before it.
const LINK_LOOK_MIN: Duration = Duration::from_secs(1);

/// For accounts of which modes mails are made.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub struct MailFor {
    /// Of live ones.
    pub live: bool,
    /// Of test ones.
    pub test: bool,
}

impl MailFor {
    /// For none: there is no way for mails to leave.
    pub const NOBODY: Self = Self { live: false, test: false };

    /// Whether mails are made for accounts of a mode.
    pub fn includes(self, mode: Mode) -> bool {
        match mode {
            Mode::Live => self.live,
            Mode::Test => self.test,
        }
    }
}

/// Something that happened, and on what terms.
#[derive(Clone, Copy, Debug)]
pub struct Happened<'a> {
    /// What.
    pub event: &'a Event,
    /// When.
    pub at: Timestamp,
    /// What the event type says follows.
    pub terms: &'a FollowUp,
    /// Whether mails are made.
    pub mails: bool,
}

/// Whether anything ever follows from events of a kind.
pub fn has_followers(kind: EventKind) -> bool {
    match kind {
        EventKind::BookingCreated
        | EventKind::BookingRescheduled
        | EventKind::BookingCancelled
        | EventKind::BookingReminder => true,
        EventKind::BookingCompleted
        | EventKind::BookingWritebackFailed
        | EventKind::BookingConflict
        | EventKind::ConnectionReauthorizationRequired => false,
    }
}

/// The jobs that follow from what happened. The same values give the same jobs, by the same names.
pub fn followers(happened: Happened<'_>) -> Vec<NewJob> {
    let EventSubject::Booking { booking, previous_range, minutes_before } = &happened.event.subject else {
        return Vec::new();
    };
    let told = match happened.event.kind {
        EventKind::BookingCreated => Some(MailEvent::Confirmation),
        EventKind::BookingRescheduled => previous_range.map(|previous| MailEvent::Reschedule { previous }),
        EventKind::BookingCancelled => Some(MailEvent::Cancellation),
        EventKind::BookingReminder => minutes_before.map(|minutes_before| MailEvent::Reminder { minutes_before }),
        _ => None,
    };
    let mut jobs = Vec::new();
    if let Some(event) = told.filter(|_| happened.mails) {
        let readers = readers(booking, happened.terms.mail);
        jobs.extend(readers.map(|reader| mail(event, reader, booking, happened.at)));
    }
    if matches!(happened.event.kind, EventKind::BookingCreated | EventKind::BookingRescheduled) {
        jobs.extend(reminders(booking, &happened.terms.reminders, happened.at));
        jobs.push(timer(booking, None, booking.range.end));
    }
    jobs
}

/// Who gets mail about a booking. A host's address is the one it has when the mail is sent.
fn readers(booking: &Booking, policy: MailPolicy) -> impl Iterator<Item = MailReader> {
    let has_address = booking.attendee.email.as_ref().is_some_and(|address| !address.is_empty());
    let attendee = (policy.attendee && has_address).then_some(MailReader::Attendee);
    let hosts = booking.hosts.iter().filter(move |_| policy.hosts).map(|host| MailReader::Host(host.user_id));
    attendee.into_iter().chain(hosts)
}

fn mail(event: MailEvent, reader: MailReader, booking: &Booking, at: Timestamp) -> NewJob {
    let told = match event {
        MailEvent::Confirmation => "confirmation".to_owned(),
        MailEvent::Reschedule { .. } => "reschedule".to_owned(),
        MailEvent::Cancellation => "cancellation".to_owned(),
        MailEvent::Reminder { minutes_before } => format!("reminder-{minutes_before}"),
    };
    let to = match reader {
        MailReader::Attendee => "attendee".to_owned(),
        MailReader::Host(user_id) => user_id.to_string(),
    };
    let name = format!("mail/{told}/{}/{}/{to}", booking.id, booking.sequence);
    let work = MailWork { event, reader, booking: booking.clone(), at };
    let wait = if awaits_link(&work) { wait_for_link(&work, booking, at) } else { None };
    NewJob { name, due_at: at + wait.unwrap_or_default(), work: JobWork::Mail(Box::new(work)) }
}

/// One for each setting whose moment lies ahead.
fn reminders(booking: &Booking, minutes: &[u32], now: Timestamp) -> impl Iterator<Item = NewJob> {
    let moments = minutes.iter().map(|&minutes| (minutes, reminder_at(booking.range, minutes)));
    moments.filter(move |&(_, at)| at > now).map(|(minutes, at)| timer(booking, Some(minutes), at))
}

/// When a reminder is due. Minutes are told on the clock that does not jump: an hour before is sixty minutes before, also
/// in a night when the wall clock changes.
pub fn reminder_at(range: TimeRange, minutes_before: u32) -> Timestamp {
    range.start.plus_micros(-i64::from(minutes_before) * MINUTE_US)
}

fn timer(booking: &Booking, minutes_before: Option<u32>, due_at: Timestamp) -> NewJob {
    let name = match minutes_before {
        Some(minutes) => format!("reminder-{minutes}/{}/{}", booking.id, booking.sequence),
        None => format!("completed/{}/{}", booking.id, booking.sequence),
    };
    let work = TimerWork { booking_id: booking.id, sequence: booking.sequence, minutes_before };
    NewJob { name, due_at, work: JobWork::Timer(work) }
}

/// What a timer that is due says, of the booking as it is now; or why it says nothing.
pub fn ring(
    timer: &TimerWork,
    booking: Option<Booking>,
    now: Timestamp,
) -> Result<(EventKind, EventSubject), &'static str> {
    let mut booking = still(booking, timer.sequence)?;
    if timer.minutes_before.is_none() {
        booking.status = BookingStatus::Completed;
        return Ok((EventKind::BookingCompleted, EventSubject::booking(booking)));
    }
    if booking.range.start <= now {
        return Err(BEGUN);
    }
    let minutes_before = timer.minutes_before;
    let subject = EventSubject::Booking { booking: Box::new(booking), previous_range: None, minutes_before };
    Ok((EventKind::BookingReminder, subject))
}

/// What to do with a mail whose time has come.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum MailTurn {
    /// It goes, and tells of this booking: as it was, with its conference as that is now.
    Goes(Box<Booking>),
    /// The link of the booking's conference belongs into it and is being made: look again after this time.
    Waits(Duration),
    /// Nobody has a use for it any more, and why.
    Ends(&'static str),
}

/// What to do with a mail, with the booking as it is now. A reminder is of use while nothing has changed and nothing has begun,
/// and a mail that waited for a link while nothing has changed, for what came after was told meanwhile. Everything else tells
/// what happened, and stays true.
pub fn mail_turn(mail: &MailWork, booking: Option<Booking>, now: Timestamp) -> MailTurn {
    let is_reminder = matches!(mail.event, MailEvent::Reminder { .. });
    if !is_reminder && !awaits_link(mail) {
        return MailTurn::Goes(Box::new(mail.booking.clone()));
    }
    let booking = match still(booking, mail.booking.sequence) {
        Ok(booking) if is_reminder && booking.range.start <= now => return MailTurn::Ends(BEGUN),
        Ok(booking) => booking,
        Err(reason) => return MailTurn::Ends(reason),
    };
    match wait_for_link(mail, &booking, now).filter(|_| !is_reminder) {
        Some(wait) => MailTurn::Waits(wait),
        None => MailTurn::Goes(Box::new(Booking { conference: booking.conference, ..mail.booking.clone() })),
    }
}

/// Whether a mail was made before the link that belongs into it.
fn awaits_link(mail: &MailWork) -> bool {
    let asks_to_come = matches!(mail.event, MailEvent::Confirmation | MailEvent::Reschedule { .. });
    asks_to_come && is_link_in_the_making(&mail.booking)
}

fn is_link_in_the_making(booking: &Booking) -> bool {
    booking.conference.as_ref().is_some_and(|conference| conference.state == ConferenceState::Pending)
}

/// How long until the next look; `None`: there is nothing to wait for any more.
fn wait_for_link(mail: &MailWork, booking: &Booking, now: Timestamp) -> Option<Duration> {
    let waited = now.saturating_since(mail.at);
    let left = LINK_PATIENCE.checked_sub(waited).filter(|left| !left.is_zero())?;
    is_link_in_the_making(booking).then(|| waited.max(LINK_LOOK_MIN).min(left))
}

const BEGUN: &str = "of no use: the booking has begun";

/// The booking, if it is confirmed and has not changed since.
fn still(booking: Option<Booking>, sequence: u32) -> Result<Booking, &'static str> {
    let booking = booking.ok_or("of no use: the booking is gone")?;
    if booking.status == BookingStatus::Cancelled {
        return Err("of no use: the booking was cancelled");
    }
    if booking.sequence != sequence {
        return Err("of no use: the booking was moved");
    }
    Ok(booking)
}

#[cfg(test)]
mod tests;
