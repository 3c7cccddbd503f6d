#!/usr/bin/env bash
# The main job, from a fresh clone: gets the machine ready, trains a small VGG on CIFAR-10 for a few minutes with a live
# progress line, evaluates it and prints the per-class table. Everything that it writes lies in build/ and demo-out/.
set -euo pipefail
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)

usage() {
  cat <<'END'
usage: ./demo.sh [--data NAME|PATH] [--epochs N] [--threads N]

Builds fastdeepiot, trains a quarter-width VGG-16 on CIFAR-10, evaluates it and prints the per-class table.

  --data NAME|PATH  the images to take: a folder as 'fastdeepiot data --help' explains, or 'synthetic'.
                    Without it: $FASTDEEPIOT_DATA, else ../shared/data, else a download from the authors' site (170 MB),
                    else the built-in synthetic images.
  --epochs N        passes over the images (default 5)
  --threads N       compute threads (default: all processors)

The network, the run and its results end up in demo-out/. Run it again to start anew.
END
}

refuse() { echo "demo.sh: $*; see ./demo.sh --help" >&2; exit 2; }

data='' epochs=5 threads=()
while (($#)); do
  case "$1" in
    -h | --help) usage; exit 0 ;;
    --data | --epochs | --threads)
      (($# > 1)) || refuse "$1 needs a value"
      case "$1" in
        --data) data=$2 ;;
        --epochs) epochs=$2 ;;
        --threads) threads=(--threads "$2") ;;
      esac
      shift 2 ;;
    *) refuse "unknown argument '$1'" ;;
  esac
done
[[ $data != */* && ! -e $data || $data == /* ]] || data=$PWD/$data  # a relative path is the caller's, not ours
cd "$here"

say() { echo "demo: $*" >&2; }
program=build/fastdeepiot
out=demo-out
./setup.sh
mkdir -p "$out"

# Which images: the first that can be read.
if [[ -n $data ]]; then
  say "data: $data (--data)"
elif [[ -n ${FASTDEEPIOT_DATA:-} ]]; then
  data=$FASTDEEPIOT_DATA/cifar10
  say "data: $data (FASTDEEPIOT_DATA)"
elif [[ -d ../shared/data/cifar10 ]]; then
  data=../shared/data/cifar10
  say "data: $data (found beside this folder)"
elif "$program" data download cifar10 --to "$out/data"; then
  data=$out/data/cifar10
  say "data: $data (downloaded)"
else
  data=synthetic
  say "data: the built-in synthetic images, because the download failed (see above)"
fi

rm -rf "$out/run"
say "training; the run lies in $out/run"
"$program" train --zoo vgg16 --width 0.25 --data "$data" --epochs "$epochs" "${threads[@]}" \
  --out "$out/run" --json "$out/train.json"
say "evaluating"
"$program" eval --model "$out/run/model.safetensors" --data "$data" "${threads[@]}" --json "$out/eval.json"
say "the network: $out/run/model.safetensors; the numbers: $out/train.json, $out/eval.json"
