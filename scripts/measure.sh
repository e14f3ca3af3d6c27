#!/usr/bin/env bash
# dev bench|reliability [NAME [OPTIONS...]]: builds mlac and runs bench/NAME.sh or tests/reliability/NAME.sh, which print their tables.
# Without NAME: what there is, by the second line of each script.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."
kind=$1 name=${2:-}
case "$kind" in bench) folder=bench ;; reliability) folder=tests/reliability ;; esac
if [ -z "$name" ]; then
  for script in "$folder"/*.sh; do [ ! -f "$script" ] || printf '%-16s %s\n' "$(basename "$script" .sh)" "$(sed -n '2s/^# //p' "$script")"; done
  exit 0
fi
[ -f "$folder/$name.sh" ] || { echo "dev $kind: there is no $folder/$name.sh; './dev $kind' lists what there is" >&2; exit 2; }
scripts/setup.sh build fetch "$kind"
./dev build release >&2
exec "$folder/$name.sh" "${@:3}"
