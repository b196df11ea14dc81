# One small case per room through octet_bench: it must exit with 0, print JSON, and have checked and timed every row.
# Usage: cmake -DPROGRAM=… -P smoke.cmake
set(cases conv2d/conv2d_fwd/stem/b1 dwconv2d/dwconv2d_fwd/dw12/b2 linear/linear_fwd/fc/b2 batchnorm/affine_act_bwd/1x1x512/b2
          fake_quant/fake_quant_fwd/weight_stem quantize/quantize_fwd/1x1x512/b2 pool/avg_pool_fwd/1x1x1024_global/b2
          eltwise/add_fwd/1x1x1024/b2 momentum/momentum/pw1 softmax_xent/softmax_xent_fwd/10classes/b2
          grid_distance/grid_distance_fwd/weight_stem softmax_kl/softmax_kl_fwd/10classes/b2)
list(JOIN cases "|" filter)
execute_process(COMMAND ${PROGRAM} --quick -o json --filter "^(${filter})/" RESULT_VARIABLE code OUTPUT_VARIABLE output
                ERROR_VARIABLE errors)
if(NOT code EQUAL 0)
  message(FATAL_ERROR "octet_bench exits with ${code}: ${errors}\n${output}")
endif()

string(JSON fma GET "${output}" peaks fma_gflops_per_second)
if(NOT fma GREATER 0)
  message(FATAL_ERROR "no peak: ${fma}")
endif()
string(JSON count LENGTH "${output}" results)
math(EXPR last "${count} - 1")
foreach(i RANGE ${last})
  string(JSON result GET "${output}" results ${i})
  string(JSON name GET "${result}" name)
  string(JSON check GET "${result}" check)
  string(JSON seconds GET "${result}" seconds)
  if(NOT check STREQUAL "passed" OR NOT seconds GREATER 0)
    message(FATAL_ERROR "${name}: check ${check}, ${seconds} s")
  endif()
  string(REGEX REPLACE "/[^/]*/[^/]*$" "" case "${name}")  # without dtypes and row
  list(REMOVE_ITEM cases ${case})
endforeach()
if(cases)
  message(FATAL_ERROR "not measured: ${cases}")
endif()
message(STATUS "${count} rows checked and timed")

# Without --quick every row runs three times, and is still reported once.
execute_process(COMMAND ${PROGRAM} -o csv --filter "^linear/linear_fwd/fc/b1/f32/reference" RESULT_VARIABLE code OUTPUT_VARIABLE output)
execute_process(COMMAND ${PROGRAM} -o csv --filter "^linear/linear_fwd/fc/b1/f32/(avx|reference)" RESULT_VARIABLE code_own OUTPUT_VARIABLE own)
string(REGEX MATCHALL "linear_fwd" rows "${own}")
list(LENGTH rows rows)
string(REGEX MATCHALL "linear_fwd" references "${output}")
list(LENGTH references references)
if(NOT code EQUAL 0 OR NOT code_own EQUAL 0 OR NOT references EQUAL 1 OR rows GREATER 3)
  message(FATAL_ERROR "repeated rows: exit codes ${code}, ${code_own}, ${references} and ${rows} lines\n${own}")
endif()
