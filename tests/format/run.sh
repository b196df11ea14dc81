#!/usr/bin/env bash
# Has a reader in NumPy, written from docs/format.md alone, run int8 models and compares every layer's bytes with what the
# engine made of them. Exits with 77 where there is no NumPy. run.sh MNV1_QAT TEST_FORMAT
set -euo pipefail
mnv1_qat=$1 test_format=$2
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)

python=""
for candidate in python3 /usr/bin/python3; do
  if "$candidate" -c "import numpy" 2>/dev/null; then
    python=$candidate
    break
  fi
done
if [[ -z $python ]]; then
  echo "SKIPPED: no python3 here has NumPy (package python3-numpy)"
  exit 77
fi

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
quietly() {
  "$@" >"$work/log" 2>&1 || {
    cat "$work/log"
    exit 1
  }
}

test_data=(--data synthetic --limit-test 64 --quiet)
data=("${test_data[@]}" --limit-train 512)
quietly "$mnv1_qat" run "${data[@]}" --scale 0.25 --epochs 1 --qat-epochs 1 --lr 0.02 --out "$work/octet" --scheme octet
for scheme in paddle tensorrt; do
  quietly "$mnv1_qat" qat "$work/octet/fp32.safetensors" "${data[@]}" --qat-epochs 1 --lr 0.02 --out "$work/$scheme" --scheme $scheme
done
models=()
for scheme in octet paddle tensorrt; do
  mkdir -p "$work/nets/mobilenet_v1_$scheme"
  model="$work/nets/mobilenet_v1_$scheme/model.int8.safetensors"
  mv "$work/$scheme/int8.safetensors" "$model"
  quietly "$mnv1_qat" dump-codes "$model" --index 0,1,2,3,4 "${test_data[@]}" --out "$work/nets/mobilenet_v1_$scheme"
done
OCTET_DUMP_DIR="$work/nets" quietly "$test_format"

status=0
for folder in "$work"/nets/*; do
  models+=("$folder")
  printf '%s: ' "$(basename "$folder")"
  "$python" "$here/read_int8.py" "$folder/model.int8.safetensors" "$folder" || status=1
done
if ((${#models[@]} != 9)); then
  echo "${#models[@]} models, expected 9"
  status=1
fi
exit $status
