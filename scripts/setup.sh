#!/usr/bin/env bash
# dev setup [--list] [WHAT...]: installs the Debian packages that packages.txt marks with one of WHAT (default: build). Where that is not
# possible it names what is missing. Says nothing, and asks no network, if all is there. --list: prints their names and installs nothing.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

die() { printf 'dev setup: %s\n' "$@" >&2; exit 1; }

is_installed() { [ "$(dpkg-query -W -f '${db:Status-Status}' "$1" 2> /dev/null)" = installed ]; }

# The packages of packages.txt whose second column names one of the arguments.
wanted() {
  awk -v what="$*" '
    BEGIN { n = split(what, list, " "); for (i = 1; i <= n; ++i) want[list[i]] = 1 }
    /^[^#]/ && NF { n = split($2, marks, ","); for (i = 1; i <= n; ++i) if (marks[i] in want) { print $1; next } }' packages.txt
}

list=no
if [ "${1:-}" = --list ]; then list=yes; shift; fi
[ $# -gt 0 ] || set -- build
if [ $list = yes ]; then wanted "$@"; exit 0; fi
if ! command -v dpkg-query > /dev/null; then
  echo "dev setup: no Debian system; needed are (by Debian's names): $(wanted "$@" | paste -s -d ' ')" >&2
  exit 0  # CMake and the scripts say what is missing
fi

missing=()
for package in $(wanted "$@"); do is_installed "$package" || missing+=("$package"); done
[ ${#missing[@]} -gt 0 ] || exit 0

if [[ " ${missing[*]} " == *" libboost1.81-dev "* ]] && is_installed libboost1.74-dev; then
  die "libboost1.81-dev cannot be installed beside libboost1.74-dev, which is here." \
      "If nothing of yours needs it: apt-get remove libboost1.74-dev; then run this again."
fi

if [ "$(id -u)" = 0 ]; then
  as_root=()
elif command -v sudo > /dev/null && { [ -t 0 ] || sudo -n true 2> /dev/null; }; then
  as_root=(sudo)
else
  die "these packages are missing, and installing them needs root: ${missing[*]}"
fi

apt=("${as_root[@]}" env DEBIAN_FRONTEND=noninteractive apt-get -q -o Acquire::Retries=3 -o DPkg::Lock::Timeout=300)
echo "dev setup: installing ${missing[*]}" >&2
"${apt[@]}" update >&2 || echo "dev setup: apt-get update failed; going on with the package lists that are here" >&2
"${apt[@]}" install --yes --no-remove --no-install-recommends "${missing[@]}" < /dev/null >&2
