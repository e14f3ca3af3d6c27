#!/usr/bin/env bash
# Unpacks the libraries that mlac and its tests link, built for 64-bit Arm, and prints the folder: build/arm64/sysroot, where cmake/arm64.cmake
# looks for them. They come from the package sources that this system has, checked as apt checks them. apt gets a state and a cache of its
# own in the build folder, so nothing of the system changes and no foreign architecture is added to it; root is not needed. Once unpacked
# they stay, until packages.txt asks for others.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

die() { printf 'dev test --arm: %s\n' "$@" >&2; exit 1; }

readonly root=$PWD/build/arm64 apt_root=$PWD/build/arm64/apt
mapfile -t wanted < <(scripts/setup.sh --list build test | grep -e '-dev$')
if [ "$(cat "$root/sysroot/packages" 2> /dev/null)" = "${wanted[*]}" ]; then echo "$root/sysroot"; exit 0; fi

rm -rf "$root/sysroot" "$root/sysroot.partial" "$apt_root"
mkdir -p "$root/sysroot.partial" "$apt_root/state/lists/partial" "$apt_root/cache/archives/partial" "$apt_root/archives"
: > "$apt_root/status"  # nothing is installed there
# The architectures are a list, which an option on the command line would add to; a file can clear it.
cat > "$apt_root/apt.conf" << END
APT::Architecture "arm64";
#clear APT::Architectures;
APT::Architectures { "arm64"; };
Dir::State "$apt_root/state";
Dir::State::status "$apt_root/status";
Dir::Cache "$apt_root/cache";
Acquire::Retries "3";
END
[ "$(id -u)" != 0 ] || echo 'APT::Sandbox::User "root";' >> "$apt_root/apt.conf"  # else apt gives the download to a user who may not write here
export APT_CONFIG=$apt_root/apt.conf

echo "dev test --arm: downloading ${#wanted[@]} libraries for arm64" >&2
apt-get -qq update >&2 || echo "dev test --arm: not every package list could be downloaded; going on with those that were" >&2
# A -dev package has headers and links; the library itself is a package that it depends on. The C and C++ libraries come with the compiler.
depends=$(apt-cache depends --important "${wanted[@]}") || die "the package sources of this system know not all libraries for arm64"
mapfile -t libraries < <(sed -nE 's/^ +Depends: (lib[^ ]*[0-9])$/\1/p' <<< "$depends" | sort -u)
(cd "$apt_root/archives" && apt-get -qq download "${wanted[@]}" "${libraries[@]}" >&2) || die "the libraries for arm64 could not be downloaded"
for archive in "$apt_root"/archives/*.deb; do dpkg-deb -x "$archive" "$root/sysroot.partial"; done
rm -rf "$apt_root"
echo "${wanted[*]}" > "$root/sysroot.partial/packages"
mv "$root/sysroot.partial" "$root/sysroot"
echo "$root/sysroot"
