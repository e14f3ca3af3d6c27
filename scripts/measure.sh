#!/usr/bin/env bash
# dev bench [NAME] [OPTIONS...]: builds mlac and its worker and runs bench/NAME.sh, all of them without NAME (--quick: under 3 minutes once the
# peers' environments exist). dev bench --list: what there is, by the second line of each script.
# dev reliability [NAME [OPTIONS...]]: the same with tests/reliability/NAME.sh; without NAME: what there is.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."
kind=$1 name=${2:-}
case "$kind" in
  bench)
    folder=bench preset=bench
    case "$name" in --list) name= ;; "" | -*) set -- bench all "${@:2}"; name=all ;; esac ;;
  reliability) folder=tests/reliability preset=release ;;
esac
if [ -z "$name" ]; then
  for script in "$folder"/*.sh; do [ ! -f "$script" ] || printf '%-16s %s\n' "$(basename "$script" .sh)" "$(sed -n '2s/^# //p' "$script")"; done
  exit 0
fi
[ -f "$folder/$name.sh" ] || { echo "dev $kind: there is no $folder/$name.sh; $(ls "$folder"/*.sh | xargs -n 1 basename -s .sh | paste -s -d ' ') are" >&2; exit 2; }
scripts/setup.sh build fetch "$kind"
./dev build "$preset" >&2
exec "$folder/$name.sh" "${@:3}"
