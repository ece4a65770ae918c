-- Takes the charges of one request, all or none, or gives some back: one atomic step, on this server's clock.
--
-- KEYS[1]    the epoch of the data: a number that is lost with it
-- KEYS[2..]  where each charge is counted
-- ARGV[1]    what is asked, packed as script.rs says
-- ARGV[2]    in tests only: the time
--
-- A time is a pair of seconds and nanoseconds: a number of Lua is a double, exact to 2^53, and nanoseconds since 1970 are more.
-- All arithmetic below is exact; what needs no state (what a cost takes, how long a bucket fills) is done by who asks.

local BILLION = 1000000000
local EPOCH_LIVES = 34560000000 -- 400 days in milliseconds: longer than any period
local UNKNOWN = string.rep('\0', 8)
local TAKE, REFUND = 0, 1
local floor, pack, unpack_from = math.floor, struct.pack, struct.unpack

local function plus(s, n, s2, n2)
  s, n = s + s2, n + n2
  if n >= BILLION then return s + 1, n - BILLION end
  return s, n
end

local function minus(s, n, s2, n2)
  s, n = s - s2, n - n2
  if n < 0 then return s - 1, n + BILLION end
  return s, n
end

local function before(s, n, s2, n2)
  return s < s2 or (s == s2 and n < n2)
end

local now_s, now_n
if ARGV[2] then
  now_s, now_n = unpack_from('>I5I4', ARGV[2])
else
  local time = redis.call('TIME')
  now_s, now_n = tonumber(time[1]), time[2] * 1000
end

-- One bucket that is enforced: what nearly every request asks. It does what is done below, in a third of the time, because nothing is made
-- that it does not need.
if #KEYS == 2 and string.byte(ARGV[1]) == TAKE and string.byte(ARGV[1], 27) % 8 == 0 then
  local _, known, epoch, _, _, flags, _, _, period_s, period_n, cost_s, cost_n, lives =
    unpack_from('>Bc8c8I5I4BI4I4I4I4I4I4I6', ARGV[1])
  local kept_epoch = redis.call('GET', KEYS[1])
  if kept_epoch then epoch = kept_epoch else redis.call('SET', KEYS[1], epoch, 'PX', EPOCH_LIVES) end
  if known ~= UNKNOWN and known ~= epoch then return epoch end
  -- How long until it is full, and no longer than one of its size takes.
  local s, n, moved = 0, 0, false
  local kept = redis.call('GET', KEYS[2])
  if kept then
    s, n = unpack_from('>I5I4', kept)
    if before(now_s, now_n, s, n) then s, n = minus(s, n, now_s, now_n) else s, n = 0, 0 end
    if before(period_s, period_n, s, n) then s, n, moved = period_s, period_n, true end
  end
  local after_s, after_n = plus(s, n, cost_s, cost_n)
  local spends = floor(flags / 16) % 2 == 1
  local holds = floor(flags / 8) % 2 == 0 and not before(period_s, period_n, after_s, after_n)
  local spent = holds and spends
  if spent then s, n = after_s, after_n end
  -- What a clock wrote that has been set back since would refuse until that time comes.
  if spent or (spends and moved) then
    local full_s, full_n = plus(now_s, now_n, s, n)
    redis.call('SET', KEYS[2], pack('>I5I4', full_s, full_n), 'PX', lives)
  end
  local said = 1 + (holds and 2 or 0) + (spent and 4 or 0)
  return epoch .. pack('>I5I4BI4I4I4I4I4I4', now_s, now_n, said, 0, 0, s, n, 0, 0)
end

-- How long ago the window began that (s, n) is in: windows are counted from 1970.
local function since_begin(s, n, period_s, period_n)
  -- How many have passed: at most 2^41, out by one at most.
  local count = floor((s * BILLION + n) / (period_s * BILLION + period_n))
  -- count * period_n can be 2^71, so in two parts, none of them over 2^51.
  local high, low = floor(count / 1048576), count % 1048576
  local part = high * period_n
  local nanos = part % BILLION * 1048576 + low * period_n
  local seconds = count * period_s + floor(part / BILLION) * 1048576 + floor(nanos / BILLION)
  s, n = minus(s, n, seconds, nanos % BILLION)
  if s < 0 then s, n = plus(s, n, period_s, period_n) end
  if not before(s, n, period_s, period_n) then s, n = minus(s, n, period_s, period_n) end
  return s, n
end

