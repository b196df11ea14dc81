#!/usr/bin/env bash
# A program with CUDA holds machine code for compute capabilities 8.0 and 9.0, and PTX for later ones. Skipped (77) without cuobjdump.
# Usage: device_code.sh PROGRAM FOLDER_OF_NVCC
set -euo pipefail
program=$1
cuobjdump=$(PATH="$2:$PATH" command -v cuobjdump || true)
if [[ -z $cuobjdump ]]; then
  echo "no cuobjdump: what was compiled for which device is not looked at"
  exit 77
fi
elf=$("$cuobjdump" --list-elf "$program")
ptx=$("$cuobjdump" --list-ptx "$program")
for arch in sm_80 sm_90; do
  grep -q "\.$arch\.cubin" <<<"$elf" || { echo "$program has no code for $arch:"; echo "$elf"; exit 1; }
done
grep -q "\.sm_90\.ptx" <<<"$ptx" || { echo "$program has no PTX of compute capability 9.0:"; echo "$ptx"; exit 1; }
echo "$(grep -c '\.cubin' <<<"$elf") cubins, $(grep -c '\.ptx' <<<"$ptx") PTX"
