//! Which history of a server's data took a value in.
//!
//! Redis may go back: what a primary had said yes to is lost where its replica, which had not heard of it, takes its place, and
//! where it starts again from an older file. Then older facts stand where newer ones stood, or such as had been withdrawn,
//! and the owner, who knows nothing of it, goes on saying that what stands here is all it would say. So each value of facts
//! and each beat ends with a stamp, written by the script that stores it, and a reader believes facts only beside a beat of
//! the same stamp.
//!
//! The stamp is of the server's replication id, Redis's own name for a history of its data: another one begins with each start
//! of a primary and with each promotion. The id of a process would not do: one that is a primary, then a replica of its
//! successor, and then a primary again is one process, and has lost what it lost. A replica has its primary's id, and
//! takes nothing in by itself. Redis also begins another id when a server gets its first replica, or has been without any for
//! an hour: then facts are published again for nothing.

/// Bytes of a stamp: the id's first digits, as they are written. Of 64 bits by chance, no two that meet are the same.
pub(crate) const STAMP_LEN: usize = 16;

pub(crate) type Stamp = [u8; STAMP_LEN];

/// What scripts that stamp begin with. A server that does not tell its id, or says zeros for it, takes nothing: under a stamp
/// that never changes old facts would be believed for ever.
pub(crate) const LUA: &str = "
local stamp = string.match(redis.call('INFO', 'replication'), 'master_replid:(%x+)') or ''
stamp = string.sub(stamp, 1, 16)
if #stamp < 16 or not string.find(stamp, '[^0]') then
  return redis.error_reply('NOREPLID master_replid is missing in INFO replication, which the fact cache needs')
end
";

/// What was stored, and the stamp behind it.
pub(crate) fn split(stored: &[u8]) -> Option<(&[u8], Stamp)> {
    let (value, stamp) = stored.split_last_chunk()?;
    Some((value, *stamp))
}