-- Whether count * (s, n) is more than count2 * (s2, n2), for counts of 32 bits and times of a year.
local function outweighs(count, s, n, count2, s2, n2)
  -- In halves of 16 bits. Every product is exact, and so is a product with 65536, which moves the exponent only. A sum may be
  -- rounded, and then is too large to have its sign changed by what is added.
  local high, low, high2, low2 = floor(count / 65536), count % 65536, floor(count2 / 65536), count2 % 65536
  local nanos = 65536 * (floor(high * n / BILLION) - floor(high2 * n2 / BILLION))
  local rest = 65536 * (high * n % BILLION - high2 * n2 % BILLION) + low * n - low2 * n2
  local seconds = 65536 * (high * s - high2 * s2) + nanos + low * s - low2 * s2 + floor(rest / BILLION)
  return seconds > 0 or (seconds == 0 and rest % BILLION > 0)
end

-- How long until (s, n); zero when it is not after now.
local function until_time(s, n)
  if before(now_s, now_n, s, n) then return minus(s, n, now_s, now_n) end
  return 0, 0
end

-- The end of the window that is counted in at a time, and how long that is until.
local function window_end(charge, s, n)
  local left_s, left_n = minus(charge.period_s, charge.period_n, since_begin(s, n, charge.period_s, charge.period_n))
  local end_s, end_n = plus(s, n, left_s, left_n)
  return end_s, end_n, left_s, left_n
end

-- Each algorithm is a table, made only where it is asked for, since everything here is made anew in each run:
--   read(key)              what is kept, as far as it still counts; that of nobody when there is nothing
--   settle(state, charge)  reads it under the quota of this charge; `moved` where this quota, on this clock, had not written it so
--   fits(state, charge)    whether the cost has room
--   spend(state, charge)   counts it; only write() touches the data
--   tell(state, charge)    two numbers and two times, of which standing.rs makes limit, remaining, reset and wait
--   refund(charge, s, n)   gives back in the data what a take at that time spent

-- A bucket is kept as the time at which it is full.
local function bucket()
  local by = {}
  function by.read(key)
    local kept = redis.call('GET', key)
    local state = { s = 0, n = 0 }
    if kept then
      local full_s, full_n = unpack_from('>I5I4', kept)
      state.s, state.n = until_time(full_s, full_n)
    end
    return state
  end
  function by.settle(state, charge)
    -- No emptier than one of its size can be: the quota may be another, or the clock was set back.
    if before(charge.period_s, charge.period_n, state.s, state.n) then
      state.s, state.n, state.moved = charge.period_s, charge.period_n, true
    end
  end
  function by.fits(state, charge)
    local s, n = plus(state.s, state.n, charge.cost_s, charge.cost_n)
    return not before(charge.period_s, charge.period_n, s, n)
  end
  function by.spend(state, charge)
    state.s, state.n = plus(state.s, state.n, charge.cost_s, charge.cost_n)
  end
  function by.tell(state)
    return 0, 0, state.s, state.n, 0, 0
  end
  function by.write(state, charge)
    local s, n = plus(now_s, now_n, state.s, state.n)
    redis.call('SET', charge.key, pack('>I5I4', s, n), 'PX', charge.lives)
  end
  function by.refund(charge, s, n)
    -- Less what may have flowed in since: a bucket that became full meanwhile lost that, and nobody has it twice.
    local since_s, since_n = minus(now_s, now_n, s, n)
    local back_s, back_n = minus(charge.cost_s, charge.cost_n, since_s, since_n)
    if since_s < 0 or back_s < 0 then return end
    local state = by.read(charge.key)
    local left_s, left_n = minus(state.s, state.n, back_s, back_n)
    if left_s < 0 or (left_s == 0 and left_n == 0) then return redis.call('DEL', charge.key) end
    state.s, state.n = left_s, left_n
    by.write(state, charge)
  end
  return by
end

-- A fixed window is kept as what was spent, and when it ends.
local function fixed()
  local by = {}
  function by.read(key)
    local kept = redis.call('GET', key)
    local state = { used = 0, s = 0, n = 0 }
    if kept then
      local used, s, n = unpack_from('>I4I5I4', kept)
      if before(now_s, now_n, s, n) then state.used, state.s, state.n = used, s, n end
    end
    return state
  end
  function by.settle(state, charge)
    -- What was counted until some end is counted until the end of this window, whatever the period was.
    local end_s, end_n, left_s, left_n = window_end(charge, now_s, now_n)
    state.moved = state.used > 0 and (state.s ~= end_s or state.n ~= end_n)
    state.s, state.n, state.left_s, state.left_n = end_s, end_n, left_s, left_n
  end
  function by.fits(state, charge)
    return state.used + charge.cost <= charge.limit
  end
  function by.spend(state, charge)
    state.used = state.used + charge.cost
  end
  function by.tell(state)
    return state.used, 0, state.left_s, state.left_n, 0, 0
  end
  function by.write(state, charge)
    redis.call('SET', charge.key, pack('>I4I5I4', state.used, state.s, state.n), 'PX', charge.lives)
  end
  function by.refund(charge, s, n)
    local state = by.read(charge.key)
    local end_s, end_n = window_end(charge, s, n)
    if state.s ~= end_s or state.n ~= end_n then return end
    state.used = math.max(state.used - charge.cost, 0)
    if state.used == 0 then return redis.call('DEL', charge.key) end
    by.write(state, charge)
  end
  return by
