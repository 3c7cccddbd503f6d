#!/usr/bin/env bash
# Gets a machine ready and builds build/fastdeepiot. demo.sh calls it plain, test.sh with --test; it is quick when
# there is nothing to do. Packages are Debian 12's; only the missing ones are installed, with sudo when not root.
#   ./setup.sh            what the program needs, and the program
#   ./setup.sh --test     and what the tests need (GoogleTest, clang, compilers and qemu for ARM), and the tests
#   ./setup.sh --agent aarch64|armv7|x86_64
#                         the agent instead: for a board, ending with the line that copies it there; x86_64: for
#                         this machine, to be measured from another one
#   ./setup.sh --bench    and the peers that run as programs of their own (PyTorch, ONNX, node)
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")"

build_packages=(g++ cmake ninja-build git ca-certificates libhwy-dev libopenblas-openmp-dev libdnnl-dev libxnnpack-dev
  libpthreadpool-dev libfmt-dev nlohmann-json3-dev libcli11-dev libarchive-dev libjpeg-dev libpng-dev zlib1g-dev
  libcurl4-openssl-dev libssl-dev libeigen3-dev libboost-math-dev libsqlite3-dev
  gnuplot-nox graphviz)  # they draw the figures
test_packages=(libgtest-dev libgmock-dev clang-14 clang-format-14 clang-tidy-14 libclang-rt-14-dev libomp-14-dev
  python3-numpy python3-sklearn)  # a second reader of our model files, the regressors of `fit --compare`
if [[ "$(uname -m)" == x86_64 ]]; then  # the kernels are tested for ARM too, under qemu
  test_packages+=(g++-aarch64-linux-gnu g++-arm-linux-gnueabihf qemu-user-static)
fi
bench_packages=(python3 python3-sklearn python3-torch python3-pil python3-onnx)
command -v npm >/dev/null || bench_packages+=(nodejs npm)  # ONNX Runtime comes from npm; node may be there from elsewhere

packages=("${build_packages[@]}")
tests=no agent=''
while (($#)); do
  case "$1" in
    --test) packages+=("${test_packages[@]}"); tests=yes ;;
    --bench) packages+=("${bench_packages[@]}") ;;
    --agent)
      agent=${2:-}
      case "$agent" in
        aarch64) packages+=(g++-aarch64-linux-gnu) ;;
        armv7) packages+=(g++-arm-linux-gnueabihf) ;;
        x86_64) [[ "$(uname -m)" == x86_64 ]] || { echo "setup.sh: --agent x86_64 is built on x86_64 only" >&2; exit 2; } ;;
        *) echo "setup.sh: --agent ${agent:-without a value}: wanted aarch64, armv7 or x86_64" >&2; exit 2 ;;
      esac
      shift ;;
    *) echo "setup.sh: unknown argument '$1'; it takes --test, --bench and --agent aarch64|armv7|x86_64" >&2; exit 2 ;;
  esac
  shift
done

say() { echo "setup: $*" >&2; }

install_missing() {
  local missing=() package
  for package in "${packages[@]}"; do
    [[ "$(dpkg-query -W -f '${db:Status-Status}' "$package" 2>/dev/null || true)" == installed ]] || missing+=("$package")
  done
  ((${#missing[@]})) || return 0
  local id=unknown version=unknown as_root=()
  [[ -r /etc/os-release ]] && id=$(. /etc/os-release; echo "$ID") version=$(. /etc/os-release; echo "${VERSION_ID:-}")
  [[ "$id $version" == "debian 12" ]] || say "this is $id $version: only Debian 12 has been tried, package names may differ"
  if ((EUID)); then
    command -v sudo >/dev/null || { say "not root and no sudo; as root, install: ${missing[*]}"; exit 2; }
    as_root=(sudo)
  fi
  say "installing ${#missing[@]} Debian packages: ${missing[*]}"
  "${as_root[@]}" apt-get update -qq </dev/null ||
    say "apt-get update failed; going on with the package lists that are there"
  "${as_root[@]}" env DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends "${missing[@]}" \
    </dev/null >&2 || { say "apt-get could not install: ${missing[*]}; see its message above"; exit 1; }
}

if command -v dpkg-query >/dev/null && command -v apt-get >/dev/null; then
  install_missing
else
  echo "setup: this system has no apt-get; install what these Debian 12 packages hold, then run cmake yourself: ${packages[*]}" >&2
  exit 2
fi

# A compiler process takes up to 1.5 GB on the largest sources: no more of them than memory holds.
memory_kib=$(awk '/^MemAvailable:/ {print $2}' /proc/meminfo)
jobs=$((memory_kib / 1572864))
((jobs < $(nproc))) || jobs=$(nproc)
((jobs > 0)) || jobs=1
export CMAKE_BUILD_PARALLEL_LEVEL=$jobs

tree=build
configure=(cmake -S . -B build)
[[ -f build/CMakeCache.txt ]] || configure+=(-G Ninja -DCMAKE_BUILD_TYPE=Release -DCMAKE_UNITY_BUILD=ON -DFDI_TESTS=OFF)
[[ $tests == no ]] || configure+=(-DFDI_TESTS=ON -DFDI_CHECKS=ON)
target=(--target fastdeepiot)
[[ $tests == no ]] || target=()
if [[ -n $agent ]]; then
  target=(--target fastdeepiot-agent)
  [[ $agent == x86_64 ]] || { tree=build/$agent; configure=(cmake --preset "$agent"); }
fi
say "building with $jobs jobs in $tree/"
"${configure[@]}" >build.log 2>&1 || { cat build.log >&2; rm -f build.log; say "configuring failed, see above"; exit 1; }
mkdir -p build && mv build.log build/configure.log
cmake --build "$tree" "${target[@]}" >&2
case "$agent" in
  '') ;;
  x86_64) say "$PWD/build/fastdeepiot-agent needs this machine's libraries; to measure here from elsewhere:
  fastdeepiot profile --device ssh:USER@$(uname -n):$PWD/build/fastdeepiot-agent --for vgg16" ;;
  *) say "copy it to the board and measure there:
  scp $tree/fastdeepiot-agent USER@BOARD:
  build/fastdeepiot profile --device ssh:USER@BOARD:./fastdeepiot-agent --for vgg16" ;;
esac
