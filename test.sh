#!/usr/bin/env bash
# Sets the machine up and runs all tests; ends with ctest's summary. Exit status 0 only when everything passed.
#   ./test.sh         everything: tests, layering, formatting, clang-tidy, the tests under sanitizers, short fuzz runs,
#                     the kernels' tests on ARM under qemu
#   ./test.sh fast    the fast tests only (unit tests and layering)
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")"
selection=()
case "${1:-}" in
  '') ;;
  fast) selection=(-LE check) ;;
  *) echo "test.sh: unknown argument '$1'; it takes 'fast' or nothing" >&2; exit 2 ;;
esac
./setup.sh --test
exec ctest --test-dir build --parallel "$(nproc)" --output-on-failure --no-tests=error "${selection[@]}" </dev/null
