//! Bookings: reading them, and their rows inside a commit.

use agentcal_engine::commit::BookingChange;
use agentcal_engine::ids::{BookingId, UserId};
use agentcal_engine::model::{Booking, BookingHost, BookingStatus, Claim, ClaimKind, Writeback};
use agentcal_engine::ports::BookingFilter;
use agentcal_engine::time::Timestamp;

use super::AccountRows;

/// A booking with how it stands in its hosts' calendars.
pub(crate) fn load(rows: &AccountRows, id: BookingId) -> Option<Booking> {
    rows.bookings.get(&id).map(|booking| with_standing(rows, booking))
}

/// The same booking, its hosts' standing taken from the outbox.
pub(crate) fn with_standing(rows: &AccountRows, booking: &Booking) -> Booking {
    let hosts = booking.hosts.iter().map(|host| {
        let row = host.calendar_id.and_then(|calendar_id| rows.writebacks.get(&(booking.id, calendar_id)));
        BookingHost {
            user_id: host.user_id,
            calendar_id: host.calendar_id,
            provider_event_id: row
                .and_then(|row| row.written.as_ref())
                .map(|(event, _)| event.provider_event_id.clone()),
            writeback: row.map(|row| Writeback {
                state: row.state,
                attempts: row.attempts,
                last_error: row.last_error.clone(),
            }),
            external_state: row.map(|row| row.external_state),
        }
    });
    Booking { hosts: hosts.collect(), ..booking.clone() }
}

/// Whether a booking is one that was asked for.
pub(crate) fn is_wanted(booking: &Booking, filter: &BookingFilter, now: Timestamp) -> bool {
    let start = booking.range.start;
    let same_email = |email: &String| Some(email_key(email)) == booking.attendee.email.as_deref().map(email_key);
    let same_phone = |phone: &String| Some(phone_key(phone)) == booking.attendee.phone.as_deref().map(phone_key);
    filter.status.is_none_or(|status| booking.status_at(now) == status)
        && filter.user_id.is_none_or(|user_id| booking.hosts.iter().any(|host| host.user_id == user_id))
        && filter.starts_after.is_none_or(|after| after <= start)
        && filter.starts_before.is_none_or(|before| start < before)
        && filter.attendee_email.as_ref().is_none_or(same_email)
        && filter.attendee_phone.as_ref().is_none_or(same_phone)
}

/// An e-mail address as searches compare it.
fn email_key(email: &str) -> String {
    email.trim().to_lowercase()
}

/// A telephone number as searches compare it: its digits and a leading plus.
fn phone_key(phone: &str) -> String {
    let plus = if phone.trim_start().starts_with('+') { "+" } else { "" };
    plus.chars().chain(phone.chars().filter(char::is_ascii_digit)).collect()
}

/// For each user that has any, how many bookings start after an instant.
pub(crate) fn future_counts(rows: &AccountRows, user_ids: &[UserId], now: Timestamp) -> Vec<(UserId, u64)> {
    let count = |&user_id: &UserId| {
        let is_future =
            |claim: &&Claim| claim.user_id == user_id && claim.kind() == ClaimKind::Booking && claim.range.start > now;
        let count = rows.claims.values().filter(is_future).count();
        (count > 0).then(|| (user_id, u64::try_from(count).unwrap_or(u64::MAX)))
    };
    user_ids.iter().filter_map(count).collect()
}

/// Performs the change to a booking's own row inside a commit; false when it is not as the decision saw it.
pub(crate) fn apply(rows: &mut AccountRows, change: &BookingChange) -> bool {
    match change {
        BookingChange::Insert(booking) if booking.account_id != rows.account.id => false,
        BookingChange::Insert(booking) => !rows.bookings.insert(booking.id, Booking::clone(booking)),
        BookingChange::Reschedule { booking_id, sequence, range, attendee_reschedules } => {
            change_at(rows, *booking_id, *sequence, |booking| {
                booking.range = *range;
                booking.attendee_reschedules = *attendee_reschedules;
            })
        }
        BookingChange::Cancel { booking_id, sequence, reason } => change_at(rows, *booking_id, *sequence, |booking| {
            booking.status = BookingStatus::Cancelled;
            booking.cancel_reason.clone_from(reason);
        }),
    }
}

/// Changes a booking that still stands at this sequence, and raises it.
fn change_at(rows: &mut AccountRows, id: BookingId, sequence: u32, change: impl FnOnce(&mut Booking)) -> bool {
    let as_seen = |booking: &&mut Booking| booking.sequence == sequence && booking.status == BookingStatus::Confirmed;
    let Some(booking) = rows.bookings.get_mut(&id).filter(as_seen) else { return false };
    change(booking);
    booking.sequence += 1;
    true
}
