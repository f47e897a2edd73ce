//! The terms of a meeting, in the form the examiner works with.

use std::sync::Arc;

use crate::ids::EventTypeId;
use crate::model::{BufferMode, EventType, SchedulingMode};
use crate::schedule::Schedule;
use crate::time::{DAY_US, HOUR_US, MINUTE_US};

/// The booking window of a meeting that says nothing about it.
pub const WINDOW_DAYS: u32 = 60;

/// Terms of a meeting, from an event type or ad hoc.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Terms {
    /// The event type, where there is one; its claims count towards `max_bookings_per_day`.
    pub event_type_id: Option<EventTypeId>,
    /// Length of the meeting.
    pub duration_minutes: u32,
    /// Distance of two slots' starts.
    pub slot_interval_minutes: u32,
    /// Minutes kept free before the meeting.
    pub buffer_before_minutes: u32,
    /// Minutes kept free after the meeting.
    pub buffer_after_minutes: u32,
    /// How buffers of neighbours combine.
    pub buffer_mode: BufferMode,
    /// Hours between now and the earliest start.
    pub min_notice_hours: u32,
    /// Days of 24 hours between now and the latest start.
    pub booking_window_days: u32,
    /// Most bookings of the event type a host takes on one day of its zone.
    pub max_bookings_per_day: Option<u32>,
    /// Who of the hosts takes the meeting.
    pub scheduling_mode: SchedulingMode,
    /// The event type's own rules; they intersect with each host's.
    pub rules: Option<Arc<Schedule>>,
}

impl Terms {
    /// The terms of an event type with its own rules, if it has any.
    pub fn of_event_type(event_type: &EventType, rules: Option<Arc<Schedule>>) -> Self {
        Self {
            event_type_id: Some(event_type.id),
            duration_minutes: event_type.duration_minutes,
            slot_interval_minutes: event_type.slot_interval_minutes,
            buffer_before_minutes: event_type.buffer_before_minutes,
            buffer_after_minutes: event_type.buffer_after_minutes,
            buffer_mode: event_type.buffer_mode,
            min_notice_hours: event_type.min_notice_hours,
            booking_window_days: event_type.booking_window_days,
            max_bookings_per_day: event_type.max_bookings_per_day,
            scheduling_mode: event_type.scheduling_mode,
            rules,
        }
    }

    /// A meeting with one user for a number of minutes, every other term at its default.
    pub fn ad_hoc(duration_minutes: u32) -> Self {
        Self {
            event_type_id: None,
            duration_minutes,
            slot_interval_minutes: duration_minutes,
            buffer_before_minutes: 0,
            buffer_after_minutes: 0,
            buffer_mode: BufferMode::Larger,
            min_notice_hours: 0,
            booking_window_days: WINDOW_DAYS,
            max_bookings_per_day: None,
            scheduling_mode: SchedulingMode::Individual,
            rules: None,
        }
    }

    /// Length in microseconds, never zero, so that no range is ever empty.
    pub(super) fn duration_us(&self) -> i64 {
        minutes_us(self.duration_minutes.max(1))
    }

    /// Distance of two starts in microseconds, never zero.
    pub(super) fn interval_us(&self) -> i64 {
        minutes_us(self.slot_interval_minutes.max(1))
    }

    pub(crate) fn buffer_before_us(&self) -> i64 {
        minutes_us(self.buffer_before_minutes)
    }

    pub(crate) fn buffer_after_us(&self) -> i64 {
        minutes_us(self.buffer_after_minutes)
    }

    pub(super) fn notice_us(&self) -> i64 {
        i64::from(self.min_notice_hours).saturating_mul(HOUR_US)
    }

    pub(super) fn window_us(&self) -> i64 {
        i64::from(self.booking_window_days).saturating_mul(DAY_US)
    }

    /// The gap two neighbours want whose facing buffers are these.
    pub(super) fn gap_us(&self, ours_us: i64, theirs_us: i64) -> i64 {
        match self.buffer_mode {
            BufferMode::Larger => ours_us.max(theirs_us),
            BufferMode::Sum => ours_us + theirs_us,
        }
    }
}

pub(super) fn minutes_us(minutes: u32) -> i64 {
    i64::from(minutes) * MINUTE_US
}
