#!/usr/bin/env bash
# the server under load: errors, memory, batches, throughput at 1 and 64 connections; answers under mixed load against the answers alone
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/../.."
seconds=${1:-30}
model=$(scripts/fetch.sh minilm)
work=$(mktemp -d)
port=$((20000 + RANDOM % 20000))
"${MLAC_BINARY:-build/release/mlac}" serve "$model" --port "$port" 2> "$work/server.log" &
server=$!
trap 'kill "$server" 2> /dev/null || true; rm -rf "$work"' EXIT
for _ in $(seq 100); do curl -sf "http://127.0.0.1:$port/health" > /dev/null && break; sleep 0.1; done

grep -m 1 'model name' /proc/cpuinfo | cut -d: -f2 | sed 's/^ //' || true
cat > "$work/post.lua" <<'END'
wrk.method = "POST"
wrk.headers["Content-Type"] = "application/json"
-- 21 tokens with [CLS] and [SEP]
wrk.body = '{"input": "the quick brown fox jumps over the lazy dog and then runs far away into the dark forest ."}'
function done(summary, latency)
  io.write(string.format("RESULT %.1f %d %.2f %.2f\n", summary.requests / summary.duration * 1e6,
    summary.errors.connect + summary.errors.read + summary.errors.write + summary.errors.status + summary.errors.timeout,
    latency:percentile(50) / 1000, latency:percentile(99) / 1000))
end
END
load() { wrk -t "$1" -c "$1" -d "${2}s" -s "$work/post.lua" --timeout 30s "http://127.0.0.1:$port/v1/embeddings" | sed -n 's/^RESULT //p'; }
resident() { awk '/VmRSS/ { print $2 }' "/proc/$server/status"; }
metric() { curl -s "http://127.0.0.1:$port/metrics" | awk -v name="$1" '$1 == name { print $2 }'; }
tokens=$(curl -s "http://127.0.0.1:$port/v1/embeddings" -H 'Content-Type: application/json' -d "$(sed -n "s/^wrk.body = '\(.*\)'/\1/p" "$work/post.lua")" |
  sed -n 's/.*"prompt_tokens": *\([0-9]*\).*/\1/p')
echo "one text of $tokens tokens a request"

read -r one errors_one p50_one p99_one < <(load 1 "$((seconds / 3))")
before_sum=$(metric mlac_batch_sequences_sum) before_count=$(metric mlac_batch_sequences_count)
(sleep 10; resident > "$work/at10") &
sampler=$!
wrk -t 2 -c 64 -d "${seconds}s" -s "$work/post.lua" --timeout 30s "http://127.0.0.1:$port/v1/embeddings" > "$work/wrk" &
load=$!
sleep "$((seconds - 1))"
resident > "$work/at_end"
wait "$load" "$sampler"
read -r many errors_many p50_many p99_many < <(sed -n 's/^RESULT //p' "$work/wrk")
batch=$(awk -v s="$(metric mlac_batch_sequences_sum)" -v c="$(metric mlac_batch_sequences_count)" -v s0="$before_sum" -v c0="$before_count" \
  'BEGIN { printf "%.2f", (s - s0) / (c - c0) }')
growth=$(($(cat "$work/at_end") - $(cat "$work/at10")))

failed=0
row() {  # WHAT FOUND BOUND OK
  printf '%-58s %12s   %s\n' "$1" "$2" "$3"
  [ "$4" = 1 ] || { echo "  ^ outside of its bound"; failed=1; }
}
is() { awk "BEGIN { print ($1) ? 1 : 0 }"; }
row "requests/s, 1 connection (p50 ${p50_one} ms, p99 ${p99_one} ms)" "$one" "" 1
row "requests/s, 64 connections (p50 ${p50_many} ms, p99 ${p99_many} ms)" "$many" "at least that" "$(is "$many >= $one")"
row "errors" "$((errors_one + errors_many))" "0" "$(is "$errors_one + $errors_many == 0")"
row "resident memory, last second less second 10 (KiB)" "$growth" "at most 1024" "$(is "$growth <= 1024")"
row "mean batch (texts)" "$batch" "above 4" "$(is "$batch > 4")"
python3 tests/reliability/mixed_load.py "http://127.0.0.1:$port" 10000 || failed=1
kill -TERM "$server"
status=0
wait "$server" || status=$?
row "exit status after SIGTERM" "$status" "0" "$(is "$status == 0")"
exit "$failed"
