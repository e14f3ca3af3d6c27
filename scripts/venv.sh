#!/usr/bin/env bash
# Makes one of the Python environments that tests and benchmarks compare mlac with, and prints its folder. mlac itself needs none of them.
#
#   scripts/venv.sh [-y] NAME      -y: do not ask before fetching more than 1 GB
#
# The folder is $XDG_CACHE_HOME/mlac/venvs/NAME. It is made beside its place and renamed when whole; the file `pins` in it says what it
# was made from, so that a changed pin makes it anew. Only the folder is printed on stdout, all else on stderr.
set -euo pipefail

# Every requirement of an environment goes to pip in one command: torch has to be named there, else a package that depends on it pulls a
# CUDA build of several gigabytes. The environments are apart because their pins do not fit together.
pins_of() {
  case "$1" in
    parity)   echo torch==2.13.0 transformers==4.57.6 tokenizers==0.22.2 huggingface_hub==0.36.2 sentence-transformers==5.7.0 ;;
    five)     echo torch==2.13.0 transformers==5.24.0 sentence-transformers==6.2.0 peft==0.21.2 ;;
    clients)  echo huggingface_hub==2.4.0 openai==3.57.0 'tritonclient[http]==2.73.0' datasets==5.2.0 ;;
    openapi)  echo schemathesis==4.32.5 ;;
    hooks)    echo pre-commit==4.7.0 check-jsonschema==0.39.0 dvc==3.67.1 ;;
    tracking) echo mlflow==3.17.2 ;;  # 3.18.0 does not install
    rivals)   echo torch==2.13.0 transformers==4.57.6 tokenizers==0.22.2 sentence-transformers==5.7.0 onnx==1.23.2 onnxscript==0.7.2 \
                   onnxruntime==1.32.0 openvino==2026.4.1 nncf==3.4.0 ctranslate2==4.8.5 fastapi==0.165.0 uvicorn==0.54.0 uvloop==0.23.0 \
                   httptools==0.9.0 ;;
    compressed) echo torch==2.13.0 transformers==4.57.6 tokenizers==0.22.2 huggingface_hub==0.36.2 compressed-tensors==0.20.0 \
                   accelerate==1.15.0 ;;  # transformers loads quantised folders with accelerate alone
    tokenizers-rc) echo tokenizers==1.0.0rc3 ;;  # ids only: this release candidate has no offsets
    llama)    echo 'llama-cpp-python[server]==0.3.36' gguf==0.19.0 ;;  # compiled when installed, some ten minutes
    *) return 1 ;;
  esac
}
readonly names="parity, five, clients, openapi, hooks, tracking, rivals, compressed, tokenizers-rc, llama"

fail() { echo "venv.sh: $1" >&2; exit "${2:-1}"; }

ask=yes
if [[ "${1:-}" == -y ]]; then ask=no; shift; fi
[[ $# -eq 1 ]] || fail "one environment is expected; the known ones are $names" 2
readonly name="$1"
pins="$(pins_of "$name")" || fail "there is no environment '$name'; the known ones are $names" 2
readonly pins

readonly root="${XDG_CACHE_HOME:-$HOME/.cache}/mlac/venvs"
readonly folder="$root/$name" partial="$root/$name.partial"
python="$(python3 -c 'import sys; print("python%d.%d" % sys.version_info[:2])')" ||
  fail "python3 is not installed; on Debian: apt-get install python3-venv"
readonly stamp="$python $pins"
is_current() { [[ -f "$folder/pins" && "$(<"$folder/pins")" == "$stamp" ]]; }

if is_current; then echo "$folder"; exit 0; fi
mkdir -p "$root"
exec 9>"$root/$name.lock"
flock 9  # a second caller waits here and then finds the folder made
if is_current; then echo "$folder"; exit 0; fi

rm -rf "$partial"
trap 'rm -rf "$partial"' EXIT
python3 -m venv "$partial" >&2 || fail "python3 cannot make an environment; on Debian: apt-get install python3-venv"
pip() { "$partial/bin/python" -m pip --disable-pip-version-check "$@"; }

echo "venv.sh: looking up what $name needs" >&2
# shellcheck disable=SC2086  # the pins are words
pip install --quiet --dry-run --report "$partial/plan.json" $pins >&2
num_bytes="$("$partial/bin/python" - "$partial/plan.json" <<'PYTHON'
"""Prints the bytes that pip's plan downloads (a file on this disk counts as none), or -1 if a server does not tell."""
import concurrent.futures, json, os, sys
from pip._vendor import requests

urls = [item["download_info"]["url"] for item in json.load(open(sys.argv[1]))["install"]]
session = requests.Session()
session.verify = os.environ.get("PIP_CERT") or True

def num_bytes(url):
    try:
        answer = session.head(url, allow_redirects=True, timeout=30)
        return int(answer.headers["Content-Length"]) if answer.ok else None
    except (requests.RequestException, KeyError, ValueError):
        return None

with concurrent.futures.ThreadPoolExecutor(8) as pool:
    sizes = list(pool.map(num_bytes, [url for url in urls if not url.startswith("file:")]))
print(-1 if None in sizes else sum(sizes))
PYTHON
)"
if ((num_bytes < 0)); then size="a size that the registry does not tell"; else size="$((num_bytes / 1000000)) MB"; fi
if [[ $ask == yes ]] && ((num_bytes < 0 || num_bytes > 1000000000)); then
  [[ -t 0 ]] || fail "$name would fetch $size; say -y to agree"
  read -r -p "$name fetches $size into $folder. Go on? [y/N] " answer
  [[ "$answer" == [yY]* ]] || fail "nothing was fetched"
fi

echo "venv.sh: installing $name ($size)" >&2
export CMAKE_ARGS="${CMAKE_ARGS:--DLLAVA_BUILD=OFF}"  # llama-cpp-python: not its image models
# shellcheck disable=SC2086
pip install --quiet $pins >&2
# The scripts in bin/ name their interpreter by its full path.
grep -rlI --null "$partial" "$partial/bin" "$partial/pyvenv.cfg" | xargs -0 -r sed -i "s|$partial|$folder|g"
rm "$partial/plan.json"
echo "$stamp" >"$partial/pins"
rm -rf "$folder"
mv "$partial" "$folder"
trap - EXIT
echo "$folder"
