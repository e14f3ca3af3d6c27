#!/usr/bin/env bash
# What neighbours run mlac by, and read of it: the pre-commit hooks by pre-commit itself, the files of `mlac init --ci` by their schemas and by a shell that
# does what the CI would, metrics.json by dvc.
#
#   tests/e2e/hooks_test.sh MLAC
#
# MLAC_HOOKS_PYTHON names a Python that has pre-commit, check-jsonschema and dvc (`scripts/venv.sh hooks` makes one); without it the test is skipped (status 77).
set -euo pipefail
root=$(cd "$(dirname "${BASH_SOURCE[0]}")/../.." && pwd)
[ $# -eq 1 ] || { echo "usage: $0 MLAC" >&2; exit 2; }
mlac=$(realpath "$1") python=${MLAC_HOOKS_PYTHON:-}
[ -n "$python" ] || { echo "skipped: MLAC_HOOKS_PYTHON is not set"; exit 77; }
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
fail() { echo "hooks_test: $1" >&2; exit 1; }
expect_status() {  # STATUS COMMAND...: its output goes to $work/out
  local expected=$1 status=0
  shift
  "$@" > "$work/out" 2>&1 || status=$?
  [ "$status" = "$expected" ] || { cat "$work/out" >&2; fail "$*: status $status, expected $expected"; }
}
says() { grep -qF -- "$1" "$work/out" || { cat "$work/out" >&2; fail "nothing of '$1'"; }; }

mkdir "$work/bin" "$work/home"
ln -s "$mlac" "$work/bin/mlac"
export PATH="$work/bin:$PATH" HOME=$work/home PRE_COMMIT_HOME=$work/home/pre-commit OMP_NUM_THREADS=1 GIT_CONFIG_NOSYSTEM=1
git config --global user.name ann
git config --global user.email ann@example.org
git config --global init.defaultBranch main
git config --global protocol.file.allow always

# A repository of models whose base is one of the fixtures.
repository=$work/repository
mkdir "$repository"
cd "$repository"
git init -q
rows() {  # FROM TO
  awk -v from="$1" -v to="$2" 'BEGIN { print "text,label"; split("cat red night", own, " "); split("animal colour time", label, " ")
    for (i = from; i < to; ++i) printf "%s the people %d,%s\n", own[i % 3 + 1], i, label[i % 3 + 1] }'
}
rows 0 60 > train.csv
rows 60 90 > test.csv
base=$root/tests/parity/fixtures/models/classifier

# ---- The files for CI ----

mlac init --name topics --data train.csv --test test.csv -m "$base" --ci github > /dev/null
rm mlac.yaml tests/topics.yaml .gitignore
mlac init --name topics --data train.csv --test test.csv -m "$base" --ci gitlab > /dev/null
workflow=.github/workflows/models.yaml
"$python" -m check_jsonschema --builtin-schema vendor.github-workflows "$workflow"
"$python" -m check_jsonschema --builtin-schema vendor.gitlab-ci --data-transform gitlab-ci .gitlab-ci.yml
cat > mlac.yaml << YAML
models:
  topics:
    base: $base
    data: {train: train.csv, test: test.csv}
    train: {epochs: 1}
    gates: [accuracy >= production - 0.5]
YAML

# The shell commands of a job for an event, as the CI runs them: one file a command. Expressions must be those that are known here.
cat > "$work/steps.py" << 'PYTHON'
import sys, yaml

document, event, out = yaml.safe_load(open(sys.argv[1])), sys.argv[2], sys.argv[3]
events = ("pull_request", "push", "workflow_dispatch")
if event in events:
    assert document["defaults"]["run"]["shell"] == "bash"
    assert set(document[True]) == {"pull_request", "push", "workflow_dispatch"}, "YAML 1.1 reads the key 'on' as true, and so does GitHub's own reader"
    known = {"": events, "github.event_name == 'pull_request'": ("pull_request",), "github.event_name == 'push'": ("push",),
             "github.event_name == 'push' && !cancelled()": ("push",), "github.event_name == 'workflow_dispatch'": ("workflow_dispatch",)}
    job = document["jobs"]["models"]
    assert job["env"]["MLAC_DEB"] == job["env"]["BASE_MODELS"] == "", "a person fills them in"
    assert [step["with"]["path"] for step in job["steps"] if step.get("uses", "").startswith("actions/cache@")] == [".mlac"]
    commands = [step["run"] for step in job["steps"] if "run" in step and event in known[step.get("if", "")]]
