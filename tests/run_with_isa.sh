#!/usr/bin/env bash
# Runs a test program under OCTET_ISA=ISA, or exits with 77 where the processor lacks it. run_with_isa.sh ISA PROGRAM …
set -euo pipefail
isa=$1
shift
case "$isa" in
  reference) needs="" ;;
  avx2) needs="avx2 fma f16c" ;;
  avxvnni) needs="avx2 fma f16c avx_vnni" ;;
  avx512) needs="avx2 fma f16c avx512f avx512bw avx512dq avx512vl" ;;
  avx512vnni) needs="avx2 fma f16c avx512f avx512bw avx512dq avx512vl avx512_vnni" ;;
  *) echo "unknown instruction set $isa" && exit 2 ;;
esac
flags=" $(grep -m1 '^flags' /proc/cpuinfo 2>/dev/null || true) "
for need in $needs; do
  if [[ $flags != *" $need "* ]]; then
    echo "SKIPPED: this processor has no $need, OCTET_ISA=$isa cannot run"
    exit 77
  fi
done
echo "OCTET_ISA=$isa"
OCTET_ISA=$isa exec "$@"
