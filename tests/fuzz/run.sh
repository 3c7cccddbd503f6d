#!/usr/bin/env bash
# run.sh DIR TARGET SECONDS: a short fuzz run from the seeds of tests/fuzz/corpus/TARGET and those that make_seeds
# writes; what it finds is added to DIR/corpus/TARGET, an input that fails to DIR/TARGET-*. Called by ctest.
set -euo pipefail
dir=$1 target=$2 seconds=$3
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
name=${target%_fuzz}
mkdir -p "$dir/corpus/$name"
corpora=("$dir/corpus/$name")
[[ ! -d "$here/corpus/$name" ]] || corpora+=("$here/corpus/$name")
"$dir/make_seeds" "$dir/corpus"
exec "$dir/$target" -max_total_time="$seconds" -timeout=10 -rss_limit_mb=3000 -max_len=65536 -print_final_stats=1 \
  -artifact_prefix="$dir/$target-" -verbosity=1 "${corpora[@]}"
