//! What is due at a time, as rows: what follows from bookings, and what organizations are told of their own affairs.

use serde::{Deserialize, Serialize};

use crate::ids::{AccountId, BookingId, JobId, UserId, WebhookId};
use crate::time::{TimeRange, Timestamp};

use super::{Booking, WebhookStanding};

/// What kind of thing is to be done.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum JobKind {
    /// Send a mail.
    Mail,
    /// Tell an organization of its own affairs, by mail.
    Notice,
    /// Tell that a booking begins soon.
    Reminder,
    /// Tell that a booking's time is over.
    Completed,
    /// Write a booking to a host's calendar. It is one of these jobs once it was given up.
    Writeback,
}

impl JobKind {
    /// Every kind.
    pub const ALL: [Self; 5] = [Self::Mail, Self::Notice, Self::Reminder, Self::Completed, Self::Writeback];

    /// Its name in rows, routes and metrics.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Mail => "mail",
            Self::Notice => "notice",
            Self::Reminder => "reminder",
            Self::Completed => "completed",
            Self::Writeback => "writeback",
        }
    }
}

/// Where a job stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum JobState {
    /// Will be done when it is due, or is being done.
    Pending,
    /// Was done, or came to be of no use; its last outcome says which.
    Done,
    /// Given up.
    Dead,
}

/// What is to be done.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum JobWork {
    /// Send a mail.
    Mail(Box<MailWork>),
    /// Tell an organization of its own affairs.
    Notice(NoticeWork),
    /// Tell of a booking when the time has come.
    Timer(TimerWork),
}

impl JobWork {
    /// What kind of thing it is.
    pub fn kind(&self) -> JobKind {
        match self {
            Self::Mail(_) => JobKind::Mail,
            Self::Notice(_) => JobKind::Notice,
            Self::Timer(TimerWork { minutes_before: Some(_), .. }) => JobKind::Reminder,
            Self::Timer(TimerWork { minutes_before: None, .. }) => JobKind::Completed,
        }
    }

    /// The booking it is about, if it is about one.
    pub fn booking_id(&self) -> Option<BookingId> {
        match self {
            Self::Mail(mail) => Some(mail.booking.id),
            Self::Timer(timer) => Some(timer.booking_id),
            Self::Notice(_) => None,
        }
    }
}

/// What an organization is told of its own affairs.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum NoticeWork {
    /// An endpoint is not spoken to any more.
    WebhookDisabled(WebhookDisabled),
}

/// An endpoint that is not spoken to any more, as it was when that was found.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct WebhookDisabled {
    /// The endpoint.
    pub endpoint_id: WebhookId,
    /// Where it is, without what may be a secret: no user, no query, no fragment.
    pub url: String,
    /// Why.
    pub standing: WebhookStanding,
    /// Since when it had done nothing but fail.
    pub failing_since: Timestamp,
    /// What its last answer's status was, if one came.
    pub last_status: Option<u16>,
    /// Since when it is not spoken to.
    pub at: Timestamp,
}

/// A moment of a booking that is told when it comes, if the booking is still as it was.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct TimerWork {
    /// The booking.
    pub booking_id: BookingId,
    /// How often it had changed when this was set; another change sets others.
    pub sequence: u32,
    /// Minutes before the start for which a reminder was set; `None`: the end.
    pub minutes_before: Option<u32>,
}

/// One mail about a booking, for one reader.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct MailWork {
    /// What happened.
    pub event: MailEvent,
    /// Who reads it.
    pub reader: MailReader,
    /// The booking as it was then.
    pub booking: Booking,
    /// When it happened: the mail's date, whenever it is sent.
    pub at: Timestamp,
}

/// What a mail tells.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum MailEvent {
    /// A booking was made.
    Confirmation,
    /// It was moved.
    Reschedule {
        /// When it was before.
        previous: TimeRange,
    },
    /// It was cancelled.
    Cancellation,
    /// It begins soon.
    Reminder {
        /// Minutes before the start for which the reminder was set.
        minutes_before: u32,
    },
}

/// Who reads a mail.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum MailReader {
    /// Whoever booked.
    Attendee,
    /// A host.
    Host(UserId),
}

/// A job that is to be written.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NewJob {
    /// Its name, which no other job of its account has: made twice, it is there once.
    pub name: String,
    /// When it is due.
    pub due_at: Timestamp,
    /// What is to be done.
    pub work: JobWork,
}

/// A job as operators see it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Job {
    /// Its id.
    pub id: JobId,
    /// In which account it follows from something.
    pub account_id: AccountId,
    /// What kind of thing is to be done.
    pub kind: JobKind,
    /// Its name in the account.
    pub name: String,
    /// The booking it is about, if it is about one.
    pub booking_id: Option<BookingId>,
    /// Where it stands.
    pub state: JobState,
    /// When it is due; while it is in hand, when it counts as lost.
    pub due_at: Timestamp,
    /// Tries so far.
    pub attempts: u32,
    /// What the last try came to, in words that name nobody.
    pub last_outcome: Option<String>,
    /// When it was made.
    pub created_at: Timestamp,
}
