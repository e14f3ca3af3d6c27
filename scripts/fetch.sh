#!/usr/bin/env bash
# dev fetch NAME: prints the folder of a fixture. It is downloaded once by its registry's own client, its sha256 checked, and
# unpacked under the cache; from then on no network is needed. MLAC_FIXTURES=DIR: use DIR/NAME and download nothing.
# dev fetch: lists the fixtures (scripts/fixtures.tsv).
set -euo pipefail
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
cache=${XDG_CACHE_HOME:-$HOME/.cache}/mlac/fixtures

die() { printf 'dev fetch: %s\n' "$@" >&2; exit 1; }
rows() { grep -v '^#' "$here/fixtures.tsv"; }

apt_download() { if [ "$(id -u)" = 0 ]; then apt-get -qq -o APT::Sandbox::User=root download "$1"; else apt-get -qq download "$1"; fi; }

# download REGISTRY PACKAGE VERSION: puts the archive into the current folder, which is empty.
download() {
  case "$1" in
    pypi) "$here/setup.sh" fetch && python3 -m pip --quiet download --no-deps "$2==$3" ;;
    debian) apt_download "$2=$3" || { [ "$(id -u)" = 0 ] && apt-get -qq update && apt_download "$2=$3"; } ;;
    npm) command -v npm > /dev/null || "$here/setup.sh" npm; npm pack --silent "$2@$3" ;;
  esac
}

unpack() {  # ARCHIVE FOLDER
  mkdir "$2"
  case "$1" in
    *.whl | *.zip) (archive=$PWD/$1 && cd "$2" && cmake -E tar xf "$archive") ;;
    *.tgz | *.tar.gz) tar -xzf "$1" -C "$2" ;;
    *.deb) dpkg -x "$1" "$2" ;;
    *) die "cannot unpack $1" ;;
  esac
}

fetch() {  # NAME
  local name registry package version sha256 inside licence
  IFS=$'\t' read -r name registry package version sha256 inside licence < <(rows | awk -F '\t' -v name="$1" '$1 == name') ||
    die "no fixture '$1'; known: $(rows | cut -f 1 | paste -s -d ' ')"
  if [ -n "${MLAC_FIXTURES:-}" ]; then
    [ -d "$MLAC_FIXTURES/$name" ] || die "MLAC_FIXTURES=$MLAC_FIXTURES holds no folder '$name'"
    echo "$MLAC_FIXTURES/$name"
    return
  fi
  local folder=$cache/$name stamp=$cache/$name.sha256
  if [ ! -d "$folder" ] || [ "$(cat "$stamp" 2> /dev/null)" != "$sha256" ]; then
    mkdir -p "$cache"
    exec 9> "$cache/.lock"
    flock 9
    staging=$(mktemp -d "$cache/.$name.XXXXXX")
    trap 'rm -rf "$staging"' EXIT
    mkdir "$staging/archive"
    cd "$staging/archive"
    echo "dev fetch: downloading $package $version ($registry, $licence)" >&2
    download "$registry" "$package" "$version" >&2 || die "$package $version could not be downloaded" \
      "without network: put the folder at DIR/$name and set MLAC_FIXTURES=DIR"
    local archive found
    archive=$(ls)
    found=$(sha256sum "$archive" | cut -d ' ' -f 1)
    [ "$found" = "$sha256" ] || die "$archive: its sha256 is $found, expected $sha256"
    unpack "$archive" ../unpacked >&2
    [ -d "../unpacked/$inside" ] || die "$archive holds no folder '$inside'"
    rm -rf "$folder" "$stamp"
    mv -T "$(cd "../unpacked/$inside" && pwd)" "$folder"
    echo "$sha256" > "$stamp"
  fi
  echo "$folder"
}

if [ $# -eq 0 ]; then
  rows | awk -F '\t' '{ printf "%-20s %s %s (%s), %s\n", $1, $3, $4, $2, $7 }'
else
  fetch "$1"
fi
