#!/usr/bin/env bash
# The layer rule of the house: which folder may include which. Usage: layers.sh SOURCE_DIR
# tests/, benchmarks/ and apps/ stand above everything; quant/engine knows core and kernels only.
set -euo pipefail
cd "$1"

below_quant="core kernels ops nn data optim"
# The rooms of quant, each above the one before; training and calibration stand beside each other.
observers="$below_quant quant quant/observers"
quantizers="$observers quant/quantizers"
deployment="$quantizers quant/engine quant/deployment"
analysis="$deployment quant/analysis"
declare -A may=(
  [core]="core"
  [kernels]="core kernels"
  [ops]="core kernels ops"
  [nn]="core kernels ops nn"
  [data]="core kernels data"
  [optim]="core kernels ops nn data optim"
  [quant]="$analysis quant/training quant/calibration"
  [quant/observers]="$observers"
  [quant/quantizers]="$quantizers"
  [quant/deployment]="$deployment"
  [quant/analysis]="$analysis"
  [quant/training]="$analysis quant/training"
  [quant/calibration]="$analysis quant/calibration"
  [quant/engine]="core kernels quant/engine"
)

room_of() { # path -> the layer that it lies in
  case "$1" in
    quant/onnx/*) echo quant ;;
    quant/*/*) echo "${1%/*}" ;;
    *) echo "${1%%/*}" ;;
  esac
}

bad=0
seen=0
while IFS=: read -r file line text; do
  seen=$((seen + 1))
  included=${text#*[\"<]}
  included=${included%%[\">]*}
  included=${included#octet/}
  from=$(room_of "$file")
  to=$(room_of "$included")
  [[ -n ${may[$to]:-} || $to == apps || $to == tests || $to == benchmarks ]] || {
    echo "$file:$line: \"$included\" is not a path from the root of the project"
    bad=1
    continue
  }
  if [[ " ${may[$from]} " != *" $to "* ]]; then
    echo "$file:$line: $from must not include $to (\"$included\")"
    bad=1
  fi
done < <(grep -rnE '^[[:space:]]*#[[:space:]]*include[[:space:]]*("|<octet/)' --include='*.h' --include='*.cpp' \
  --include='*.inc' --include='*.inl' --include='*.cu' --include='*.cuh' core kernels ops nn data optim quant || true)

if ((seen == 0)); then
  echo "no #include found: is $1 the project?"
  exit 1
fi
((bad == 0)) && echo "$seen includes keep the layer rule"
exit "$bad"
