//! What is to be told, to whom.

use agentcal_engine::time::{TimeRange, Timestamp};
use chrono_tz::Tz;
use url::Url;

use crate::address::Address;
use crate::color::Color;
use crate::words::Language;

/// Most hosts one mail names.
pub const HOSTS_MAX: usize = 50;

/// Something that happened to a booking, for one reader. Nothing in it needs to be clean: texts are cut and straightened
/// where they are used.
#[derive(Clone, Debug)]
pub struct Notice {
    /// What happened.
    pub event: NoticeEvent,
    /// The booking's UID: the same in every mail about it, and in the hosts' calendars.
    pub uid: String,
    /// The booking's SEQUENCE after the change.
    pub sequence: u32,
    /// When it takes place; for a cancellation, when it would have.
    pub range: TimeRange,
    /// What was booked.
    pub title: String,
    /// Where.
    pub location: Option<String>,
    /// In whose name the invitation is, and to whom answers go: usually the first host.
    pub organizer: Contact,
    /// Who hosts, the organizer included where it does; the first [`HOSTS_MAX`] count.
    pub hosts: Vec<Participant>,
    /// Who booked.
    pub attendee: Participant,
    /// Who reads this.
    pub reader: Reader,
    /// The reader's own links; nobody else's.
    pub links: Links,
    /// How it looks.
    pub branding: Branding,
    /// When what it tells happened, or for a reminder when it became due: the mail's date. It does not change with
    /// another attempt.
    pub at: Timestamp,
}

/// What happened to a booking.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum NoticeEvent {
    /// It was made.
    Confirmation,
    /// It was moved.
    Reschedule {
        /// When it was before.
        previous: TimeRange,
    },
    /// It was cancelled.
    Cancellation {
        /// Why, if somebody said so.
        reason: Option<String>,
    },
    /// It takes place soon.
    Reminder {
        /// Minutes before its start for which this reminder was set; tells a booking's reminders apart.
        minutes_before: u32,
    },
}

/// Events without what belongs to them: what a template is chosen by.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum NoticeKind {
    /// [`NoticeEvent::Confirmation`].
    Confirmation,
    /// [`NoticeEvent::Reschedule`].
    Reschedule,
    /// [`NoticeEvent::Cancellation`].
    Cancellation,
    /// [`NoticeEvent::Reminder`].
    Reminder,
}

impl NoticeKind {
    /// All of them.
    pub const ALL: [Self; 4] = [Self::Confirmation, Self::Reschedule, Self::Cancellation, Self::Reminder];

    /// Its name in templates, routes and rows.
    pub fn name(self) -> &'static str {
        match self {
            Self::Confirmation => "confirmation",
            Self::Reschedule => "reschedule",
            Self::Cancellation => "cancellation",
            Self::Reminder => "reminder",
        }
    }

    /// The kind of a name.
    pub fn named(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|kind| kind.name() == name)
    }
}

impl NoticeEvent {
    /// Which kind it is.
    pub fn kind(&self) -> NoticeKind {
        match self {
            Self::Confirmation => NoticeKind::Confirmation,
            Self::Reschedule { .. } => NoticeKind::Reschedule,
            Self::Cancellation { .. } => NoticeKind::Cancellation,
            Self::Reminder { .. } => NoticeKind::Reminder,
        }
    }
}

/// Somebody with a name and an address.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Contact {
    /// Name, for people.
    pub name: String,
    /// Where mail reaches them.
    pub address: Address,
}

/// Somebody who takes part, perhaps without an address: who books by telephone leaves none.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Participant {
    /// Name, for people.
    pub name: String,
    /// Where mail reaches them.
    pub address: Option<Address>,
}

/// On which side of the booking a reader is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum ReaderRole {
    /// Booked it.
    Attendee,
    /// Hosts it.
    Host,
}

/// Who reads a mail, and how they read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Reader {
    /// Attendee or host.
    pub role: ReaderRole,
    /// Name and address.
    pub contact: Contact,
    /// The zone times are told in.
    pub timezone: Tz,
    /// The language of everything that is not somebody's own words.
    pub language: Language,
}

/// Where the reader can do something about the booking. Whoever has such a link has its permission.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Links {
    /// See it.
    pub manage: Option<Url>,
    /// Move it.
    pub reschedule: Option<Url>,
    /// Cancel it.
    pub cancel: Option<Url>,
}

/// How an organization, or one of its accounts, presents itself.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Branding {
    /// Who sends: the name beside the address, and in the foot.
    pub organization: String,
    /// A picture at an `https` address; others are left out.
    pub logo_url: Option<Url>,
    /// The colour of buttons and links. What cannot be read in it is darkened or lightened.
    pub accent: Option<Color>,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn kinds_have_names() {
        for kind in NoticeKind::ALL {
            assert_eq!(NoticeKind::named(kind.name()), Some(kind));
        }
        assert_eq!(NoticeKind::named("invitation"), None);
    }
}
