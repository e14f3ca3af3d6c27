#!/usr/bin/env bash
# dev package: builds the packages mlac and libmlac-dev and prints where they are. As root it also installs them, runs the program and a
# C program with the library, removes them and looks for leftovers.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."
scripts/setup.sh build package

die() { printf 'dev package: %s\n' "$@" >&2; exit 1; }

cmake --preset release >&2
cmake --build build/release -j "$(nproc)" >&2
rm -rf build/package
(cd build/release && cpack -G DEB -B ../package >&2)
program=$(find build/package -maxdepth 1 -name 'mlac_*.deb') library=$(find build/package -maxdepth 1 -name 'libmlac-dev_*.deb')
[ -f "$program" ] && [ -f "$library" ] || die "cpack did not make mlac and libmlac-dev"

field() { dpkg-deb -f "$1" "$2"; }
# check_contents DEB FILE...: its size, its dependencies, and that these files are in it.
check_contents() {
  local deb=$1 file
  shift
  [ "$(field "$deb" Installed-Size)" -lt 40960 ] || die "$deb: Installed-Size is $(field "$deb" Installed-Size) KiB; it has to stay under 40 MiB"
  [[ "$(field "$deb" Depends)" == *libc6* ]] || die "$deb: the dependencies were not filled in: $(field "$deb" Depends)"
  dpkg-deb -c "$deb" | awk '{ print $6 }' > "$deb.contents"
  for file in "$@"; do grep -qx "./$file" "$deb.contents" || die "$deb lacks $file"; done
}
version=$(field "$program" Version)
check_contents "$program" usr/bin/mlac usr/share/man/man1/mlac.1.gz usr/share/bash-completion/completions/mlac usr/share/zsh/vendor-completions/_mlac \
               usr/share/fish/vendor_completions.d/mlac.fish usr/share/doc/mlac/copyright
check_contents "$library" "usr/lib/libmlac.so.$version" usr/lib/libmlac.so usr/include/mlac.h usr/lib/pkgconfig/mlac.pc usr/lib/cmake/mlac/mlacConfig.cmake \
               usr/share/doc/libmlac-dev/copyright

# Everything that bears the package's name where packages write, to compare before and after.
named_files() { find /usr /etc /var/lib/dpkg /opt -name '*mlac*' 2> /dev/null | sort; }
is_installed() { dpkg-query -W "$1" > /dev/null 2>&1; }
check_installed() {
  local package
  for package in mlac libmlac-dev; do
    if is_installed "$package"; then die "$package is installed already; the check would remove it: dpkg -P $package, then again"; fi
  done
  named_files > build/package/before
  dpkg -i "$program" "$library" >&2
  trap 'dpkg -P mlac libmlac-dev > /dev/null 2>&1 || true' EXIT
  local said
  said=$(cd / && /usr/bin/mlac --version)
  [ "$said" = "mlac $version" ] || die "the installed program says '$said'"
  (cd / && /usr/bin/mlac env > /dev/null)
  said=$(c_library_says)
  [ "$said" = "$version" ] || die "a C program with the installed library says '$said'"
  [ -n "$(named_files | comm -13 build/package/before -)" ] || die "the search for leftovers finds nothing of the installed packages"
  dpkg -P mlac libmlac-dev >&2
  trap - EXIT
  local left
  left=$(named_files | comm -13 build/package/before -)
  [ -z "$left" ] || die "left behind after removal:" "$left"
  for package in mlac libmlac-dev; do if is_installed "$package"; then die "dpkg still knows $package"; fi; done
}
# What a C program, compiled with the installed header and library, says of the version.
c_library_says() {
  local folder status=0
  folder=$(mktemp -d)
  printf '#include <mlac.h>\n#include <stdio.h>\nint main(void) { return puts(mlac_version()) < 0; }\n' > "$folder/version.c"
  { cc -o "$folder/version" "$folder/version.c" -lmlac && "$folder/version"; } || status=$?
  rm -r "$folder"
  return $status
}
if [ "$(id -u)" = 0 ]; then check_installed; else echo "dev package: not root, so installing them was not tried" >&2; fi

for deb in "$program" "$library"; do
  echo "$deb: $(field "$deb" Installed-Size) KiB installed; depends on $(field "$deb" Depends)" >&2
  echo "$deb"
done
