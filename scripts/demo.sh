#!/usr/bin/env bash
# dev demo: the main job on real data, from nothing. Each step shows the command that it runs, so that it can be copied.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

step() { printf '\n\033[1m== %s\033[0m  (%d s)\n' "$1" "$SECONDS" | if [ -t 1 ]; then cat; else sed 's/\x1b\[[01]m//g'; fi; }
show() { printf '$ %s\n' "$(quoted "$@")"; }
run() { show "$@"; "$@"; }
# The words as a shell takes them, quoted only where they need it.
quoted() { local word; for word in "$@"; do if [[ $word =~ ^[A-Za-z0-9_./:=,@+-]+$ ]]; then printf '%s ' "$word"; else printf "'%s' " "${word//\'/\'\\\'\'}"; fi; done; }
# The number behind "name": in the JSON on stdin.
number() { sed -n "s/.*\"$1\": *\([0-9.eE+-]*\).*/\1/p" | head -n 1; }
free_port() { local port=8080; while (exec 3<> "/dev/tcp/127.0.0.1/$port") 2> /dev/null; do port=$((port + 1)); done; echo "$port"; }

step "Packages and program"
scripts/setup.sh build fetch demo
./dev build
export PATH="$PWD/build/release:$PATH"
echo "To copy the commands below into a shell: cd $PWD; export PATH=\"\$PWD/build/release:\$PATH\""

step "A pre-trained model and labelled texts"
model=$(scripts/fetch.sh minilm)
wordnet=$(scripts/fetch.sh wordnet)
mkdir -p build/demo
ln -sfn "$model" build/demo/minilm
cd build/demo
summary=$(python3 ../../scripts/wordnet_csv.py "$wordnet/data.noun" .)
echo "$summary"
largest_class=${summary##*, }
echo "A few of them:"
sed -n '2,5p' train.csv
echo "The commands run in build/demo."

step "How near are sentences to the first one?"
run mlac run sentence-similarity -m minilm "how do I reset my password" "I forgot my login" "nice weather"

recipe=(--data train.csv --text-column text --target-column label --validation-split 0 --epochs 2 --batch-size 32 --max-length 64 --seed 0)
step "Fine-tune a topic classifier"
run mlac train text-classification -m minilm "${recipe[@]}" --lr 1e-4 --out topics --overwrite
step "For comparison: the head alone, on the frozen encoder"
run mlac train text-classification -m minilm "${recipe[@]}" --lr 1e-2 --freeze --out frozen --overwrite

step "How good is it, on texts that it has not seen?"
run mlac eval topics --data test.csv
tuned=$(mlac eval topics --data test.csv --json)
frozen=$(mlac eval frozen --data test.csv --json)
printf '\n%-34s %9s %9s\n' "" accuracy macro-F1
printf '%-34s %9s %9s\n' "always the largest class" "$largest_class" ""
printf '%-34s %9.3f %9.3f\n' "the head alone, encoder frozen" "$(number accuracy <<< "$frozen")" "$(number macro_f1 <<< "$frozen")" \
  "fine-tuned" "$(number accuracy <<< "$tuned")" "$(number macro_f1 <<< "$tuned")"

step "Classify a sentence"
sentence="a large striped cat of the jungle"
if [ -t 0 ]; then read -r -e -p "type over it, or press Enter: " -i "$sentence" sentence; fi
run mlac run text-classification -m topics "$sentence"

step "Serve it"
port=$(free_port)
printf '$ mlac serve topics --port %s &\n' "$port"
mlac serve topics --port "$port" 2> serve.log &
server=$!
trap 'kill $server 2> /dev/null || true' EXIT
for _ in $(seq 100); do
  curl -sf "http://127.0.0.1:$port/health" > /dev/null && break
  kill -0 $server 2> /dev/null || { cat serve.log >&2; exit 1; }
  sleep 0.1
done
body=$(python3 -c 'import json, sys; print(json.dumps({"inputs": sys.argv[1]}))' "$sentence")
run curl -s "http://127.0.0.1:$port/predict" -H "Content-Type: application/json" -d "$body"
printf '\n'
show curl -s "http://127.0.0.1:$port/metrics"
curl -s "http://127.0.0.1:$port/metrics" | awk '!/^#/ && ++n <= 12'
show kill -TERM "$server"
kill -TERM $server
wait $server
trap - EXIT
echo "The server answered what it held, and stopped."

step "Models as code: plan and apply"
rm -rf repository
cp -r ../../examples/topics repository
mkdir -p repository/data repository/models
head -n 601 train.csv > repository/data/train.csv
head -n 401 test.csv > repository/data/test.csv
ln -sfn ../../minilm repository/models/minilm
cd repository
echo "In build/demo/repository, a copy of examples/topics with 600 rows:"
run cat mlac.yaml
run mlac plan
run mlac apply --no-report
step "Ten rows change: what depends on them runs, and nothing else"
sed -i '2,11d' data/train.csv
run mlac plan
run mlac apply --no-report
run mlac promote topics@latest production -m "the first one"
step "A change that makes it worse is refused, and nothing is published"
run sed -i 's/lr: 1e-4/lr: 1e-7/' mlac.yaml
show mlac apply --no-report
if mlac apply --no-report; then echo "it was let through" >&2; exit 1; fi
run mlac status
step "A change that is good goes to production, answers, and is taken back"
run sed -i 's/lr: 1e-7/lr: 2e-4/' mlac.yaml
run mlac apply --no-report
run mlac promote topics@latest production -m "learns faster"
run mlac run text-classification -m topics@production "$sentence"
run mlac rollback topics production -m "only to show it"
run mlac log topics@production
cd ..

step "Done"
echo "The classifier is the folder $PWD/topics: read its README.md, and open it in transformers as it is."