end

-- A sliding window is kept as what was spent in the window before, what in this one, and when the last that counts ends.
local function sliding()
  local by = {}
  function by.read(key)
    local kept = redis.call('GET', key)
    local state = { earlier = 0, used = 0, s = 0, n = 0 }
    if kept then
      local earlier, used, s, n = unpack_from('>I4I4I5I4', kept)
      if before(now_s, now_n, s, n) then state.earlier, state.used, state.s, state.n = earlier, used, s, n end
    end
    return state
  end
  function by.settle(state, charge)
    local end_s, end_n, left_s, left_n = window_end(charge, now_s, now_n)
    local next_s, next_n = plus(end_s, end_n, charge.period_s, charge.period_n)
    if state.s == end_s and state.n == end_n then
      -- It was counted until this window's end: of the window before.
      if state.used > 0 then state.earlier, state.used, state.moved = state.used, 0, true end
    elseif state.s ~= next_s or state.n ~= next_n then
      -- Under another period: it counts as spent now.
      state.earlier, state.used = 0, math.min(state.used + state.earlier, 4294967295)
      state.s, state.n, state.moved = next_s, next_n, state.used > 0
    end
    state.next_s, state.next_n, state.left_s, state.left_n = next_s, next_n, left_s, left_n
  end
  function by.fits(state, charge)
    local room = charge.limit - math.min(state.used, charge.limit) - charge.cost
    if room < 0 then return false end
    local earlier = math.min(state.earlier, charge.limit)
    return not outweighs(earlier, state.left_s, state.left_n, room, charge.period_s, charge.period_n)
  end
  function by.spend(state, charge)
    state.used = math.min(state.used, charge.limit) + charge.cost
    state.s, state.n = state.next_s, state.next_n
  end
  function by.tell(state)
    return state.used, state.earlier, state.left_s, state.left_n, 0, 0
  end
  function by.write(state, charge)
    local kept = pack('>I4I4I5I4', state.earlier, state.used, state.s, state.n)
    redis.call('SET', charge.key, kept, 'PX', charge.lives)
  end
  function by.refund(charge, s, n)
    local state = by.read(charge.key)
    local end_s, end_n = window_end(charge, s, n)
    local next_s, next_n = plus(end_s, end_n, charge.period_s, charge.period_n)
    if state.s ~= next_s or state.n ~= next_n then return end
    state.used = math.max(state.used - charge.cost, 0)
    if state.used == 0 then
      if state.earlier == 0 then return redis.call('DEL', charge.key) end
      -- As if nothing had been spent in this window: the counts are those of the one before.
      state.s, state.n = end_s, end_n
    end
    by.write(state, charge)
  end
  return by
end

