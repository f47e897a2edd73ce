//! What follows from a booking: which mails are sent, which moments ahead are told of, and what is still of use when its
//! time has come.

use crate::model::{
    Booking, BookingStatus, Event, EventKind, EventSubject, FollowUp, JobWork, MailEvent, MailPolicy, MailReader,
    MailWork, Mode, NewJob, TimerWork,
};
use crate::time::{MINUTE_US, TimeRange, Timestamp};

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
    NewJob { name, due_at: at, work: JobWork::Mail(Box::new(work)) }
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

/// Whether a mail is still of use, with the booking as it is now. A reminder is while nothing has changed and nothing has
/// begun; everything else tells what happened, and stays true.
pub fn is_of_use(mail: &MailWork, booking: Option<Booking>, now: Timestamp) -> Result<(), &'static str> {
    let MailEvent::Reminder { .. } = mail.event else { return Ok(()) };
    let booking = still(booking, mail.booking.sequence)?;
    if booking.range.start <= now { Err(BEGUN) } else { Ok(()) }
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
