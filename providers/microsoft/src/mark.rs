//! What says that an event was written for a booking.
//!
//! `transactionId` can be set once, when an event is made, and comes with every event of a round. It also keeps a repeated
//! request from making a second event. An extended property beside it can be searched for, which `transactionId` cannot.

use agentcal_engine::ids::BookingId;

/// The extended property that carries a booking's id.
pub(crate) const PROPERTY: &str = "String {5d1f3c57-0c4e-4bd1-9f57-3a5be1f0a6d2} Name AgentCalBooking";
const SUFFIX: &str = "@agentcal";

/// The transaction in which a booking's event is made.
pub(crate) fn transaction(booking_id: BookingId) -> String {
    format!("{booking_id}{SUFFIX}")
}

/// The transaction in which it is made again, after somebody deleted it and the booking changed.
pub(crate) fn transaction_again(booking_id: BookingId, sequence: u32) -> String {
    format!("{booking_id}.{sequence}{SUFFIX}")
}

/// The booking an event was made for.
pub(crate) fn booking_of(transaction: &str) -> Option<BookingId> {
    let name = transaction.strip_suffix(SUFFIX)?;
    let (booking, sequence) = name.split_once('.').unwrap_or((name, "0"));
    sequence.parse::<u32>().ok()?;
    booking.parse().ok()
}

#[cfg(test)]
mod tests {
    use uuid::Uuid;

    use super::*;

    #[test]
    fn a_mark_names_its_booking() {
        let booking_id = BookingId::from_uuid(Uuid::from_u128(7));
        let check = |text: &str, expected| assert_eq!(booking_of(text), expected, "{text}");
        check(&transaction(booking_id), Some(booking_id));
        check(&transaction_again(booking_id, 12), Some(booking_id));
        check(&format!("{booking_id}.x@agentcal"), None);
        check(&booking_id.to_string(), None);
        check("@agentcal", None);
        check("", None);
    }
}
