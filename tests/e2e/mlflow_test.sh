#!/usr/bin/env bash
# mlac train and mlac apply tracked by a real MLflow server: what its own client reads back of them, and what happens where it is not there.
#
#   tests/e2e/mlflow_test.sh MLAC
#
# MLAC_MLFLOW_PYTHON names a Python that has mlflow (`scripts/venv.sh tracking` makes one); without it the test is skipped (status 77).
set -euo pipefail
root=$(cd "$(dirname "${BASH_SOURCE[0]}")/../.." && pwd)
[ $# -eq 1 ] || { echo "usage: $0 MLAC" >&2; exit 2; }
mlac=$(realpath "$1") python=${MLAC_MLFLOW_PYTHON:-}
[ -n "$python" ] || { echo "skipped: MLAC_MLFLOW_PYTHON is not set"; exit 77; }
work=$(mktemp -d)
server=
finish() {
  local status=$?
  [ -z "$server" ] || kill -- "-$server" 2> /dev/null || true
  rm -rf "$work"
  exit $status
}
trap finish EXIT
fail() { echo "mlflow_test: $1" >&2; exit 1; }

base=$root/tests/parity/fixtures/models/classifier
rows() {  # COUNT: texts of three labels, each with a word of its own
  awk -v count="$1" 'BEGIN { print "text,label"; split("cat red night", own, " "); split("animal colour time", label, " ")
    for (i = 0; i < count; ++i) printf "%s the people %d,%s\n", own[i % 3 + 1], i, label[i % 3 + 1] }'
}
rows 60 > "$work/train.csv"
rows 30 > "$work/test.csv"

port=5000
while (exec 3<> "/dev/tcp/127.0.0.1/$port") 2> /dev/null; do port=$((port + 1)); done
url=http://127.0.0.1:$port
(cd "$work" && exec setsid "$python" -m mlflow server --host 127.0.0.1 --port "$port" --workers 1 --backend-store-uri "sqlite:///$work/runs.db" \
  --artifacts-destination "$work/artifacts" > "$work/server.log" 2>&1) &
server=$!
curl -sf --retry 100 --retry-connrefused --retry-delay 1 "$url/health" > /dev/null || { cat "$work/server.log" >&2; fail "the server did not start"; }

train=("$mlac" train text-classification -m "$base" --data "$work/train.csv" --test "$work/test.csv" --epochs 2 --lr 1e-3 --threads 1)
"${train[@]}" --out "$work/tracked" --track "$url" 2> "$work/train.log"
grep -q "tracked: $url/#/experiments/" "$work/train.log" || { cat "$work/train.log" >&2; fail "no page of the run"; }
"${train[@]}" --out "$work/plain" 2> /dev/null
cmp "$work/tracked/model.safetensors" "$work/plain/model.safetensors" || fail "tracking changed the weights"

mkdir "$work/project"
cp "$work"/{train,test}.csv "$work/project"
cat > "$work/project/mlac.yaml" << YAML
models:
  topics:
    base: $base
    data: {train: train.csv, test: test.csv}
    train: {epochs: 1, lr: 1e-3}
    gates: [accuracy >= 0]
  refused:
    base: $base
    data: {train: train.csv, test: test.csv}
    train: {epochs: 1, lr: 0}
    gates: [accuracy > 1]
YAML
status=0
(cd "$work/project" && MLFLOW_TRACKING_URI=$url MLFLOW_EXPERIMENT_NAME=project "$mlac" apply --threads 1 2> "$work/apply.log") || status=$?
[ "$status" = 1 ] || { cat "$work/apply.log" >&2; fail "apply ended with $status"; }

"$python" - "$url" "$work" << 'PYTHON'
import json, math, sys
from mlflow.tracking import MlflowClient

client, work = MlflowClient(sys.argv[1]), sys.argv[2]

def runs(experiment):
    return {run.info.run_name: run for run in client.search_runs([client.get_experiment_by_name(experiment).experiment_id])}

run = runs("mlac")["tracked"]
metrics = json.load(open(work + "/tracked/metrics.json"))
assert run.info.status == "FINISHED", run.info
assert run.data.params["epochs"] == "2" and run.data.params["lr"] == "0.001", run.data.params
assert math.isclose(run.data.metrics["test_accuracy"], metrics["accuracy"]), run.data.metrics
losses = client.get_metric_history(run.info.run_id, "loss")
assert [metric.step for metric in losses] == list(range(1, len(losses) + 1)) and len(losses) > 2, losses
assert len(client.get_metric_history(run.info.run_id, "train_loss")) == 2
assert {file.path for file in client.list_artifacts(run.info.run_id)} >= {"metrics.json", "README.md", "learning-curves.svg"}
path = client.download_artifacts(run.info.run_id, "metrics.json", work)
assert open(path).read() == open(work + "/tracked/metrics.json").read()
inputs = {each.tags[0].value: each.dataset for each in run.inputs.dataset_inputs}
assert inputs["training"].name == "train.csv" and inputs["testing"].name == "test.csv", inputs
assert run.data.tags["mlflow.source.name"] == "mlac train text-classification"

project = runs("project")
assert project["topics"].info.status == "FINISHED" and project["refused"].info.status == "FAILED", project
assert len(project["topics"].data.tags["mlac.revision"]) == 40 and project["topics"].data.tags["mlac.published"] == "true"
assert project["refused"].data.tags["mlac.refused_by"] == "gate"
assert "test_accuracy" in project["refused"].data.metrics
print(f"mlflow: {len(losses)} steps, {len(run.data.params)} parameters, {len(run.data.metrics)} metrics read back")
PYTHON

kill -- "-$server" && wait "$server" 2> /dev/null || true
server=
"${train[@]}" --out "$work/alone" --track "http://ann:secret@127.0.0.1:$port" 2> "$work/alone.log" || fail "training failed without the server"
[ "$(grep -c 'warning: tracking at' "$work/alone.log")" = 1 ] || { cat "$work/alone.log" >&2; fail "expected one warning"; }
! grep -q secret "$work/alone.log" || fail "a password was printed"
! grep -rq secret "$work/alone" || fail "a password is in the folder"
cmp "$work/alone/model.safetensors" "$work/plain/model.safetensors"
echo "mlflow: without the server: one warning, the same weights"
