#!/usr/bin/env bash
# Unpacks the libraries that the kernels and their tests need, as Debian's packages for another architecture, into a
# folder. Called by the cross toolchains (debian_cross.cmake). Nothing is installed, and apt's own state stays as it is:
# package lists and signatures are looked after in a folder of their own. Quick when the folder is there already.
#   cmake/sysroot.sh arm64 build/aarch64/sysroot
set -euo pipefail
(($# == 2)) || { echo "sysroot.sh: wanted a Debian architecture and a folder, got: $*" >&2; exit 2; }
architecture=$1
packages=(libhwy-dev libhwy1 libfmt-dev libfmt9 libgtest-dev libgmock-dev)
mkdir -p "$2"
cd "$2"
stamp=".complete-${packages[*]}"
[[ ! -e "${stamp// /-}" ]] || exit 0

work=$PWD.apt
trap 'rm -rf "$work"' EXIT
mkdir -p "$work"/state/lists/partial "$work"/cache/archives/partial
apt=(apt-get -qq -o "APT::Architecture=$architecture" -o "APT::Architectures=$architecture" -o "Dir::State=$work/state"
  -o Dir::State::status=/dev/null -o "Dir::Cache=$work/cache" -o APT::Sandbox::User=root)
"${apt[@]}" update >&2 || echo "sysroot.sh: apt-get update failed for $architecture; trying the lists that did arrive" >&2
(cd "$work" && "${apt[@]}" download "${packages[@]}") >&2 ||
  { echo "sysroot.sh: could not download for $architecture: ${packages[*]}; is the network there?" >&2; exit 1; }
for package in "$work"/*.deb; do dpkg -x "$package" .; done
touch "${stamp// /-}"
