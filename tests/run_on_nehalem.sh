#!/usr/bin/env bash
# Runs a test program on an emulated processor of 2008 (no AVX). run_on_nehalem.sh PROGRAM …
set -euo pipefail
if ! command -v qemu-x86_64 >/dev/null; then
  echo "SKIPPED: qemu-x86_64 is not installed (package qemu-user)"
  exit 77
fi
unset OCTET_ISA
exec qemu-x86_64 -cpu Nehalem "$@"
