#!/usr/bin/env bash
# Runs every command of docs/tutorial.md: the blocks marked `sh`, in order, in one shell, in a scratch folder. The first command that fails
# ends it with status 1 and is named with its line. The page's port is replaced by a free one.
#
#   tests/docs/tutorial_test.sh MLAC [PAGE]      MLAC: the program; PAGE: docs/tutorial.md unless given
#
# MLAC_MINILM names the folder of MiniLM; without it the test is skipped (status 77). With MLAC_CLIENTS_PYTHON, a Python that has the openai
# package, blocks marked `python` are run too.
set -euo pipefail
root=$(cd "$(dirname "${BASH_SOURCE[0]}")/../.." && pwd)
[ $# -ge 1 ] || { echo "usage: $0 MLAC [PAGE]" >&2; exit 2; }
program=$(realpath "$1") page=$(realpath "${2:-$root/docs/tutorial.md}")
[ -n "${MLAC_MINILM:-}" ] || { echo "skipped: MLAC_MINILM does not name the folder of MiniLM"; exit 77; }
MLAC_MINILM=$(realpath "$MLAC_MINILM")
export MLAC_MINILM

scratch=$(mktemp -d)
finish() {
  local status=$?
  # The page's own servers, should it have ended before it stopped them: children of the shell that runs it.
  if [ -n "${shell:-}" ]; then pkill -TERM -P "$shell" 2> /dev/null || true; fi
  rm -rf "$scratch"
  exit $status
}
trap finish EXIT

# What the page finds in a clone: the data of the page, and a dev that builds nothing and fetches nothing.
mkdir "$scratch/bin"
ln -s "$program" "$scratch/bin/mlac"
ln -s "$root/docs" "$scratch/docs"
cat > "$scratch/dev" <<'DEV'
#!/usr/bin/env bash
case "$*" in
  build) ;;
  "fetch minilm") echo "$MLAC_MINILM" ;;
  *) echo "the tutorial's test has no './dev $*'" >&2; exit 1 ;;
esac
DEV
chmod +x "$scratch/dev"
port=8080
while (exec 3<> "/dev/tcp/127.0.0.1/$port") 2> /dev/null; do port=$((port + 1)); done

# One script of all blocks, each line at its own number, so that bash names the line of the page.
awk -v port="$port" -v python="${MLAC_CLIENTS_PYTHON:-}" '
  /^```sh$/ { print "echo \"-- line " NR "\" >&2"; inside = 1; next }
  /^```python$/ { print (python != "" ? "" : ": ") "\"" python "\" - <<\"PYTHON_OF_THE_PAGE\""; inside = 2; next }
  /^```$/ && inside == 2 { print "PYTHON_OF_THE_PAGE"; inside = 0; next }
  /^```/ { print ""; inside = 0; next }
  { if (inside) { gsub(/8080/, port); print } else print "" }
  inside == 1 { commands += !/^ *$/ }
  END { if (commands < 10) exit 1 }' "$page" > "$scratch/page.sh" || { echo "$page: too few commands" >&2; exit 1; }

cd "$scratch"
export PATH="$scratch/bin:$PATH"
begin=$SECONDS
bash -eEuo pipefail -c 'trap '\''echo "line $LINENO of the page failed: $BASH_COMMAND" >&2'\'' ERR; source ./page.sh' &
shell=$!
wait "$shell" || { echo "$(basename "$page"): a command failed" >&2; exit 1; }
[ -n "${MLAC_CLIENTS_PYTHON:-}" ] || echo "the python blocks were not run: MLAC_CLIENTS_PYTHON is not set"
echo "$(basename "$page"): every command ended with status 0 ($((SECONDS - begin)) s)"
