//! The names of our events. Google lets whoever inserts an event name it, in base32hex (RFC 4648, section 7) in lower case:
//! the name derives from the booking, so that inserting twice makes one event, and an event tells whose it is.

use agentcal_engine::ids::BookingId;
use uuid::Uuid;

const ALPHABET: &[u8; 32] = b"0123456789abcdefghijklmnopqrstuv";
/// What our events' names begin with.
const PREFIX: &str = "agentcal";
/// Digits of 128 bits.
const DIGITS: usize = 26;

/// The name of a booking's event.
pub(crate) fn of_booking(booking_id: BookingId) -> String {
    let value = booking_id.as_uuid().as_u128();
    let digit = |place: usize| char::from(ALPHABET[(value >> ((DIGITS - 1 - place) * 5) & 31) as usize]);
    PREFIX.chars().chain((0..DIGITS).map(digit)).collect()
}

/// The booking an event was written for, told by its name. A copy that somebody made has a name of its own.
pub(crate) fn booking_of(event_id: &str) -> Option<BookingId> {
    let digits = event_id.strip_prefix(PREFIX)?;
    if digits.len() != DIGITS || digits.as_bytes()[0] > b'7' {
        return None;
    }
    let value = digits.bytes().try_fold(0u128, |value, byte| {
        let digit = ALPHABET.iter().position(|&known| known == byte)?;
        Some(value << 5 | digit as u128)
    })?;
    Some(BookingId::from_uuid(Uuid::from_u128(value)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_booking_and_its_event_name_each_other() {
        for value in [0, 1, 0x0190_f2c8_8a5e_7c31_9d4b_5e6f_7081_92a3, u128::MAX] {
            let booking_id = BookingId::from_uuid(Uuid::from_u128(value));
            let name = of_booking(booking_id);
            assert_eq!(name.len(), 34);
            assert!(name.bytes().all(|byte| byte.is_ascii_digit() || (b'a'..=b'v').contains(&byte)), "{name}");
            assert_eq!(booking_of(&name), Some(booking_id), "{name}");
        }
    }

    #[test]
    fn other_names_are_nobodys_bookings() {
        let ours = of_booking(BookingId::from_uuid(Uuid::from_u128(7)));
        let others =
            ["", "agentcal", "agentcal8", "g0000000001", &ours[1..], &ours.replace('0', "w"), &format!("{ours}0")];
        for name in others {
            assert_eq!(booking_of(name), None, "{name}");
        }
        assert_eq!(booking_of(&format!("agentcal8{}", "0".repeat(25))), None, "more than 128 bits");
    }
}
