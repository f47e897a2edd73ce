//! Facts of one calendar as bytes.
//!
//! ```text
//! version   epoch 8, revision 8, "has as_of" 1, as_of 8: big-endian, compared as bytes by the script that publishes
//! format    2
//! identity  calendar id 16, account id 16
//! body      knowledge, external, displaced, claims; varints and differences
//! checksum  xxh3 of all before, 8, little-endian
//! stamp     16, behind what is packed here, by the script that publishes
//! ```
//!
//! The version stands first in every format to come, so that programs of two releases may share a cache: a format that
//! is not known reads as absent, and is still never replaced by something older.

use agentcal_engine::facts::{CalendarFacts, Knowledge, UnknownReason};
use agentcal_engine::ids::{AccountId, BookingId, CalendarId};
use agentcal_engine::shard::Epoch;
use agentcal_engine::time::{TimeRange, Timestamp};
use xxhash_rust::xxh3::xxh3_64;

use crate::bytes::{Reader, from_ordered, ordered, put_signed, put_varint};
use crate::packed_claims::{put_claims, read_claims};

/// Bytes of the version, which come first.
pub const VERSION_LEN: usize = 25;
/// The format written here.
const FORMAT: u8 = 2;
/// The same, of programs that knew no stamps: nobody can say whether the server went back meanwhile.
const UNSTAMPED: u8 = 1;
const CHECKSUM_LEN: usize = 8;

const INTERNAL: u8 = 0;
const SYNCED: u8 = 1;
const UNKNOWN: u8 = 2;
/// Synced, and the provider rings. Appended later: a program that does not know it takes the facts for damaged, hence absent.
const WATCHED: u8 = 3;

/// Reasons by the byte that stands for them; only ever appended to.
const REASONS: [UnknownReason; 6] = [
    UnknownReason::NotSynced,
    UnknownReason::CalendarGone,
    UnknownReason::ReauthorizationRequired,
    UnknownReason::ProviderError,
    UnknownReason::OutsideSyncedWindow,
    UnknownReason::DeadlineExceeded,
];

/// Microseconds of the units busy time may be counted in. Most calendars count in minutes.
const UNITS: [i64; 3] = [60_000_000, 1_000_000, 1];

/// The facts as bytes.
pub fn pack(facts: &CalendarFacts) -> Vec<u8> {
    let mut out = Vec::with_capacity(96 + facts.external.len() * 4 + facts.claims.len() * 72);
    put_version(&mut out, facts);
    out.push(FORMAT);
    out.extend_from_slice(facts.calendar_id.as_uuid().as_bytes());
    out.extend_from_slice(facts.account_id.as_uuid().as_bytes());
    put_knowledge(&mut out, facts.knowledge);
    put_external(&mut out, &facts.external);
    put_varint(&mut out, facts.displaced.len() as u64);
    for (booking_id, range) in &facts.displaced {
        out.extend_from_slice(booking_id.as_uuid().as_bytes());
        put_range(&mut out, *range);
    }
    put_claims(&mut out, facts);
    let checksum = xxh3_64(&out);
    out.extend_from_slice(&checksum.to_le_bytes());
    out
}

/// The facts of these bytes; `None` when they are damaged, of another format, or hold anything besides.
pub fn unpack(bytes: &[u8]) -> Option<CalendarFacts> {
    let content = whole(bytes).filter(|content| content.get(VERSION_LEN) == Some(&FORMAT))?;
    read(&mut Reader(content))
}

/// Whether a stored value is of a format this program does not write: perhaps a later one's, and to be left to its version.
pub(crate) fn is_of_another_format(stored: &[u8]) -> bool {
    match stored.get(VERSION_LEN) {
        Some(&UNSTAMPED) => whole(stored).is_some(),
        Some(&format) => format > FORMAT,
        None => false,
    }
}

/// What is before the checksum, if that is right.
fn whole(bytes: &[u8]) -> Option<&[u8]> {
    let (content, checksum) = bytes.split_last_chunk::<CHECKSUM_LEN>()?;
    (xxh3_64(content) == u64::from_le_bytes(*checksum)).then_some(content)
}

fn read(reader: &mut Reader<'_>) -> Option<CalendarFacts> {
    let epoch = Epoch(u64::from_be_bytes(reader.array()?));
    let revision = u64::from_be_bytes(reader.array()?);
    let as_of = read_as_of(reader)?;
    let _format = reader.byte()?;
    let calendar_id = CalendarId::from_uuid(reader.uuid()?);
    let account_id = AccountId::from_uuid(reader.uuid()?);
    let knowledge = read_knowledge(reader, as_of)?;
    let external = read_external(reader)?;
    let displaced_len = reader.count()?;
    let mut displaced = Vec::with_capacity(displaced_len.min(reader.0.len() / 18));
    for _ in 0..displaced_len {
        displaced.push((BookingId::from_uuid(reader.uuid()?), read_range(reader)?));
    }
    let claims = read_claims(reader, account_id, calendar_id)?;
    let facts = CalendarFacts { calendar_id, account_id, epoch, revision, knowledge, external, displaced, claims };
    reader.is_empty().then_some(facts)
}

