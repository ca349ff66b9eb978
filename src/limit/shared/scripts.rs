//! Owns: what the server does in one step for a question: it runs these programs, and nobody else meanwhile.
//! Refuses: letting a key that somebody else has written stop what it is asked for: it counts as absent, and is written over.
//! Always holds: every key that they write expires.

use std::sync::Arc;

use redis::{RedisResult, Script, ScriptInvocation, aio::MultiplexedConnection};

use super::Rate;

/// What is kept at a key, or nothing where it holds something else than a text. Any other error is the question's.
macro_rules! kept {
    () => {
        r"
local function kept(key)
    local value = redis.pcall('GET', key)
    if type(value) ~= 'table' then return value end
    if string.find(value.err or '', 'WRONGTYPE', 1, true) then return false end
    return false, value
end
"
    };
}

/// Adds ARGV[1] to each counter; one that is made new ends in so many milliseconds as stand at its place in ARGV. No sum beyond
/// 2^53 was ever counted.
const ADD: &str = concat!(
    kept!(),
    r"
local by = tonumber(ARGV[1])
local sums = {}
for place, key in ipairs(KEYS) do
    local value, failure = kept(key)
    if failure then return failure end
    local before = value and string.match(value, '^%d+$') and tonumber(value)
    local known = before and before <= 9007199254740992
    if not known then before = 0 end
    local sum = math.max(0, before + by)
    if sum == 0 then
        if before ~= 0 then redis.call('DEL', key) end
    elseif by ~= 0 then
        local left = redis.call('PTTL', key)
        if left < 0 or not known then left = tonumber(ARGV[place + 1]) end
        redis.call('SET', key, string.format('%.0f', sum), 'PX', string.format('%.0f', math.max(1, left)))
    end
    sums[place] = sum
end
return sums
"
);

/// GCRA, told as a bucket that leaks: kept are how full it was, and when. ARGV are requests and the microseconds in which so
/// many leak out. Should the server's clock be set back, the bucket leaks on from the new time.
const TAKE: &str = concat!(
    kept!(),
    r"
local requests = tonumber(ARGV[1])
local each = tonumber(ARGV[2]) / requests
local time = redis.call('TIME')
local now = tonumber(time[1]) * 1000000 + tonumber(time[2])
local used, at = 0, now
local value, failure = kept(KEYS[1])
if failure then return failure end
if value then
    local level, moment = string.match(value, '^(%d+%.%d+) (%d+)$')
    if level and tonumber(level) <= requests then
        at = tonumber(moment)
        used = math.max(0, tonumber(level) - math.max(0, now - at) / each)
    end
end
local passed = used + 1 <= requests
if passed then used = used + 1 end
if passed or at > now then
    local ends = math.ceil(used * each / 1000) + 1
    redis.call('SET', KEYS[1], string.format('%.9f %.0f', used, now), 'PX', string.format('%.0f', ends))
end
local wait = 0
if not passed then wait = math.ceil((used + 1 - requests) * each) end
return { passed and 1 or 0, math.max(0, math.floor(requests - used)), wait, math.ceil(used * each) }
"
);

/// The programs.
#[derive(Clone)]
pub(super) struct Scripts {
    pub(super) add: Arc<Script>,
    take: Arc<Script>,
}

impl Scripts {
    pub(super) fn new() -> Self {
        Self { add: Arc::new(Script::new(ADD)), take: Arc::new(Script::new(TAKE)) }
    }

    /// Asks to let one through under `rate`, as the bucket `key` stands.
    pub(super) fn taking<'a>(&'a self, key: &str, rate: Rate) -> ScriptInvocation<'a> {
        let per_microseconds = u64::try_from(rate.per.as_micros()).unwrap_or(u64::MAX).max(1);
        let mut question = self.take.prepare_invoke();
        question.key(key).arg(rate.requests.get()).arg(per_microseconds);
        question
    }

    /// Sends them ahead, so that the first question needs no second round trip.
    pub(super) async fn load(&self, connection: &mut MultiplexedConnection) -> RedisResult<()> {
        self.add.load_async(connection).await?;
        self.take.load_async(connection).await?;
        Ok(())
    }
}
