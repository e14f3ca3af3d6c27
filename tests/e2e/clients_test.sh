#!/usr/bin/env bash
# One server of several models, asked with the packages that people use (openai, huggingface_hub, tritonclient) and with curl: the values of
# `mlac run`, bit for bit.
#
#   tests/e2e/clients_test.sh MLAC
#
# MLAC_CLIENTS_PYTHON names a Python that has the packages (`scripts/venv.sh clients` makes one); without it the test is skipped (status 77).
set -euo pipefail
root=$(cd "$(dirname "${BASH_SOURCE[0]}")/../.." && pwd)
[ $# -eq 1 ] || { echo "usage: $0 MLAC" >&2; exit 2; }
mlac=$(realpath "$1") python=${MLAC_CLIENTS_PYTHON:-}
[ -n "$python" ] || { echo "skipped: MLAC_CLIENTS_PYTHON is not set"; exit 77; }
models=$root/tests/parity/fixtures/models families=$root/tests/parity/fixtures/families
work=$(mktemp -d)
server=
finish() {
  local status=$?
  [ -z "$server" ] || kill "$server" 2> /dev/null || true
  rm -rf "$work"
  exit $status
}
trap finish EXIT

texts=("how do I reset my password" "I forgot my login" "nice weather today")
printf '%s\n' "${texts[@]}" | "$python" -c 'import json, sys; json.dump(sys.stdin.read().split("\n")[:-1], sys.stdout)' > "$work/texts.json"
"$mlac" run feature-extraction -m "$models/st_mean" --json "${texts[@]}" > "$work/vectors.json"
"$mlac" run sentence-similarity -m "$models/st_mean" --json "${texts[@]}" > "$work/similarities.json"
"$mlac" run text-classification -m "$models/classifier" --top-k all --json "${texts[@]}" > "$work/labels.json"
"$mlac" run token-classification -m "$families/bert_tokens" --json "${texts[@]}" > "$work/entities.json"
"$mlac" run question-answering -m "$families/bert_qa" --json --question "${texts[0]}" "${texts[@]}" > "$work/answers.json"
"$mlac" run zero-shot-classification -m "$families/electra_nli" --json --labels cats,dogs "${texts[@]}" > "$work/own-labels.json"
masked=("the [MASK] is here" "a [MASK]")
printf '%s\n' "${masked[@]}" | "$python" -c 'import json, sys; json.dump(sys.stdin.read().split("\n")[:-1], sys.stdout)' > "$work/masked.json"
"$mlac" run fill-mask -m "$families/distilbert_masked_lm" --json "${masked[@]}" > "$work/words.json"

port=8080
while (exec 3<> "/dev/tcp/127.0.0.1/$port") 2> /dev/null; do port=$((port + 1)); done
"$mlac" serve embeds="$models/st_mean" sorts="$models/classifier" tokens="$families/bert_tokens" answers="$families/bert_qa" \
  entails="$families/electra_nli" masks="$families/distilbert_masked_lm" --port "$port" 2> "$work/server.log" &
server=$!
url=http://127.0.0.1:$port
curl -sf --retry 100 --retry-connrefused --retry-delay 1 "$url/health"

"$python" "$root/tests/e2e/openai_client.py" "$url/v1" "$work/texts.json" "$work/vectors.json" --model embeds
for at in "$url" "$url/models/embeds"; do
  "$python" "$root/tests/e2e/hub_client.py" "$at" feature-extraction "$work/texts.json" "$work/vectors.json"
  "$python" "$root/tests/e2e/hub_client.py" "$at" sentence-similarity "$work/texts.json" "$work/similarities.json"
done
"$python" "$root/tests/e2e/hub_client.py" "$url/models/sorts" text-classification "$work/texts.json" "$work/labels.json"
"$python" "$root/tests/e2e/hub_client.py" "$url/models/tokens" token-classification "$work/texts.json" "$work/entities.json"
"$python" "$root/tests/e2e/hub_client.py" "$url/models/answers" question-answering "$work/texts.json" "$work/answers.json"
"$python" "$root/tests/e2e/hub_client.py" "$url/models/entails" zero-shot-classification "$work/texts.json" "$work/own-labels.json"
"$python" "$root/tests/e2e/hub_client.py" "$url/models/masks" fill-mask "$work/masked.json" "$work/words.json"
"$python" "$root/tests/e2e/triton_client.py" "127.0.0.1:$port" embeds feature-extraction "$work/texts.json" "$work/vectors.json"
"$python" "$root/tests/e2e/triton_client.py" "127.0.0.1:$port" sorts text-classification "$work/texts.json" "$work/labels.json"

# curl, one text and two, at every route that gives vectors as the folder wants them.
post() { curl -sf "$url$1" -H 'Content-Type: application/json' -d "$2"; }
same() {  # EXPECTED FOUND: JSON with the same values as float32
  "$python" -c 'import json, sys, numpy; a, b = (numpy.array(json.load(open(path)), dtype=numpy.float32) for path in sys.argv[1:])
sys.exit(a.tobytes() != b.tobytes())' "$1" "$2" || { echo "curl: $2 differs from $1" >&2; exit 1; }
}
for count in 1 2; do
  body=$("$python" -c 'import json, sys; print(json.dumps({"inputs": json.load(open(sys.argv[1]))[: int(sys.argv[2])]}))' "$work/texts.json" "$count")
  "$python" -c 'import json, sys; json.dump(json.load(open(sys.argv[1]))[: int(sys.argv[2])], sys.stdout)' "$work/vectors.json" "$count" > "$work/expected.json"
  for path in / /models/embeds /invocations /models/embeds/invocations; do
    post "$path" "$body" > "$work/found.json"
    same "$work/expected.json" "$work/found.json"
  done
done
echo "curl: 0 bits different"
kill "$server"
wait "$server"
server=
