-- What wrk asks: each line of a file in turn, written out before the run. Arguments: the folder, and the method.
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

function init(args)
   local folder, method = args[1], args[2]
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
   used = used + 1
   at = at % #requests + 1
   return requests[at]
end

function done(summary, latency)
   local sum = 0
   for _, thread in ipairs(threads) do
      sum = sum + thread:get("used")
   end
   local errors = summary.errors
   io.write(string.format(
      '\n{"requests": %d, "microseconds": %d, "bytes": %d, "p50": %d, "p99": %d, "used": %d, "errors": ' ..
      '{"connect": %d, "read": %d, "write": %d, "status": %d, "timeout": %d}}\n',
      summary.requests, summary.duration, summary.bytes, latency:percentile(50), latency:percentile(99), sum,
      errors.connect, errors.read, errors.write, errors.status, errors.timeout))
end
