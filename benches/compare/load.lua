-- What wrk asks: each line of a file in turn, written out before the run. Arguments: the folder, the method, and the clocks of the
-- CPU time of the gateway's processes, which are read now and then: how many requests there were, and at how many nanoseconds.
local ffi = require("ffi")
ffi.cdef([[
   typedef struct { long seconds; long nanoseconds; } moment;
   int clock_gettime(int clock, moment *now);
]])

-- A block is long enough for the requests that are under way at its ends to be few of it, and fits into a turn.
local BLOCK, STOOD_STILL = 150e6, 50e6
local LOOK_EACH = 64
-- When it goes on, all answers that came meanwhile are there at once.
local NOT_YET = 3
local MONOTONIC = 1

local clocks = {}
local now = ffi.new("moment")
local looked, began
local looks = 0
marks = ""

local threads = {}
local requests = {}
local at = 0
used = 0

function setup(thread)
   table.insert(threads, thread)
end

local function content(name)
   local file = assert(io.open(name, "rb"))
   local text = file:read("*a")
   file:close()
   return text
end

local function nanoseconds(clock)
   assert(ffi.C.clock_gettime(clock, now) == 0, "there is no such clock")
   return tonumber(now.seconds) * 1e9 + tonumber(now.nanoseconds)
end

local function mark(moment, begins)
   local total = 0
   for _, clock in ipairs(clocks) do
      total = total + nanoseconds(clock)
   end
   marks = marks .. string.format("[%d, %d, %s], ", used, total, begins)
   began = moment
end

local function look()
   local moment = nanoseconds(MONOTONIC)
   if not looked or moment - looked > STOOD_STILL then looks = 0 end
   looked, looks = moment, looks + 1
   if looks == NOT_YET then
      mark(moment, true)
   elseif looks > NOT_YET and moment - began >= BLOCK then
      mark(moment, false)
   end
end

function init(args)
   local folder, method = args[1], args[2]
   for place = 3, #args do
      clocks[#clocks + 1] = tonumber(args[place])
   end
   local fields, body = content(folder .. "/headers"), content(folder .. "/body")
   local host = "Host: " .. wrk.host .. "\r\n"
   if #body > 0 then
      fields = fields .. "Content-Length: " .. #body .. "\r\n"
   end
   for line in io.lines(folder .. "/requests") do
      local path, token = line:match("^(%S+) (%S+)$")
      local credential = ""
      if token ~= "-" then
         credential = "Authorization: Bearer " .. token .. "\r\n"
      end
      requests[#requests + 1] = method .. " " .. path .. " HTTP/1.1\r\n" .. host .. credential .. fields .. "\r\n" .. body
   end
end

function request()
   -- No garbage is made from here on, and looking for some among so many texts would be a pause.
   if used == 0 then collectgarbage("stop") end
   used = used + 1
   if #clocks > 0 and used % LOOK_EACH == 0 then look() end
   at = at % #requests + 1
   return requests[at]
end

function done(summary, latency)
   local sum, marked = 0, ""
   for _, thread in ipairs(threads) do
      sum = sum + thread:get("used")
      marked = marked .. thread:get("marks")
   end
   local errors = summary.errors
   io.write(string.format(
      '\n{"requests": %d, "microseconds": %d, "bytes": %d, "p50": %d, "p99": %d, "used": %d, "marks": [%s], "errors": ' ..
      '{"connect": %d, "read": %d, "write": %d, "status": %d, "timeout": %d}}\n',
      summary.requests, summary.duration, summary.bytes, latency:percentile(50), latency:percentile(99), sum, marked:sub(1, -3),
      errors.connect, errors.read, errors.write, errors.status, errors.timeout))
end
