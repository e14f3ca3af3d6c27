#!/usr/bin/env bash
# dev package: builds the .deb and prints where it is. As root it also installs it, runs it, removes it and looks for leftovers.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."
scripts/setup.sh build package

die() { printf 'dev package: %s\n' "$@" >&2; exit 1; }

cmake --preset release >&2
cmake --build build/release -j "$(nproc)" >&2
rm -rf build/package
(cd build/release && cpack -G DEB -B ../package >&2)
deb=$(find build/package -maxdepth 1 -name '*.deb')
[ -f "$deb" ] || die "cpack made no package"

field() { dpkg-deb -f "$deb" "$1"; }
[ "$(field Installed-Size)" -lt 40960 ] || die "Installed-Size is $(field Installed-Size) KiB; it has to stay under 40 MiB"
[[ "$(field Depends)" == *libc6* ]] || die "the dependencies were not filled in: $(field Depends)"
dpkg-deb -c "$deb" | awk '{ print $6 }' > build/package/contents
for file in usr/bin/mlac usr/share/man/man1/mlac.1.gz usr/share/bash-completion/completions/mlac usr/share/zsh/vendor-completions/_mlac \
            usr/share/fish/vendor_completions.d/mlac.fish usr/share/doc/mlac/copyright; do
  grep -qx "./$file" build/package/contents || die "$deb lacks $file"
done

# Everything that bears the package's name where packages write, to compare before and after.
named_files() { find /usr /etc /var/lib/dpkg /opt -name '*mlac*' 2> /dev/null | sort; }
check_installed() {
  if dpkg-query -W mlac > /dev/null 2>&1; then die "mlac is installed already; the check would remove it: dpkg -P mlac, then again"; fi
  named_files > build/package/before
  dpkg -i "$deb" >&2
  trap 'dpkg -P mlac > /dev/null 2>&1 || true' EXIT
  local version
  version=$(cd / && /usr/bin/mlac --version)
  [ "$version" = "mlac $(field Version)" ] || die "the installed program says '$version'"
  (cd / && /usr/bin/mlac env > /dev/null)
  [ -n "$(named_files | comm -13 build/package/before -)" ] || die "the search for leftovers finds nothing of the installed package"
  dpkg -P mlac >&2
  trap - EXIT
  local left
  left=$(named_files | comm -13 build/package/before -)
  [ -z "$left" ] || die "left behind after removal:" "$left"
  if dpkg-query -W mlac > /dev/null 2>&1; then die "dpkg still knows mlac"; fi
}
if [ "$(id -u)" = 0 ]; then check_installed; else echo "dev package: not root, so installing it was not tried" >&2; fi

echo "$deb: $(field Installed-Size) KiB installed; depends on $(field Depends)" >&2
echo "$deb"
