#!/usr/bin/env bash
# all of them but this one after the other, then docs/performance.md: bench/all.sh [--quick], which leaves out wordnet and the document
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."
names="gemm tokenizer process train serving texts encoder wordnet"
quick=no
case " $* " in *" --quick "*) quick=yes names=${names% wordnet} ;; esac
failed=()
for name in $names; do
  echo "== $name"
  if [ "$name" = wordnet ]; then bench/wordnet.sh; else bench/"$name".sh "$@"; fi || failed+=("$name")
done
[ $quick = yes ] || python3 bench/report.py
[ ${#failed[@]} -eq 0 ] || { echo "dev bench: failed: ${failed[*]}" >&2; exit 1; }
