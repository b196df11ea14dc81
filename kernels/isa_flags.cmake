# The one table of instruction sets: a file whose name has one of these words (avx2.cpp, gemm_avx2.cpp, avx2_dw.cpp; words
# are parted by `_`) is compiled with the flags beside it. core/cpu_features.h detects the same features at run time.
set(OCTET_ISA_NAMES avx2 avxvnni avx512 avx512vnni avx512bf16)
set(OCTET_ISA_FLAGS_avx2 -mavx2 -mfma -mf16c)
set(OCTET_ISA_FLAGS_avxvnni ${OCTET_ISA_FLAGS_avx2} -mavxvnni)
set(OCTET_ISA_FLAGS_avx512 ${OCTET_ISA_FLAGS_avx2} -mavx512f -mavx512bw -mavx512dq -mavx512vl -mprefer-vector-width=512)
set(OCTET_ISA_FLAGS_avx512vnni ${OCTET_ISA_FLAGS_avx512} -mavx512vnni)
set(OCTET_ISA_FLAGS_avx512bf16 ${OCTET_ISA_FLAGS_avx512} -mavx512bf16)

# octet_isa_of(<variable> <file>): the file's instruction set, or empty.
function(octet_isa_of variable file)
  get_filename_component(stem ${file} NAME_WE)
  string(REPLACE "_" ";" words ${stem})
  set(${variable} "" PARENT_SCOPE)
  foreach(isa ${OCTET_ISA_NAMES})
    if(isa IN_LIST words)
      set(${variable} ${isa} PARENT_SCOPE)
    endif()
  endforeach()
endfunction()
