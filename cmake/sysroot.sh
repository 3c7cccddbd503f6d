#!/usr/bin/env bash
# Unpacks the libraries that the agent and the device's tests need, as Debian's packages for another architecture, into a
# folder; Highway's source too (usr/src/highway), since Debian has no static library of it. Called by the cross
# toolchains (debian_cross.cmake). Nothing is installed, and apt's own state stays as it is: package lists and signatures
# are looked after in a folder of their own. Quick when the folder is there already.
#   cmake/sysroot.sh arm64 build/aarch64/sysroot
set -euo pipefail
(($# == 2)) || { echo "sysroot.sh: wanted a Debian architecture and a folder, got: $*" >&2; exit 2; }
architecture=$1
packages=(libhwy-dev libhwy1 libfmt-dev libfmt9 nlohmann-json3-dev libgtest-dev libgmock-dev)
source=highway
mkdir -p "$2"
cd "$2"
stamp=".complete-${packages[*]}-$source"
[[ ! -e "${stamp// /-}" ]] || exit 0

work=$PWD.apt
trap 'rm -rf "$work"' EXIT
mkdir -p "$work"/state/lists/partial "$work"/cache/archives/partial
# The same servers, asked for sources as well.
mkdir "$work/sources"
cp /etc/apt/sources.list "$work/" 2>/dev/null || touch "$work/sources.list"
cp /etc/apt/sources.list.d/*.sources /etc/apt/sources.list.d/*.list "$work/sources/" 2>/dev/null || true
sed -i -e 's/^Types: deb$/Types: deb deb-src/' -e 's/^deb \(.*\)/&\ndeb-src \1/' "$work"/sources.list "$work"/sources/*
apt=(apt-get -qq -o "APT::Architecture=$architecture" -o "APT::Architectures=$architecture" -o "Dir::State=$work/state"
  -o Dir::State::status=/dev/null -o "Dir::Cache=$work/cache" -o APT::Sandbox::User=root
  -o "Dir::Etc::sourcelist=$work/sources.list" -o "Dir::Etc::sourceparts=$work/sources")
"${apt[@]}" update >&2 || echo "sysroot.sh: apt-get update failed for $architecture; trying the lists that did arrive" >&2
(cd "$work" && "${apt[@]}" download "${packages[@]}") >&2 ||
  { echo "sysroot.sh: could not download for $architecture: ${packages[*]}; is the network there?" >&2; exit 1; }
(cd "$work" && "${apt[@]}" source --download-only --tar-only "$source") >&2 ||
  { echo "sysroot.sh: could not download the source of $source; is the network there?" >&2; exit 1; }
mkdir -p "usr/src/$source"
tar -xf "$work/$source"_*.orig.tar.* -C "usr/src/$source" --strip-components=1
for package in "$work"/*.deb; do dpkg -x "$package" .; done
touch "${stamp// /-}"
