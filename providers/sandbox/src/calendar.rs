//! Which calendars a sandbox account has.

use agentcal_engine::ports::RemoteCalendar;

/// A person's working calendar: bookings can be written to it.
pub const WORK: &str = "work";
/// A working calendar whose days begin three hours later, for somebody who works with people far to the west.
pub const WORK_LATE: &str = "work-late";
/// All-day public holidays; read only.
pub const HOLIDAYS: &str = "holidays";

/// What a calendar's lifelike part is like.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Flavour {
    /// Meetings, lunches, days off; the whole day shifted by so many minutes.
    Work {
        /// Minutes later than usual.
        shift_minutes: u32,
    },
    /// All-day holidays.
    Holidays,
}

impl Flavour {
    /// The flavour a calendar's name carries; `None` for a calendar that does not exist.
    pub(crate) fn of(provider_calendar_id: &str) -> Option<Self> {
        match provider_calendar_id {
            WORK => Some(Self::Work { shift_minutes: 0 }),
            WORK_LATE => Some(Self::Work { shift_minutes: 180 }),
            HOLIDAYS => Some(Self::Holidays),
            _ => None,
        }
    }

    /// Whether events can be written to it.
    pub(crate) fn writable(self) -> bool {
        matches!(self, Self::Work { .. })
    }
}

/// The calendars that connecting a sandbox finds. They say no zone: they live wherever their account does.
pub(crate) fn listed() -> Vec<RemoteCalendar> {
    [(WORK, "Work"), (HOLIDAYS, "Holidays")]
        .into_iter()
        .map(|(provider_calendar_id, name)| RemoteCalendar {
            provider_calendar_id: provider_calendar_id.to_owned(),
            name: name.to_owned(),
            timezone: None,
            writable: provider_calendar_id != HOLIDAYS,
        })
        .collect()
}