fn put_version(out: &mut Vec<u8>, facts: &CalendarFacts) {
    out.extend_from_slice(&facts.epoch.0.to_be_bytes());
    out.extend_from_slice(&facts.revision.to_be_bytes());
    out.push(u8::from(facts.as_of().is_some()));
    out.extend_from_slice(&facts.as_of().map_or([0; 8], |as_of| ordered(as_of.as_micros())));
}

fn read_as_of(reader: &mut Reader<'_>) -> Option<Option<Timestamp>> {
    match (reader.byte()?, reader.array()?) {
        (1, bytes) => Some(Some(Timestamp::from_micros(from_ordered(bytes)))),
        (0, [0, 0, 0, 0, 0, 0, 0, 0]) => Some(None),
        _ => None,
    }
}

fn put_knowledge(out: &mut Vec<u8>, knowledge: Knowledge) {
    match knowledge {
        Knowledge::Internal => out.push(INTERNAL),
        Knowledge::Synced { window, watched_until: None, .. } => {
            out.push(SYNCED);
            put_range(out, window);
        }
        Knowledge::Synced { window, watched_until: Some(until), .. } => {
            out.push(WATCHED);
            put_range(out, window);
            put_signed(out, until.as_micros());
        }
        Knowledge::Unknown(reason) => {
            let byte = REASONS.iter().position(|known| *known == reason).expect("every reason is in the table");
            out.extend_from_slice(&[UNKNOWN, byte as u8]);
        }
    }
}

fn read_knowledge(reader: &mut Reader<'_>, as_of: Option<Timestamp>) -> Option<Knowledge> {
    match (reader.byte()?, as_of) {
        (INTERNAL, None) => Some(Knowledge::Internal),
        (SYNCED, Some(as_of)) => Some(Knowledge::Synced { as_of, window: read_range(reader)?, watched_until: None }),
        (WATCHED, Some(as_of)) => {
            let window = read_range(reader)?;
            let watched_until = Some(Timestamp::from_micros(reader.signed()?));
            Some(Knowledge::Synced { as_of, window, watched_until })
        }
        (UNKNOWN, None) => REASONS.get(usize::from(reader.byte()?)).copied().map(Knowledge::Unknown),
        _ => None,
    }
}

/// Busy time as gap and length, in the largest unit that loses nothing.
fn put_external(out: &mut Vec<u8>, external: &[TimeRange]) {
    let fits = |unit: i64| {
        external.iter().all(|range| range.start.as_micros() % unit == 0 && range.end.as_micros() % unit == 0)
    };
    let place = UNITS.iter().position(|unit| fits(*unit)).expect("a microsecond divides everything");
    let unit = UNITS[place];
    out.push(place as u8);
    put_varint(out, external.len() as u64);
    let mut last = 0i64;
    for (index, range) in external.iter().enumerate() {
        let (start, end) = (range.start.as_micros() / unit, range.end.as_micros() / unit);
        match index {
            0 => put_signed(out, start),
            // Ascending, so that the gap is small. Out of order it would be long, and still come back.
            _ => put_varint(out, start.wrapping_sub(last) as u64),
        }
        put_varint(out, end.wrapping_sub(start) as u64);
        last = end;
    }
}

fn read_external(reader: &mut Reader<'_>) -> Option<Vec<TimeRange>> {
    let unit = *UNITS.get(usize::from(reader.byte()?))?;
    let len = reader.count()?;
    let mut external = Vec::with_capacity(len.min(reader.0.len() / 2));
    let mut last = 0i64;
    for index in 0..len {
        let start = if index == 0 { reader.signed()? } else { last.wrapping_add(reader.varint()? as i64) };
        let end = start.wrapping_add(reader.varint()? as i64);
        external.push(range_of(start.checked_mul(unit)?, end.checked_mul(unit)?)?);
        last = end;
    }
    Some(external)
}

pub(crate) fn put_range(out: &mut Vec<u8>, range: TimeRange) {
    put_signed(out, range.start.as_micros());
    put_varint(out, range.end.as_micros().wrapping_sub(range.start.as_micros()) as u64);
}

pub(crate) fn read_range(reader: &mut Reader<'_>) -> Option<TimeRange> {
    let start = reader.signed()?;
    range_of(start, start.wrapping_add(reader.varint()? as i64))
}

fn range_of(start: i64, end: i64) -> Option<TimeRange> {
    TimeRange::new(Timestamp::from_micros(start), Timestamp::from_micros(end))
}
