#!/usr/bin/env bash
# What README.md and docs/ point at is there: links between pages, files and folders of the tree in backticks, and the tests that
# docs/reliability.md names. Each finding is one line; exit status 1 if there is any.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/../.."

findings=0
missing() { echo "$1"; findings=$((findings + 1)); }

for page in README.md docs/*.md; do
  while IFS=: read -r line link; do
    [ -e "$(dirname "$page")/$link" ] || missing "$page:$line: the link leads to $link, which is not there"
  done < <(grep -noE '\]\([^)#: ]+\)' "$page" | sed -E 's/\]\(([^)]+)\)/\1/')
  while IFS=: read -r line path; do
    [ -e "$path" ] || missing "$page:$line: names $path, which is not there"
  done < <(grep -noE '`(src|tests|scripts|bench|web|cmake|examples|docs)/[A-Za-z0-9_./-]+' "$page" | tr -d '`' | sed 's/[.]$//')
done

# A test is named by its second half, or by how that begins and "..."; a group of tests by its first half.
while IFS=: read -r line name; do
  grep -rqE "^TEST(_[FP])?\(($name,|[A-Za-z0-9_]+, ${name%...}$([[ $name == *... ]] || echo '\)'))" tests --include='*_test.cc' ||
    missing "docs/reliability.md:$line: no test is called $name"
done < <(grep -noE '\(([A-Z][A-Za-z0-9]+(\.\.\.)?(, )?)+\)' docs/reliability.md | tr -d '()' | awk -F: '{ n = split($2, names, ", "); for (i = 1; i <= n; ++i) if (names[i] ~ /[a-z][A-Z]/) print $1 ":" names[i] }')

[ "$findings" = 0 ] && echo "README.md and docs/: every reference leads somewhere"
