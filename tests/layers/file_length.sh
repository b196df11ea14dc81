#!/usr/bin/env bash
# A file has one subject and at most 400 lines, kernels, tests and benchmarks aside. Usage: file_length.sh SOURCE_DIR
set -euo pipefail
cd "$1"
long=$(find core ops nn data optim quant apps -type f \( -name '*.h' -o -name '*.cpp' -o -name '*.cu' \) -print0 |
  xargs -0 wc -l | awk '$2 != "total" && $1 > 400 {print $2 ": " $1 " lines, at most 400"}')
if [[ -n $long ]]; then
  echo "$long"
  exit 1
fi
echo "no file is longer than 400 lines"
