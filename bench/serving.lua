-- For wrk: one text of 21 tokens a request, and a line for bench/serving.py.
wrk.method = "POST"
wrk.headers["Content-Type"] = "application/json"
wrk.body = os.getenv("MLAC_BENCH_BODY")

function done(summary, latency)
  local errors = summary.errors.connect + summary.errors.read + summary.errors.write + summary.errors.status + summary.errors.timeout
  io.write(string.format("RESULT %.2f %d %.3f %.3f\n", summary.requests / summary.duration * 1e6, errors, latency:percentile(50) / 1000,
    latency:percentile(99) / 1000))
end
