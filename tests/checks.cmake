# Tests of the house itself and reruns of the suites under other conditions. Scripts exit with 77 to say "skipped".

# octet_check(<name> LABELS <labels> TIMEOUT <s> COMMAND …)
function(octet_check name)
  cmake_parse_arguments(arg "" "TIMEOUT" "LABELS;COMMAND" ${ARGN})
  add_test(NAME ${name} COMMAND ${arg_COMMAND})
  set_tests_properties(${name} PROPERTIES LABELS "${arg_LABELS}" TIMEOUT ${arg_TIMEOUT} SKIP_RETURN_CODE 77
                       SKIP_REGULAR_EXPRESSION "no python3: skipped")
endfunction()

set(here ${CMAKE_CURRENT_SOURCE_DIR})
octet_check(layers.includes LABELS layers TIMEOUT 60 COMMAND ${here}/layers/layers.sh ${PROJECT_SOURCE_DIR})
octet_check(layers.file_length LABELS layers TIMEOUT 60 COMMAND ${here}/layers/file_length.sh ${PROJECT_SOURCE_DIR})
if(CMAKE_BUILD_TYPE MATCHES "^Rel" AND NOT OCTET_SANITIZE)  # unoptimised code calls every inline function
  octet_check(layers.isa_symbols LABELS layers TIMEOUT 60
              COMMAND ${here}/layers/isa_symbols.sh ${PROJECT_BINARY_DIR}/kernels)
endif()

octet_check(install.consumer LABELS install TIMEOUT 600
            COMMAND ${here}/consumer/run.sh ${PROJECT_SOURCE_DIR} ${PROJECT_BINARY_DIR} ${CMAKE_CXX_COMPILER}
                    ${OCTET_SANITIZE})

if(TARGET test_format AND TARGET mnv1_qat)
  octet_check(format.numpy LABELS format TIMEOUT 600
              COMMAND ${here}/format/run.sh $<TARGET_FILE:mnv1_qat> $<TARGET_FILE:test_format>)
endif()

if(TARGET octet_bench)
  octet_check(bench.smoke LABELS bench TIMEOUT 300
              COMMAND ${CMAKE_COMMAND} -DPROGRAM=$<TARGET_FILE:octet_bench> -P ${here}/benchmarks/smoke.cmake)
  octet_check(bench.modes LABELS bench TIMEOUT 600
              COMMAND ${CMAKE_COMMAND} -DPROGRAM=$<TARGET_FILE:octet_bench> -DSCRATCH=${CMAKE_CURRENT_BINARY_DIR}/bench_modes
                      -P ${here}/benchmarks/modes.cmake)
endif()
if(TARGET engine_probe AND TARGET mnv1_qat)
  octet_check(bench.deploy LABELS bench TIMEOUT 600
              COMMAND ${CMAKE_COMMAND} -DBIN=$<TARGET_FILE_DIR:mnv1_qat> -DSCRATCH=${CMAKE_CURRENT_BINARY_DIR}/bench_deploy
                      -P ${here}/benchmarks/deploy.cmake)
endif()

# The device: octet_gpu and the table of bars as dry runs; in builds with CUDA, for which devices there is code.
if(TARGET octet_gpu AND OCTET_EMULATED_GPU)
  octet_check(gpu.dry_run LABELS gpu TIMEOUT 600
              COMMAND ${CMAKE_COMMAND} -DPROGRAM=$<TARGET_FILE:octet_gpu> -P ${here}/gpu/dry_run.cmake)
  if(TARGET mnv1_qat)
    octet_check(gpu.bars LABELS gpu TIMEOUT 600
                COMMAND ${CMAKE_COMMAND} -DBIN=$<TARGET_FILE_DIR:mnv1_qat> -P ${here}/gpu/bars.cmake)
  endif()
endif()
if(TARGET test_gpu AND OCTET_WITH_CUDA AND "80-real;90" STREQUAL "${OCTET_CUDA_ARCHITECTURES}")
  octet_check(gpu.device_code LABELS gpu TIMEOUT 60
              COMMAND ${here}/gpu/device_code.sh $<TARGET_FILE:test_gpu> ${CUDAToolkit_BIN_DIR})
endif()

# The suites that reach kernels, once per step of the ladder that this machine has (others are skipped and say so).
foreach(isa reference avx2 avxvnni avx512 avx512vnni)
  foreach(room kernels ops nn golden optim quant engine)
    if(TARGET test_${room})
      octet_check(isa.${isa}.${room} LABELS isa TIMEOUT 900
                  COMMAND ${here}/run_with_isa.sh ${isa} $<TARGET_FILE:test_${room}> --gtest_filter=-Long*:*/Long*)
    endif()
  endforeach()
endforeach()

# An old processor, emulated: proves that no vector code leaks into the common path. Not under sanitizers, whose shadow
# memory the emulator cannot hold. Death tests start themselves anew, outside the emulator.
if(NOT OCTET_SANITIZE)
  foreach(room core kernels)
    if(TARGET test_${room})
      octet_check(nehalem.${room} LABELS nehalem TIMEOUT 900
                  COMMAND ${here}/run_on_nehalem.sh $<TARGET_FILE:test_${room}> --gtest_filter=-Long*:*/Long*:*DeathTest*)
    endif()
  endforeach()
endif()
