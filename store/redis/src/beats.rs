//! A beat as bytes: epoch and instant, big-endian, so that a script compares them; then the format and the shard. The script
//! that says it puts a stamp behind.

use agentcal_engine::ports::Beat;
use agentcal_engine::shard::{Epoch, Shard};
use agentcal_engine::time::Timestamp;

use crate::bytes::{Reader, from_ordered, ordered};
use crate::stamps::{self, Stamp};

/// Bytes of a beat, without the stamp.
const BEAT_LEN: usize = 19;
/// The first was without a stamp.
const FORMAT: u8 = 2;

pub(crate) fn pack(shard: Shard, beat: Beat) -> Vec<u8> {
    let mut out = Vec::with_capacity(BEAT_LEN);
    out.extend_from_slice(&beat.epoch.0.to_be_bytes());
    out.extend_from_slice(&ordered(beat.said_at.as_micros()));
    out.push(FORMAT);
    out.extend_from_slice(&shard.number().to_be_bytes());
    out
}

/// The beat of this shard and its stamp; `None` when what is stored is anything else.
pub(crate) fn unpack(shard: Shard, stored: &[u8]) -> Option<(Beat, Stamp)> {
    let (packed, stamp) = stamps::split(stored)?;
    let mut reader = Reader(packed);
    let epoch = Epoch(u64::from_be_bytes(reader.array()?));
    let said_at = Timestamp::from_micros(from_ordered(reader.array()?));
    let is_own = reader.byte()? == FORMAT && u16::from_be_bytes(reader.array()?) == shard.number();
    (is_own && reader.is_empty()).then_some((Beat { epoch, said_at }, stamp))
}
