#!/usr/bin/env bash
# Objects compiled with ISA flags must not export inline code: the linker keeps one copy of a weak symbol for the whole
# program, and an AVX-512 copy of std::min would then run on every processor. Usage: isa_symbols.sh OBJECT_DIR
set -euo pipefail
objects=$(find "$1" -type f -regextype posix-extended -regex '.*/([^/]*_)?avx(2|vnni|512|512vnni|512bf16)(_[^/]*)?\.cpp\.o' | sort)
if [[ -z $objects ]]; then
  echo "SKIPPED: no object was compiled with ISA flags"
  exit 77
fi
bad=0
while read -r object; do
  # W, V, u: weak or unique, defined here (undefined weak references show as lower-case w or v).
  # DW.ref.* is a pointer that exception tables share, no code.
  if leaked=$(nm --demangle --defined-only "$object" | grep -E '^[0-9a-f]+ [WVu] ' | grep -v ' DW\.ref\.'); then
    echo "$object exports inline code:"
    echo "$leaked"
    bad=1
  fi
done <<<"$objects"
((bad == 0)) && echo "$(wc -l <<<"$objects") objects export no inline code"
exit "$bad"
