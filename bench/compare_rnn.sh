#!/usr/bin/env bash
# compare_rnn.sh [gru|lstm [ROUNDS [IN [UNITS [STEPS [BATCH]]]]]]: recurrent layers, ours and ONNX Runtime's in turn on one thread,
# and the ratio of each pair. Needs node, npm (the package onnxruntime-node goes into build/ort, or give the folder that
# has it as ORT_MODULES) and python3-onnx (./setup.sh --bench).
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."
kind=${1:-gru} rounds=${2:-5} in=${3:-1000} units=${4:-120,120} steps=${5:-20} batch=${6:-1}
modules=${ORT_MODULES:-build/ort}
[[ -d $modules/node_modules/onnxruntime-node ]] || {
  mkdir -p "$modules"
  npm install --silent --no-audit --no-fund --ignore-scripts --prefix "$modules" onnxruntime-node  # its script wants CUDA's libraries
}
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
/usr/bin/python3 bench/make_rnn_onnx.py "$folder/rnn.onnx" "$kind" "$in" "$units" "$steps" "$batch"
field() { /usr/bin/python3 -c 'import json, sys; print(json.load(sys.stdin)[sys.argv[1]])' "$1"; }
for ((round = 1; round <= rounds; ++round)); do
  ours=$(build/fastdeepiot bench rnn --type "$kind" --in "$in" --units "$units" --steps "$steps" --batch "$batch" \
    --threads 1 --no-peers --json - | field median_ms)
  theirs=$(node bench/ort_rnn.mjs "$modules" "$folder/rnn.onnx" "$steps" "$batch" "$in" | field median_ms)
  awk -v r="$round" -v o="$ours" -v t="$theirs" \
    'BEGIN { printf "round %d: ours %.4f ms, ONNX Runtime %.4f ms, ours / theirs %.2f\n", r, o, t, o / t }'
done
