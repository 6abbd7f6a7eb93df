-- Asks for entities at random, and says at the end what came of it as a line of JSON. Requests are made before the first
-- is sent: to make one takes as long as to answer it, on a processor that the server wants too.
--
-- wrk -s ask.lua <url> -- <file of ids, one a line> <ids a request> <seed> <accept> <body before the ids> <and after>

local made, count = {}, 0

function init(args)
  local ids, picked = {}, {}
  for id in io.lines(args[1]) do
    ids[#ids + 1] = id
  end
  local each = tonumber(args[2])
  math.randomseed(tonumber(args[3]))
  wrk.method = 'POST'
  wrk.headers['Content-Type'] = 'application/json'
  wrk.headers['Accept'] = args[4]
  for number = 1, math.min(20000, math.max(2000, 200000 / each)) do
    for at = 1, each do
      picked[at] = ids[math.random(#ids)]
    end
    made[number] = wrk.format(nil, nil, nil, args[5] .. table.concat(picked, '","') .. args[6])
  end
end

function request()
  count = count % #made + 1
  return made[count]
end

function done(summary, latency)
  local errors = summary.errors
  local failed = errors.connect + errors.read + errors.write + errors.timeout
  io.write(string.format(
    '{"requests":%d,"seconds":%.6f,"p50Ms":%.3f,"p99Ms":%.3f,"failed":%d,"refused":%d}\n',
    summary.requests, summary.duration / 1e6, latency:percentile(50) / 1e3, latency:percentile(99) / 1e3,
    failed, errors.status))
end
