-- Asks for entities at random, for others with every request, and says at the end what came of it as a line of JSON.
--
-- wrk -s ask.lua <url> -- <file of ids, one a line> <ids a request> <seed> <accept> <body before the ids> <and after>

local ids, picked, before, after = {}, {}, '', ''
local count = 0

function init(args)
  for id in io.lines(args[1]) do
    ids[#ids + 1] = id
  end
  count = tonumber(args[2])
  math.randomseed(tonumber(args[3]))
  wrk.method = 'POST'
  wrk.headers['Content-Type'] = 'application/json'
  wrk.headers['Accept'] = args[4]
  before, after = args[5], args[6]
end

function request()
  for at = 1, count do
    picked[at] = ids[math.random(#ids)]
  end
  return wrk.format(nil, nil, nil, before .. table.concat(picked, '","') .. after)
end

function done(summary, latency)
  local errors = summary.errors
  local failed = errors.connect + errors.read + errors.write + errors.timeout
  io.write(string.format(
    '{"requests":%d,"seconds":%.6f,"p50Ms":%.3f,"p99Ms":%.3f,"failed":%d,"refused":%d}\n',
    summary.requests, summary.duration / 1e6, latency:percentile(50) / 1e3, latency:percentile(99) / 1e3,
    failed, errors.status))
end
