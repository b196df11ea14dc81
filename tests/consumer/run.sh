#!/usr/bin/env bash
# Installs the build to a temporary prefix and builds two programs against it, as an outsider would: one with
# octet::octet, one with octet::engine alone and none of the optional packages.
# Usage: run.sh SOURCE_DIR BUILD_DIR COMPILER [SANITIZE]
set -euo pipefail
source_dir=$1 build_dir=$2 compiler=$3 sanitize=${4:-}
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

cmake --install "$build_dir" --component library --prefix "$work/prefix" >"$work/install.log" || {
  cat "$work/install.log"
  exit 1
}
flags=${sanitize:+-fsanitize=$sanitize}
for part in octet engine; do
  without=()
  if [[ $part == engine ]]; then
    for package in CURL OpenSSL LibArchive ONNX Protobuf; do without+=("-DCMAKE_DISABLE_FIND_PACKAGE_$package=ON"); done
    for vendor in oneDNN OpenBLAS; do without+=("-DOctet_${vendor}_LIBRARY=" "-DOctet_${vendor}_INCLUDE="); done
  fi
  cmake -G Ninja -S "$source_dir/tests/consumer" -B "$work/$part" -DPART=$part -DCMAKE_PREFIX_PATH="$work/prefix" \
    -DCMAKE_CXX_COMPILER="$compiler" -DCMAKE_BUILD_TYPE=Release -DCMAKE_CXX_FLAGS="$flags" "${without[@]}" \
    >"$work/configure.log" 2>&1 || {
    cat "$work/configure.log"
    exit 1
  }
  cmake --build "$work/$part" >"$work/build.log" 2>&1 || {
    cat "$work/build.log"
    exit 1
  }
  echo "octet::$part: $("$work/$part/consumer")"
done
if readelf -d "$work/engine/consumer" | grep -E 'NEEDED.*(dnnl|blas|curl|crypto|archive|onnx|protobuf)'; then
  echo "a program with octet::engine alone loads the libraries above"
  exit 1
fi
