#!/usr/bin/env bash
# compare_train.sh [ROUNDS [BATCH [THREADS [WIDTH]]]]: training steps of VGG-16, ours and PyTorch's in turn, and the ratio of
# each pair. PyTorch runs with what it was found fastest with: OpenMP OpenBLAS, bound threads, its AVX-512 code.
# LAYOUT=nchw tries its other layout (slower here). Needs ./setup.sh --bench.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."
rounds=${1:-3} batch=${2:-128} threads=${3:-2} width=${4:-1}
blas=/usr/lib/$(uname -m)-linux-gnu/openblas-openmp
export OMP_PROC_BIND=true
result=$(mktemp)
trap 'rm -f "$result"' EXIT
for ((round = 1; round <= rounds; ++round)); do
  build/fastdeepiot bench train --zoo vgg16 --width "$width" --batch "$batch" --threads "$threads" --json "$result" >/dev/null
  ours=$(/usr/bin/python3 -c 'import json, sys; print(json.load(open(sys.argv[1]))["images_per_s"])' "$result")
  theirs=$(env OMP_NUM_THREADS="$threads" ATEN_CPU_CAPABILITY=avx512 LD_LIBRARY_PATH="$blas" OPENBLAS_CORETYPE="${OPENBLAS_CORETYPE:-Haswell}" \
    /usr/bin/python3 bench/torch_train.py --batch "$batch" --width "$width" --threads "$threads" --layout "${LAYOUT:-channels_last}" |
    /usr/bin/python3 -c 'import json, sys; print(json.load(sys.stdin)["images_per_s"])')
  awk -v r="$round" -v o="$ours" -v t="$theirs" \
    'BEGIN { printf "round %d: ours %.1f images/s, PyTorch %.1f images/s, ratio %.2f\n", r, o, t, o / t }'
done
