#!/usr/bin/env bash
# dev lint: what a compiler does not check. Each finding is one line, file:line: what; exit status 1 if there is any.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

# The layers of src/, lowest first: a file includes from its own folder and those before it.
layers="base tensor kernels autograd nn models text audio vision points protein data pipelines train optimize http hub project monitor serve capi cli"

findings=$(mktemp)
trap 'rm -f "$findings"' EXIT
if git rev-parse --git-dir > /dev/null 2>&1; then
  files() { git ls-files --cached --others --exclude-standard -- "$@" | while read -r file; do [ ! -f "$file" ] || echo "$file"; done; }
else  # a release archive
  files() { find . -path ./build -prune -o -type f -print | sed 's|^\./||' | grep -E "$(printf '%s\n' "$@" | sed 's|\.|\\.|g; s|\*|.*|g; s|^|^|; s|$|$|')"; }
fi

# search TITLE REGEX FILES...: each line that matches is a finding.
search() {
  local title=$1 pattern=$2
  shift 2
  [ $# -gt 0 ] || return 0
  { grep -nHIE -- "$pattern" "$@" || true; } | awk -F : -v title="$title" '{ print $1 ":" $2 ": " title }' >> "$findings"
}

mapfile -t sources < <(files 'src/*.h' 'src/*.cc')
mapfile -t headers < <(files '*.h')
mapfile -t everything < <(files '*')
mapfile -t scripts < <(files dev .ci/run '*.sh')

awk -v layers="$layers" '
  BEGIN { n = split(layers, list, " "); for (i = 1; i <= n; ++i) rank[list[i]] = i }
  FNR == 1 { split(FILENAME, part, "/"); folder = part[2]; if (!(folder in rank)) print FILENAME ":1: folder " folder " is no layer" }
  /^#include "/ && folder in rank {
    split($2, quoted, "\""); split(quoted[2], to, "/")
    if (quoted[2] == "version.h") next
    if (!(to[1] in rank)) print FILENAME ":" FNR ": include of " quoted[2] ": write it from src/"
    else if (rank[to[1]] > rank[folder]) print FILENAME ":" FNR ": " folder "/ includes " quoted[2] ", which is a layer above it"
  }' "${sources[@]}" >> "$findings"

# Highway re-includes the kernels' *-inl.h files for each instruction set: they are parts of a .cc, with toggles of its own.
mapfile -t plain_headers < <(printf '%s\n' "${headers[@]}" | grep -v -e '-inl\.h$')
for header in "${plain_headers[@]}"; do
  [ "$(head -n 1 "$header")" = "#pragma once" ] || echo "$header:1: a header starts with #pragma once" >> "$findings"
done
# JSON, HTTP, CLI11 and Highway headers are slow to compile: a header that includes one is for the .cc files of its own folder alone.
{ grep -lE '#include <(nlohmann/json\.hpp|simdjson|CLI/|boost/|hwy/)' "${plain_headers[@]}" || true; } | while read -r heavy; do
  { grep -nH "#include \"${heavy#src/}\"" "${sources[@]}" || true; } | awk -F : -v heavy="$heavy" '
    { from = $1; sub("/[^/]*$", "", from); own = heavy; sub("/[^/]*$", "", own) }
    from != own || $1 ~ /\.h$/ { print $1 ":" $2 ": " heavy " includes JSON, HTTP, CLI11 or Highway headers, which stay in .cc files" }'
done >> "$findings"
mapfile -t library < <(printf '%s\n' "${sources[@]}" | grep -v '^src/cli/')
search "the library does not print, exit or abort" '(std::|[^_[:alnum:].])(exit|abort|quick_exit)\(|std::(cout|cerr)|[^[:alnum:]_](f?printf|fmt::print)\(' \
  "${library[@]}"
search "a path of one machine" '(^|[^a-zA-Z0-9_.}])/(wor[k]|far[m]|roo[t])/|/tmp/w[t]' "${everything[@]}"
search "the host of a package registry" '(pypi|pythonhosted|npmjs|deb\.debian|snapshot\.debian)[.](org|com)' "${everything[@]}"
search "a tab or a trailing space" $'\t| $' "${sources[@]}"
search "longer than 160 columns" '^.{161}' "${sources[@]}"

for script in "${scripts[@]}"; do
  [ -x "$script" ] || echo "$script:1: a script is executable" >> "$findings"
  bash -n "$script" 2>> "$findings" || true
done
if command -v shellcheck > /dev/null; then shellcheck --severity=warning --format=gcc "${scripts[@]}" >> "$findings" || true; fi

sort -u "$findings"
[ ! -s "$findings" ] && echo "lint: ${#sources[@]} C++ files, ${#scripts[@]} scripts, no findings"
