#!/usr/bin/env bash
# all of them but this one after the other, then docs/performance.md: bench/all.sh [--quick], which leaves out wordnet, spam and the document
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."
names="gemm tokenizer process train serving texts encoder wordnet spam"
quick=no
case " $* " in *" --quick "*) quick=yes names=${names% wordnet spam} ;; esac
failed=()
for name in $names; do
  echo "== $name"
  case "$name" in wordnet | spam) bench/"$name".sh ;; *) bench/"$name".sh "$@" ;; esac || failed+=("$name")
done
[ $quick = yes ] || python3 bench/report.py
[ ${#failed[@]} -eq 0 ] || { echo "dev bench: failed: ${failed[*]}" >&2; exit 1; }