-- A log is kept as a list: one time for each that was spent, oldest first, as many as a limit can be at most.
local function log()
  local by = {}
  function by.read(key)
    return { key = key, kept = redis.call('LLEN', key), spent = 0 }
  end
  -- The time at a place, counted from nought; what is spent but not yet written was spent now.
  local function logged(state, place)
    if place >= state.kept then return now_s, now_n end
    return unpack_from('>I5I4', redis.call('LINDEX', state.key, place))
  end
  -- The first place of those before `last` whose time is past what `is_past` says; times do not go down.
  local function first_past(state, last, is_past)
    local from = 0
    while from < last do
      local middle = floor((from + last) / 2)
      if is_past(logged(state, middle)) then last = middle else from = middle + 1 end
    end
    return from
  end
  function by.settle(state, charge)
    if state.kept == 0 then return end
    -- A clock that was set back: what is after now was spent now.
    local s, n = logged(state, state.kept - 1)
    if before(now_s, now_n, s, n) then
      local time = pack('>I5I4', now_s, now_n)
      local late = first_past(state, state.kept, function(s, n) return before(now_s, now_n, s, n) end)
      for place = late, state.kept - 1 do redis.call('LSET', state.key, place, time) end
    end
    -- What is a period ago is forgotten.
    local function counts(s, n)
      s, n = plus(s, n, charge.period_s, charge.period_n)
      return before(now_s, now_n, s, n)
    end
    if not counts(logged(state, 0)) then
      local first = first_past(state, state.kept, counts)
      redis.call('LTRIM', state.key, first, -1)
      state.kept = state.kept - first
    end
  end
  function by.fits(state, charge)
    return state.kept + state.spent + charge.cost <= charge.limit
  end
  function by.spend(state, charge)
    state.spent = state.spent + charge.cost
  end
  function by.tell(state, charge)
    local count = state.kept + state.spent
    -- How long the time at a place still counts.
    local function counts_for(place)
      if place < 0 or place >= count then return 0, 0 end
      local s, n = logged(state, place)
      return until_time(plus(s, n, charge.period_s, charge.period_n))
    end
    local last_s, last_n = counts_for(count - 1)
    -- The last of those that have to go before the cost has room.
    local go_s, go_n = counts_for(count + charge.cost - charge.limit - 1)
    return count, 0, last_s, last_n, go_s, go_n
  end
  function by.write(state, charge)
    local time = pack('>I5I4', now_s, now_n)
    local times = {}
    for place = 1, state.spent do times[place] = time end
    if state.spent > 0 then redis.call('RPUSH', state.key, unpack(times)) end
    redis.call('PEXPIRE', state.key, charge.lives)
    state.kept, state.spent = state.kept + state.spent, 0
  end
  function by.refund(charge, s, n)
    redis.call('LREM', charge.key, charge.cost, pack('>I5I4', s, n))
  end
  return by
end

local ALGORITHMS = { [0] = bucket, fixed, sliding, log }
local made = {}
local function algorithm(number)
  local by = made[number] or ALGORITHMS[number]()
  made[number] = by
  return by
end

local what, known, offered, asked_s, asked_n, at = unpack_from('>Bc8c8I5I4', ARGV[1])

local epoch = redis.call('GET', KEYS[1])
if not epoch then
  epoch = offered
  redis.call('SET', KEYS[1], epoch, 'PX', EPOCH_LIVES)
end
-- Who counted in data that is lost is told, and decides for itself what follows.
if known ~= UNKNOWN and known ~= epoch then return epoch end

local charges = {}
for index = 2, #KEYS do
  local flags
  local charge = { key = KEYS[index] }
  flags, charge.limit, charge.cost, charge.period_s, charge.period_n, charge.cost_s, charge.cost_n, charge.lives, at =
    unpack_from('>BI4I4I4I4I4I4I6', ARGV[1], at)
  charge.by = algorithm(flags % 4)
  charge.shadow = floor(flags / 4) % 2 == 1
  charge.above = floor(flags / 8) % 2 == 1
  charge.spends = floor(flags / 16) % 2 == 1
  charges[index - 1] = charge
end

if what == REFUND then
  for _, charge in ipairs(charges) do charge.by.refund(charge, asked_s, asked_n) end
  return epoch
end

local states = {}

local function judge(charge)
  local state = states[charge.key] or charge.by.read(charge.key)
  states[charge.key] = state
  charge.state, charge.judged = state, true
  charge.by.settle(state, charge)
  charge.holds = not charge.above and charge.by.fits(state, charge)
  charge.spent = charge.holds and charge.spends
  if charge.spent then charge.by.spend(state, charge) end
  charge.told = pack('>I4I4I4I4I4I4', charge.by.tell(state, charge))
end

local refused = false
for _, charge in ipairs(charges) do
  if not charge.shadow then
    judge(charge)
    refused = refused or not charge.holds
  end
end
if not refused then
  for _, charge in ipairs(charges) do
    if charge.shadow then judge(charge) end
  end
  for _, charge in ipairs(charges) do
    if charge.spent then charge.by.write(charge.state, charge) end
  end
end
-- What is refused spends nothing, but what is kept is read once and for all: what a clock wrote that has been set back since would
-- refuse until that time comes.
for _, charge in ipairs(charges) do
  if charge.judged and charge.state.moved and charge.spends and (refused or not charge.spent) then
    local state = charge.by.read(charge.key)
    charge.by.settle(state, charge)
    if state.moved then charge.by.write(state, charge) end
  end
end

local reply = { epoch, pack('>I5I4', now_s, now_n) }
for _, charge in ipairs(charges) do
  local flags = (charge.judged and 1 or 0) + (charge.holds and 2 or 0) + (charge.spent and not refused and 4 or 0)
  reply[#reply + 1] = string.char(flags) .. (charge.told or string.rep('\0', 24))
end
return table.concat(reply)