else:
    on_main = "$CI_COMMIT_BRANCH == $CI_DEFAULT_BRANCH"
    rule, by_hand = {"merge_request": ('$CI_PIPELINE_SOURCE == "merge_request_event"', False), "main": (on_main, False), "promote": (on_main, True)}[event]
    assert document["variables"] == {"MLAC_DEB": "", "BASE_MODELS": ""} and document["cache"]["paths"] == [".mlac"]
    jobs = [job for job in document.values() if "script" in job]
    commands = list(document["default"]["before_script"])
    commands += [line for job in jobs if job["rules"][0]["if"] == rule and (job["rules"][0].get("when") == "manual") == by_hand for line in job["script"]]
assert commands
for number, command in enumerate(commands):
    assert "${{" not in command, "an expression in a command is not quoted by the shell"
    open(f"{out}/{number}", "w").write(command)
PYTHON
# What the files leave to be filled in: nothing, where the runner has mlac and the base.
export MLAC_DEB="" BASE_MODELS=""
run_steps() {  # FILE EVENT: stops at the first that fails, but for the last one, which shows what came of it
  local status=0 step
  rm -rf "$work/steps" && mkdir "$work/steps"
  "$python" "$work/steps.py" "$1" "$2" "$work/steps"
  for step in "$work/steps"/*; do
    bash --noprofile --norc -eo pipefail "$step" || { status=$?; [ "$2" = push ] || return $status; }
  done
  return $status
}
# gh: writes down what it was asked for, and knows one pull request.
cat > "$work/bin/gh" << 'SHELL'
#!/bin/sh
echo "$@" >> "$GH_LOG"
case "$*" in "pr list "*) echo 8 ;; *--body-file*) for file in "$@"; do :; done; cat "$file" >> "$GH_LOG" ;; esac
SHELL
chmod +x "$work/bin/gh"
export GH_LOG=$work/gh.log GITHUB_STEP_SUMMARY=$work/summary NUMBER=7 GITHUB_SHA=0123456789
: > "$GH_LOG"
expect_status 0 run_steps "$workflow" pull_request
grep -q '^pr comment 7 --body-file plan.txt$' "$GH_LOG" && grep -q '^  train     run  first time' "$GH_LOG" || fail "the plan was not posted"
[ ! -e .mlac ] || fail "a pull request made a store"
expect_status 0 run_steps .gitlab-ci.yml merge_request
says "train     run  first time"
expect_status 0 run_steps "$workflow" push
grep -q '^## topics@' "$work/summary" || fail "no comparison in the summary"
grep -q '^pr comment 8 --body-file comparison.md$' "$GH_LOG" || fail "no comparison on the pull request"
MODEL=topics expect_status 0 run_steps "$workflow" workflow_dispatch
[ "$(mlac store path topics@production)" = "$(mlac store path topics@latest)" ] || fail "the workflow by hand promoted nothing"
: > "$GITHUB_STEP_SUMMARY"
sed -i 's/production - 0.5/production + 0.5/; s/epochs: 1/epochs: 2/' mlac.yaml
expect_status 1 run_steps "$workflow" push
grep -q '^## topics: refused by gate' "$work/summary" || fail "a refusal is not in the summary"
expect_status 1 run_steps .gitlab-ci.yml main
says "refused by gate"
sed -i 's/production + 0.5/production - 0.5/' mlac.yaml
expect_status 0 run_steps .gitlab-ci.yml main
grep -q 'instead of topics@' comparison.md || fail "no comparison with production"
expect_status 0 run_steps .gitlab-ci.yml promote

# A runner that has neither mlac nor the base gets both from where the file says.
"$python" "$work/steps.py" "$workflow" pull_request "$(mkdir -p "$work/first" && echo "$work/first")"
tools=$work/tools
mkdir "$tools" "$work/fresh"
for tool in bash mktemp cp tar gzip mkdir rm; do ln -s "$(command -v $tool)" "$tools/$tool"; done
printf '#!/bin/sh\nexec "$@"\n' > "$tools/sudo"
printf '#!/bin/sh\necho "$@" >> "$GH_LOG"\n' > "$tools/apt-get"
printf '#!/bin/sh\nfor url in "$@"; do :; done\ncase $1 in -fsSLo) echo deb > "$2" ;; *) exec cat "${url#https://example.org}" ;; esac\n' > "$tools/curl"
ln -s "$(command -v cat)" "$tools/cat"
chmod +x "$tools/sudo" "$tools/apt-get" "$tools/curl"
in_fresh() { (cd "$work/fresh" && PATH=$tools MLAC_DEB=${deb-} BASE_MODELS=${bases-} bash --noprofile --norc -eo pipefail "$1"); }
expect_status 1 in_fresh "$work/first/0"
says "fill in MLAC_DEB"
: > "$GH_LOG"
deb=https://example.org/mlac.deb expect_status 0 in_fresh "$work/first/0"
grep -q '^install -y /.*/mlac.deb$' "$GH_LOG" || fail "the .deb was not installed"
sed "s|$base|models/base|g" "$work/first/1" > "$work/first/base"
expect_status 1 in_fresh "$work/first/base"
says "fill in BASE_MODELS"
mkdir -p "$work/archive/models"
ln -s "$base" "$work/archive/models/base"
tar -C "$work/archive" -czhf "$work/base.tar.gz" models/base    # as the comment in the file has it
for bases in "$work/base.tar.gz" "https://example.org$work/base.tar.gz"; do
  rm -rf "$work/fresh/models"
  expect_status 0 in_fresh "$work/first/base"
  [ -f "$work/fresh/models/base/config.json" ] || fail "the base was not unpacked from $bases"
done
echo "models: [" > broken.yaml
mv mlac.yaml good.yaml && mv broken.yaml mlac.yaml
expect_status 1 run_steps "$workflow" pull_request
expect_status 1 run_steps .gitlab-ci.yml merge_request
mv good.yaml mlac.yaml
rm -rf .github .gitlab-ci.yml .mlac ./*.txt ./*.md

# ---- dvc ----

mlac apply > /dev/null 2>&1
mkdir "$work/dvc"
cp "$(mlac store path topics@latest)/metrics.json" "$work/dvc"
(cd "$work/dvc" && DVC_NO_ANALYTICS=1 "$python" -m dvc init -q --no-scm && "$python" -m dvc metrics show --json metrics.json > "$work/metrics.json")
"$python" - "$work/metrics.json" "$work/dvc/metrics.json" << 'PYTHON'
import json, sys

shown, metrics = json.load(open(sys.argv[1])), json.load(open(sys.argv[2]))
read = shown[""]["data"]["metrics.json"]["data"]
assert read["accuracy"] == metrics["accuracy"] and read["per_class"]["animal"]["f1"] == metrics["per_class"]["animal"]["f1"], read
PYTHON
rm -rf .mlac

# ---- The hooks ----

# mlac's repository as pre-commit sees it: a clone with a file of hooks.
hooks=$work/hooks
git init -q "$hooks"
cp "$root/.pre-commit-hooks.yaml" "$hooks"
git -C "$hooks" add .
git -C "$hooks" commit -qm "hooks"
"$python" -m pre_commit validate-manifest "$hooks/.pre-commit-hooks.yaml"
git add .
git commit -qm "models"
expect_status 0 "$python" -m pre_commit try-repo "$hooks" mlac-validate --all-files
says "mlac.yaml can be planned"
says Passed
expect_status 1 "$python" -m pre_commit try-repo "$hooks" mlac-plan --all-files
says "first time"

cat > .pre-commit-config.yaml << YAML
repos:
  - repo: $hooks
    rev: $(git -C "$hooks" rev-parse HEAD)
    hooks: [{id: mlac-validate}]
YAML
"$python" -m pre_commit install > /dev/null
git add .pre-commit-config.yaml
expect_status 0 git commit -qm "hooks"
says "(no files to check)Skipped"
sed -i 's/accuracy/acuracy/' mlac.yaml
git add mlac.yaml
expect_status 1 git commit -qm "a gate that cannot be read"
says "there is no figure 'acuracy'"
sed -i 's/acuracy/accuracy/; s/train.csv/gone.csv/' mlac.yaml
git add mlac.yaml
expect_status 1 git commit -qm "data that is not there"
says "models.topics.data.train: gone.csv"
sed -i 's/gone.csv/train.csv/; s/epochs: 2/epochs: 1/' mlac.yaml
git add mlac.yaml
expect_status 0 git commit -qm "one epoch"
says Passed

sed -i 's/mlac-validate/mlac-plan/' .pre-commit-config.yaml
git add .pre-commit-config.yaml
expect_status 1 git commit -qm "nothing may be left to apply"
mlac apply > /dev/null 2>&1
expect_status 0 git commit -qm "nothing may be left to apply"
says Passed
[ "$(git log --format=%s | head -n 2 | tr '\n' ';')" = "nothing may be left to apply;one epoch;" ] || fail "other commits than those that may be"
echo "the hooks and the files for CI do what they say"
