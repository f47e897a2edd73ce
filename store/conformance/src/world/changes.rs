//! Plans that move and cancel bookings, and what is told of them.

use agentcal_engine::commit::{BookingChange, ClaimChange, CommitPlan, Effect};
use agentcal_engine::ids::EventId;
use agentcal_engine::model::{Booking, BookingStatus, ClaimOwner, Event, EventKind, EventSubject, User};
use agentcal_engine::time::TimeRange;

use super::World;

impl World {
    /// A plan that moves a booking.
    pub fn reschedule_plan(&self, booking: &Booking, users: &[&User], range: TimeRange) -> CommitPlan {
        let claim_count = u32::try_from(users.len()).expect("few users");
        let owner = ClaimOwner::Booking(booking.id);
        let plan = self.empty_plan(&self.tenant, users);
        let moved = Booking { range, sequence: booking.sequence + 1, ..booking.clone() };
        CommitPlan {
            event: Some(told(&plan, EventKind::BookingRescheduled, moved, Some(booking.range))),
            claims: vec![ClaimChange::Move { owner, range, claim_count }],
            booking: Some(BookingChange::Reschedule {
                booking_id: booking.id,
                sequence: booking.sequence,
                range,
                attendee_reschedules: booking.attendee_reschedules,
            }),
            effects: writebacks_of(booking),
            ..plan
        }
    }

    /// A plan that cancels a booking.
    pub fn cancel_plan(&self, booking: &Booking, users: &[&User]) -> CommitPlan {
        let claim_count = u32::try_from(users.len()).expect("few users");
        let owner = ClaimOwner::Booking(booking.id);
        let reason = Some("caller changed her mind".to_owned());
        let plan = self.empty_plan(&self.tenant, users);
        let (status, sequence) = (BookingStatus::Cancelled, booking.sequence + 1);
        let cancelled = Booking { status, sequence, cancel_reason: reason.clone(), ..booking.clone() };
        CommitPlan {
            event: Some(told(&plan, EventKind::BookingCancelled, cancelled, None)),
            claims: vec![ClaimChange::Delete { owner, claim_count }],
            booking: Some(BookingChange::Cancel { booking_id: booking.id, sequence: booking.sequence, reason }),
            effects: writebacks_of(booking),
            ..plan
        }
    }
}

/// What a plan tells of a booking, as it then is.
pub(crate) fn told(
    plan: &CommitPlan,
    kind: EventKind,
    booking: Booking,
    previous_range: Option<TimeRange>,
) -> Box<Event> {
    let subject = EventSubject::Booking { booking: Box::new(booking), previous_range, minutes_before: None };
    Box::new(Event { id: EventId::from_uuid(plan.commit_id), kind, subject })
}

fn writebacks_of(booking: &Booking) -> Vec<Effect> {
    let calendars = booking.hosts.iter().filter_map(|host| host.calendar_id);
    calendars.map(|calendar_id| Effect::Writeback { booking_id: booking.id, calendar_id }).collect()
}
