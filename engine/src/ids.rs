//! One id type per thing. Each is a `UUIDv7`, written outside as a TypeID: a prefix, an underscore and 26 characters of
//! Crockford base 32 in lower case (<https://github.com/jetify-com/typeid/blob/main/spec/README.md>).

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};
use uuid::Uuid;

use crate::ports::Entropy;
use crate::time::Timestamp;

const ALPHABET: &[u8; 32] = b"0123456789abcdefghjkmnpqrstvwxyz";
const SUFFIX_LEN: usize = 26;

/// Why a text is not an id of the wanted kind.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ParseIdError {
    /// The text does not begin with the prefix of this kind of id.
    #[error("the id must begin with `{expected}_`")]
    Prefix {
        /// The prefix without its underscore.
        expected: &'static str,
    },
    /// What follows the prefix is not 26 characters of base 32 that fit 128 bits.
    #[error("the id must be `{expected}_` and 26 characters of lower-case base 32")]
    Suffix {
        /// The prefix without its underscore.
        expected: &'static str,
    },
}

/// A `UUIDv7` of the given instant (RFC 9562, section 5.7), its random part drawn from `entropy`.
pub fn mint_uuid(now: Timestamp, entropy: &dyn Entropy) -> Uuid {
    let mut random = [0u8; 10];
    entropy.fill(&mut random);
    let millis = u64::try_from(now.as_micros() / 1_000).unwrap_or(0);
    uuid::Builder::from_unix_timestamp_millis(millis, &random).into_uuid()
}

/// Digits by the byte that stands for them; [`NO_DIGIT`] for all other bytes.
const DIGITS: [u8; 256] = {
    let mut digits = [NO_DIGIT; 256];
    let mut value = 0;
    while value < ALPHABET.len() {
        digits[ALPHABET[value] as usize] = value as u8;
        value += 1;
    }
    digits
};
const NO_DIGIT: u8 = u8::MAX;

/// Writes `prefix_suffix`. Ids are written and read with every answer, hence without formatting and without searching.
fn write_id(f: &mut fmt::Formatter<'_>, prefix: &str, value: u128) -> fmt::Result {
    let suffix: [u8; SUFFIX_LEN] =
        std::array::from_fn(|place| ALPHABET[(value >> ((SUFFIX_LEN - 1 - place) * 5) & 31) as usize]);
    f.write_str(prefix)?;
    f.write_str(str::from_utf8(&suffix).expect("the alphabet is ASCII"))
}

fn decode_suffix(text: &str) -> Option<u128> {
    if text.len() != SUFFIX_LEN || text.as_bytes()[0] > b'7' {
        return None;
    }
    text.bytes().try_fold(0u128, |value, byte| {
        let digit = DIGITS[usize::from(byte)];
        (digit != NO_DIGIT).then_some(value << 5 | u128::from(digit))
    })
}

macro_rules! id_types {
    ($($(#[$doc:meta])* $name:ident = $prefix:literal;)*) => {$(
        $(#[$doc])*
        #[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
        #[serde(try_from = "String", into = "String")]
        pub struct $name(Uuid);

        impl $name {
            /// The prefix of this kind of id, without the underscore.
            pub const PREFIX: &'static str = $prefix;

            /// A new id of the given instant.
            pub fn mint(now: Timestamp, entropy: &dyn Entropy) -> Self {
                Self(mint_uuid(now, entropy))
            }

            /// The id a store keeps as this UUID.
            pub const fn from_uuid(uuid: Uuid) -> Self {
                Self(uuid)
            }

            /// The UUID a store keeps.
            pub const fn as_uuid(&self) -> Uuid {
                self.0
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                write_id(f, concat!($prefix, "_"), self.0.as_u128())
            }
        }

        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                fmt::Display::fmt(self, f)
            }
        }

        impl FromStr for $name {
            type Err = ParseIdError;
            fn from_str(text: &str) -> Result<Self, ParseIdError> {
                let suffix = text
                    .strip_prefix(concat!($prefix, "_"))
                    .ok_or(ParseIdError::Prefix { expected: $prefix })?;
                let value = decode_suffix(suffix).ok_or(ParseIdError::Suffix { expected: $prefix })?;
                Ok(Self(Uuid::from_u128(value)))
            }
        }

        impl TryFrom<String> for $name {
            type Error = ParseIdError;
            fn try_from(text: String) -> Result<Self, ParseIdError> {
                text.parse()
            }
        }

        impl From<$name> for String {
            fn from(id: $name) -> Self {
                id.to_string()
            }
        }
    )*};
}

id_types! {
    /// An organization: who holds the keys and pays.
    OrganizationId = "org";
    /// An API key.
    KeyId = "key";
    /// An account: one customer of an organization. Every row below belongs to one.
    AccountId = "acct";
    /// A connection: one set of credentials at a calendar provider.
    ConnectionId = "conn";
    /// A calendar.
    CalendarId = "cal";
    /// A user: a person who can be booked.
    UserId = "user";
    /// An event type: what can be booked.
    EventTypeId = "evt";
    /// A booking.
    BookingId = "book";
    /// A hold: a slot kept for a short time.
    HoldId = "hold";
    /// A decision record: what was asked, what it rested on and what was said.
    DecisionId = "dec";
    /// A claim: one person's time, taken by a hold or a booking.
    ClaimId = "claim";
    /// Something that happened, and that somebody outside may want to hear of.
    EventId = "event";
    /// A webhook endpoint: where an organization hears of events.
    WebhookId = "hook";
    /// A delivery: one event for one endpoint.
    DeliveryId = "msg";
    /// A job: something that follows from a booking and is due at a time.
    JobId = "job";
    /// A request, in logs and in `X-Request-Id`.
    RequestId = "req";
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The valid and invalid vectors of the TypeID specification that concern the suffix.
    #[test]
    fn suffix_agrees_with_the_typeid_specification() {
        let check = |suffix: &str, uuid: Option<&str>| {
            let expected = uuid.map(|text| Uuid::parse_str(text).expect("a literal uuid").as_u128());
            assert_eq!(decode_suffix(suffix), expected, "{suffix}");
            if let Some(value) = expected {
                assert_eq!(UserId::from_uuid(Uuid::from_u128(value)).to_string(), format!("user_{suffix}"));
            }
        };
        check("00000000000000000000000000", Some("00000000-0000-0000-0000-000000000000"));
        check("00000000000000000000000001", Some("00000000-0000-0000-0000-000000000001"));
        check("0000000000000000000000000a", Some("00000000-0000-0000-0000-00000000000a"));
        check("7zzzzzzzzzzzzzzzzzzzzzzzzz", Some("ffffffff-ffff-ffff-ffff-ffffffffffff"));
        check("01h455vb4pex5vsknk084sn02q", Some("01890a5d-ac96-774b-bcce-b302099a8057"));
        check("8zzzzzzzzzzzzzzzzzzzzzzzzz", None);
        check("01H455VB4PEX5VSKNK084SN02Q", None);
        check("01h455vb4pex5vsknk084sn02", None);
        check("01h455vb4pex5vsknk084sn0lq", None);
        check("", None);
    }

    #[test]
    fn prefix_is_part_of_the_type() {
        let id = UserId::from_uuid(Uuid::from_u128(42));
        assert_eq!(id.to_string().parse::<UserId>(), Ok(id));
        assert_eq!(id.to_string().parse::<BookingId>(), Err(ParseIdError::Prefix { expected: "book" }));
    }
}
