-- Asks as a version of HTTP that is given as an argument: 1.0 has a connection for each request.
function init(arguments)
  if arguments[1] ~= "1.1" then
    local asked = wrk.format():gsub("HTTP/1.1", "HTTP/" .. arguments[1], 1)
    request = function() return asked end
  end
end

-- Prints what wrk has counted, in requests, seconds and milliseconds.
function done(summary, latency)
  local errors = summary.errors
  io.write(string.format(
    '\n{"requests": %d, "seconds": %.6f, "failed": %d, "cut": %d, "p50": %.3f, "p99": %.3f}\n',
    summary.requests, summary.duration / 1e6,
    errors.status + errors.connect + errors.write + errors.timeout, errors.read,
    latency:percentile(50) / 1e3, latency:percentile(99) / 1e3
  ))
end
