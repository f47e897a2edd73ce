//! The packed form of a [`BusySet`]: a version byte, a unit byte, the number of ranges, then lengths and gaps as
//! variable-length integers (seven bits a byte, least significant first). About four bytes a range where all ends are
//! whole minutes, which is almost always; exact microseconds otherwise.

use super::BusySet;
use crate::time::{MINUTE_US, TimeRange, Timestamp};

/// Most ranges a packed set may have.
pub const PACKED_RANGES_MAX: usize = 200_000;

const VERSION: u8 = 1;
const UNIT_MICROSECOND: u8 = 0;
const UNIT_MINUTE: u8 = 1;
/// Seven bits a byte: 64 bits never take more.
const VARINT_BYTES_MAX: usize = 10;

/// Why bytes are not a packed set.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum DecodeError {
    /// Written by another version of this program.
    #[error("packed set has version {0}, which is not known here")]
    Version(u8),
    /// The unit byte means nothing.
    #[error("packed set has unit {0}, which is not known here")]
    Unit(u8),
    /// The bytes end too early.
    #[error("packed set is cut short")]
    CutShort,
    /// More ranges than [`PACKED_RANGES_MAX`].
    #[error("packed set claims {0} ranges, more than allowed")]
    TooMany(u64),
    /// A number does not fit, or ranges would be empty, touch or run past the last instant.
    #[error("packed set holds a number that cannot be")]
    Number,
    /// Bytes follow the last range.
    #[error("packed set is followed by other bytes")]
    Trailing,
}

impl BusySet {
    /// The packed form. `None` when there are more than [`PACKED_RANGES_MAX`] ranges.
    pub fn encode(&self) -> Option<Vec<u8>> {
        if self.len() > PACKED_RANGES_MAX {
            return None;
        }
        let whole_minute = |instant: Timestamp| instant.as_micros() % MINUTE_US == 0;
        let in_minutes = self.iter().all(|range| whole_minute(range.start) && whole_minute(range.end));
        let (unit, unit_us) = if in_minutes { (UNIT_MINUTE, MINUTE_US) } else { (UNIT_MICROSECOND, 1) };
        let mut bytes = Vec::with_capacity(12 + self.len() * 4);
        bytes.extend([VERSION, unit]);
        put_varint(&mut bytes, self.len() as u64);
        let mut previous_end = None;
        for range in self.iter() {
            let (start, end) = (range.start.as_micros() / unit_us, range.end.as_micros() / unit_us);
            put_varint(&mut bytes, previous_end.map_or(zigzag(start), |previous: i64| start.abs_diff(previous)));
            put_varint(&mut bytes, end.abs_diff(start));
            previous_end = Some(end);
        }
        Some(bytes)
    }

    /// Reads the packed form. Whatever the bytes, the set that comes back is a proper one.
    pub fn decode(bytes: &[u8]) -> Result<Self, DecodeError> {
        let (&version, rest) = bytes.split_first().ok_or(DecodeError::CutShort)?;
        if version != VERSION {
            return Err(DecodeError::Version(version));
        }
        let (&unit, mut rest) = rest.split_first().ok_or(DecodeError::CutShort)?;
        let unit_us = match unit {
            UNIT_MICROSECOND => 1,
            UNIT_MINUTE => MINUTE_US,
            _ => return Err(DecodeError::Unit(unit)),
        };
        let count = take_varint(&mut rest)?;
        let count = usize::try_from(count).ok().filter(|&count| count <= PACKED_RANGES_MAX);
        let count = count.ok_or(DecodeError::TooMany(take_varint(&mut &bytes[2..])?))?;
        // Every range takes two bytes at least, so a lying count cannot make us reserve more than was sent.
        if rest.len() < count * 2 {
            return Err(DecodeError::CutShort);
        }
        let set = decode_ranges(&mut rest, count, unit_us)?;
        if rest.is_empty() { Ok(set) } else { Err(DecodeError::Trailing) }
    }
}

fn decode_ranges(bytes: &mut &[u8], count: usize, unit_us: i64) -> Result<BusySet, DecodeError> {
    let mut ranges = Vec::with_capacity(count);
    let mut previous_end: Option<i64> = None;
    for _ in 0..count {
        let start = match (take_varint(bytes)?, previous_end) {
            (first, None) => unzigzag(first),
            (gap, Some(previous)) => forward(previous, gap)?,
        };
        let end = forward(start, take_varint(bytes)?)?;
        ranges.push(TimeRange { start: instant(start, unit_us)?, end: instant(end, unit_us)? });
        previous_end = Some(end);
    }
    Ok(BusySet { ranges })
}

/// Moves on by a distance that must not be zero: no empty range, no two that touch.
fn forward(from: i64, distance: u64) -> Result<i64, DecodeError> {
    let reached = if distance == 0 { None } else { from.checked_add_unsigned(distance) };
    reached.ok_or(DecodeError::Number)
}

fn instant(units: i64, unit_us: i64) -> Result<Timestamp, DecodeError> {
    units.checked_mul(unit_us).map(Timestamp::from_micros).ok_or(DecodeError::Number)
}

const fn zigzag(value: i64) -> u64 {
    ((value << 1) ^ (value >> 63)) as u64
}

const fn unzigzag(value: u64) -> i64 {
    (value >> 1) as i64 ^ -((value & 1) as i64)
}

fn put_varint(bytes: &mut Vec<u8>, mut value: u64) {
    while value >= 0x80 {
        bytes.push((value as u8 & 0x7f) | 0x80);
        value >>= 7;
    }
    bytes.push(value as u8);
}

fn take_varint(bytes: &mut &[u8]) -> Result<u64, DecodeError> {
    let mut value = 0u64;
    for place in 0..VARINT_BYTES_MAX {
        let (&byte, rest) = bytes.split_first().ok_or(DecodeError::CutShort)?;
        *bytes = rest;
        let digit = u64::from(byte & 0x7f);
        let shift = place as u32 * 7;
        if digit << shift >> shift != digit {
            return Err(DecodeError::Number);
        }
        value |= digit << shift;
        if byte < 0x80 {
            return Ok(value);
        }
    }
    Err(DecodeError::Number)
}
