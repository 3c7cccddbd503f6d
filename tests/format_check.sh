#!/usr/bin/env bash
# Fails with the places where a tracked C++ file is not formatted as .clang-format says. Called by ctest.
set -euo pipefail
formatter=$(command -v clang-format-14 || command -v clang-format)
git ls-files -z '*.cc' '*.h' | xargs -0 "$formatter" --dry-run -Werror
