//! What Redis performs in one step. Each script touches keys of one shard only.
//!
//! Versions are compared byte by byte: Lua's own comparison of texts follows the server's locale.

use fred::types::scripts::Script;

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
redis.call('SET', KEYS[1], ARGV[1], 'PX', ARGV[2])
return false
";

/// `KEYS[1]` facts, `ARGV[1]` as above, `ARGV[2]` as above, `ARGV[3]` a value that is none: replaced if it still stands.
const MEND: &str = "
if redis.call('GET', KEYS[1]) == ARGV[3] then
  redis.call('SET', KEYS[1], ARGV[1], 'PX', ARGV[2])
end
return false
";

/// `KEYS[1]` beat, `ARGV[1]` the beat, `ARGV[2]` its life in ms. One that never ends is none.
const BEAT: &str = "
local present = redis.pcall('GET', KEYS[1])
if type(present) == 'string' and #present == #ARGV[1] and redis.call('PTTL', KEYS[1]) >= 0
    and higher(present, ARGV[1], 16) then
  return false
end
redis.call('SET', KEYS[1], ARGV[1], 'PX', ARGV[2])
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

/// All scripts, with their hashes.
pub(crate) struct Scripts {
    pub(crate) publish: Script,
    pub(crate) mend: Script,
    pub(crate) beat: Script,
    pub(crate) end_beat: Script,
    pub(crate) mark: Script,
    pub(crate) take: Script,
}

impl Scripts {
    pub(crate) fn new() -> Self {
        let comparing = |text: &str| Script::from_lua(format!("{HIGHER}{text}"));
        Self {
            publish: comparing(PUBLISH),
            mend: Script::from_lua(MEND),
            beat: comparing(BEAT),
            end_beat: comparing(END_BEAT),
            mark: Script::from_lua(MARK),
            take: Script::from_lua(TAKE),
        }
    }
}
