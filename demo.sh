#!/usr/bin/env bash
# The main job, from a fresh clone, in 12 to 20 minutes on two processors: profiles this machine, learns its time
# model, trains a small VGG on CIFAR-10, compresses it in five ways, measures all of them here and shows them in a table
# and on a page. Everything that it writes lies in build/ and demo-out/.
set -euo pipefail
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)

usage() {
  cat <<'END'
usage: ./demo.sh [--data NAME|PATH] [--width X] [--threads N] [--seed N] [--quick]
                 [--time-model FILE --budget MS]

Builds fastdeepiot, then:
  1  profiles this machine for VGG-16, learns how long layers take and prints the rules     about 2 minutes
  2  trains the network on CIFAR-10                                                         about 4 minutes
  3  compresses it: DeepIoT, DeepIoT+localMin, DeepIoT+FLOPs, FastDeepIoT, knapsack         about 8 minutes
  4  shows what each takes on this machine: a table here, the page demo-out/report.html

  --data NAME|PATH  the images to take: a folder as 'fastdeepiot data --help' explains, or 'synthetic'.
                    Without it: $FASTDEEPIOT_DATA, else ../shared/data, else a download from the authors' site (170 MB),
                    else the built-in synthetic images.
  --width X         factor on VGG-16's channels (default 0.25)
  --threads N       compute threads of training (default: all processors); networks are timed on one
  --seed N          of the training, the compression and the draws (default 1)
  --time-model FILE, --budget MS
                    those of another run, which ends with them, instead of profiling this machine
  --quick           a few images and steps, to see all parts work; its networks are good for nothing

Networks, figures (demo-out/figures: the rules as trees, and where widening is faster) and the page end up in demo-out/.
Run it again to start anew.

The seeds are fixed, but the time model and the budget in milliseconds come from the clock, so that two runs differ in
what DeepIoT+FLOPs, FastDeepIoT, the knapsack and localMin keep. --time-model and --budget take those of another run;
the last choice among a few networks is still made by the clock.
END
}

refuse() { echo "demo.sh: $*; see ./demo.sh --help" >&2; exit 2; }

data='' width=0.25 threads=() quick=no seed=1 time_model='' budget='' given=()
while (($#)); do
  case "$1" in
    -h | --help) usage; exit 0 ;;
    --quick) quick=yes; given+=(--quick); shift ;;
    --data | --width | --threads | --seed | --time-model | --budget)
      (($# > 1)) || refuse "$1 needs a value"
      case "$1" in
        --data) data=$2; given+=(--data "$2") ;;
        --width) width=$2; given+=(--width "$2") ;;
        --threads) threads=(--threads "$2"); given+=(--threads "$2") ;;
        --seed) seed=$2 ;;
        --time-model) time_model=$(realpath -- "$2") ;;
        --budget) budget=$2 ;;
      esac
      shift 2 ;;
    *) refuse "unknown argument '$1'" ;;
  esac
done
[[ (-n $time_model && -n $budget) || $time_model$budget == '' ]] || refuse "--time-model and --budget go together"
[[ -z $budget || $budget =~ ^[0-9]*\.?[0-9]+$ && $budget =~ [1-9] ]] || refuse "--budget $budget: wanted milliseconds above 0"
[[ -z $time_model || -f $time_model ]] || refuse "--time-model $time_model: no such file"
[[ $data != */* && ! -e $data || $data == /* ]] || data=$PWD/$data  # a relative path is the caller's, not ours
cd "$here"

say() { echo "demo: $*" >&2; }
program=build/fastdeepiot
out=demo-out
./setup.sh
SECONDS=0
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

# Epochs of training, the search's steps at each threshold and epochs of fine-tuning, minutes of profiling.
epochs=9 steps=80 tune=4 minutes=1 samples=1300 limit=()
if [[ $quick == yes ]]; then
  epochs=1 steps=5 tune=1 minutes=0.2 samples=500 limit=(--limit 1000)
fi
database=$out/fastdeepiot.db
model=$out/time_model.json
[[ -z $time_model ]] || cp -- "$time_model" "$out/.time_model"  # it may be one of the files that go now
rm -rf "$out/train" "$out/runs" "$out/figures" "$database" "$out"/*.json "$out/report.html"
mkdir -p "$out/runs"

if [[ -n $time_model ]]; then
  say "1/4 the time model is $time_model"
  mv "$out/.time_model" "$model"
else
  say "1/4 how long do layers take on this machine? the readings lie in $database"
  "$program" profile --for vgg16 --width "$width" --samples "$samples" --minutes "$minutes" --seed "$seed" --db "$database"
  "$program" fit --db "$database" --out "$model" --figures "$out/figures"
fi

say "2/4 training; the run lies in $out/train"
original=$out/train/model.safetensors
"$program" train --zoo vgg16 --width "$width" --data "$data" --validation 0.1 --epochs "$epochs" "${limit[@]}" \
  "${threads[@]}" --seed "$seed" --out "$out/train" --json "$out/train.json"

compress() {  # METHOD, then its target
  local run=$out/runs/$1
  say "3/4 compressing with $1; the run lies in $run"
  local status=0
  "$program" compress --model "$original" --data "$data" --method "$@" --stage-steps "$steps" --epochs "$tune" \
    "${limit[@]}" "${threads[@]}" --seed "$seed" --time-model "$model" --db "$database" --out "$run" || status=$?
  # 1 and a result: the network is there, but misses its budget, which the table shows.
  ((status == 0)) || [[ $status == 1 && -s $run/result.json ]] || exit "$status"
}
number() { sed -n "s/^ *\"$1\": *\([0-9.e-]*\),\{0,1\}$/\1/p" "$out/runs/deepiot/result.json"; }

compress deepiot --target-size 30%
say "3/4 widening DeepIoT's layers where that is faster (DeepIoT+localMin): no training"
mkdir -p "$out/runs/deepiot+localmin"
"$program" expand --model "$out/runs/deepiot/model.safetensors" --time-model "$model" --db "$database" \
  --out "$out/runs/deepiot+localmin/model.safetensors" --json "$out/runs/deepiot+localmin/result.json"
# A budget: a quarter less than DeepIoT's network takes, but what a network of so many layers can come to.
[[ -n $budget ]] || budget=$(awk -v deepiot="$(number measured_ms)" -v original="$(number measured_ms_original)" \
  'BEGIN { ms = 0.75 * deepiot; least = 0.3 * original; printf "%.3g", (ms > least ? ms : least) }')
compress deepiot+flops --max-ms "$budget"
compress fastdeepiot --max-ms "$budget"
compress knapsack --max-ms "$budget"

say "4/4 all networks once more, in turn"
"$program" report "$out/runs" --measure --time-model "$model" --out "$out/report.html" --json "$out/results.json"
say "with this time model and budget again: ./demo.sh ${given[*]@Q} --seed $seed --time-model $model --budget $budget"
say "look at $out/report.html; the numbers: $out/results.json; done in $((SECONDS / 60)) min $((SECONDS % 60)) s"
