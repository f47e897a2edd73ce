//! What Redis performs in one step. Each script touches one key.
//!
//! Versions are compared byte by byte: Lua's own comparison of texts follows the server's locale.

use fred::types::scripts::Script;

use crate::stamps;

const HIGHER: &str = "
local function higher(a, b, len)
  for i = 1, len do
    local x, y = string.byte(a, i), string.byte(b, i)
    if x ~= y then return x > y end
  end
  return false
end
";

/// `KEYS[1]` facts, `ARGV[1]` the packed facts, `ARGV[2]` their life in ms. Nothing when written; else what stands there.
const PUBLISH: &str = "
local present = redis.pcall('GETRANGE', KEYS[1], 0, 24)
if type(present) == 'string' and #present == 25 and higher(present, ARGV[1], 25) then
  return redis.call('GET', KEYS[1])
end
redis.call('SET', KEYS[1], ARGV[1] .. stamp, 'PX', ARGV[2])
return false
";

/// `KEYS[1]` facts, `ARGV[1]` as above, `ARGV[2]` as above, `ARGV[3]` a value that is none: replaced if it still stands.
const MEND: &str = "
if redis.call('GET', KEYS[1]) == ARGV[3] then
  redis.call('SET', KEYS[1], ARGV[1] .. stamp, 'PX', ARGV[2])
end
return false
";

/// `KEYS[1]` beat, `ARGV[1]` the beat, `ARGV[2]` its life in ms. One that never ends is none. One without a stamp is another
/// release's, of the same first bytes.
const BEAT: &str = "
local present = redis.pcall('GET', KEYS[1])
if type(present) == 'string' and (#present == #ARGV[1] + #stamp or #present == #ARGV[1])
    and redis.call('PTTL', KEYS[1]) >= 0 and higher(present, ARGV[1], 16) then
  return false
end
redis.call('SET', KEYS[1], ARGV[1] .. stamp, 'PX', ARGV[2])
return false
";

/// `KEYS[1]` beat, `ARGV[1]` an epoch: removes a beat under it or a lower one.
const END_BEAT: &str = "
local present = redis.pcall('GET', KEYS[1])
if type(present) == 'string' and #present >= 8 and higher(present, ARGV[1], 8) then return false end
redis.call('DEL', KEYS[1])
return false
";

/// `KEYS[1]` marks, `ARGV[1]` a calendar, `ARGV[2]` the life of marks in ms.
const MARK: &str = "
local kind = redis.call('TYPE', KEYS[1]).ok
if kind ~= 'set' and kind ~= 'none' then redis.call('DEL', KEYS[1]) end
redis.call('SADD', KEYS[1], ARGV[1])
redis.call('PEXPIRE', KEYS[1], ARGV[2])
return false
";

/// `KEYS[1]` marks: all of them, which are none afterwards.
const TAKE: &str = "
local marks = redis.pcall('SMEMBERS', KEYS[1])
redis.call('DEL', KEYS[1])
if marks.err then return {} end
return marks
";

/// What a bucket's value says, and the server's clock, in microseconds: when it will be full, and until when it is paused.
/// One that cannot be read, or is fuller of debts than it can be (the clock was set back), is put right.
const BUCKET: &str = "
local time = redis.call('TIME')
local now = time[1] * 1000000 + time[2]
local value = redis.pcall('GET', KEYS[1])
local full_at, paused_until = nil, nil
if type(value) == 'string' then full_at, paused_until = string.match(value, '^(%d+) (%d+)$') end
full_at, paused_until = tonumber(full_at or 0), tonumber(paused_until or 0)
local function keep(full_at, paused_until)
  local life = math.max(full_at - now, paused_until - now, 0)
  local text = string.format('%.0f %.0f', full_at, paused_until)
  redis.call('SET', KEYS[1], text, 'PX', math.ceil(life / 1000) + 1000)
end
";

/// `KEYS[1]` a bucket; `ARGV` in microseconds: time of one cell, of a full bucket, of what is spared; then most cells.
/// Answers with cells, the wait for one, and the time until the bucket is full.
const TAKE_CELLS: &str = "
local cell, burst, spare = tonumber(ARGV[1]), tonumber(ARGV[2]), tonumber(ARGV[3])
local owed = math.min(math.max(full_at - now, 0), burst)
local paused = math.min(paused_until - now, 86400000000)
if paused > 0 then return {0, paused, math.ceil(owed)} end
local room = math.floor((burst - spare - owed) / cell + 0.001)
local given = math.min(room, tonumber(ARGV[4]))
if given < 1 then
  return {0, math.max(math.ceil(owed + cell - (burst - spare)), 1), math.ceil(owed)}
end
owed = math.ceil(owed + given * cell)
keep(now + owed, 0)
return {given, 0, owed}
";

/// `KEYS[1]` a bucket, `ARGV[1]` microseconds for which nothing is given.
const PAUSE_CELLS: &str = "
keep(full_at, math.max(paused_until, now + tonumber(ARGV[1])))
return false
";

/// All scripts, with their hashes.
pub(crate) struct Scripts {
    pub(crate) publish: Script,
    pub(crate) mend: Script,
    pub(crate) beat: Script,
    pub(crate) end_beat: Script,
    pub(crate) mark: Script,
    pub(crate) take: Script,
    pub(crate) take_cells: Script,
    pub(crate) pause_cells: Script,
    pub(crate) health: Script,
}

impl Scripts {
    pub(crate) fn new() -> Self {
        let of_buckets = |text: &str| Script::from_lua(format!("{BUCKET}{text}"));
        let comparing = |text: &str| Script::from_lua(format!("{HIGHER}{text}"));
        let stamping = |text: &str| Script::from_lua(format!("{}{text}", stamps::LUA));
        let comparing_and_stamping = |text: &str| Script::from_lua(format!("{HIGHER}{}{text}", stamps::LUA));
        Self {
            publish: comparing_and_stamping(PUBLISH),
            mend: stamping(MEND),
            beat: comparing_and_stamping(BEAT),
            end_beat: comparing(END_BEAT),
            mark: Script::from_lua(MARK),
            take: Script::from_lua(TAKE),
            take_cells: of_buckets(TAKE_CELLS),
            pause_cells: of_buckets(PAUSE_CELLS),
            health: stamping("return false"),
        }
    }
}
