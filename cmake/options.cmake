# Every switch of the build. AUTO means: built when its package is found.
option(OCTET_TESTS "Build the tests" ${PROJECT_IS_TOP_LEVEL})
option(OCTET_BENCHMARKS "Build octet_bench" ${PROJECT_IS_TOP_LEVEL})
option(OCTET_APPS "Build the programs (mnv1_qat, tutorial, tour)" ${PROJECT_IS_TOP_LEVEL})
option(OCTET_FUZZ "Build the libFuzzer targets of tests/fuzz (clang only)" OFF)
option(OCTET_WERROR "Treat compiler warnings as errors" ON)

function(octet_choice name default doc)
  set(${name} ${default} CACHE STRING "${doc} (AUTO, ON or OFF)")
  set_property(CACHE ${name} PROPERTY STRINGS AUTO ON OFF)
endfunction()
octet_choice(OCTET_CUDA OFF "CUDA rows")
option(OCTET_EMULATE_GPU "Build the CUDA kernels for the host as well, as a device that tests run on" ${OCTET_TESTS})
octet_choice(OCTET_ONEDNN AUTO "oneDNN rows, for comparison")
octet_choice(OCTET_OPENBLAS AUTO "OpenBLAS rows, for comparison")
octet_choice(OCTET_ONNX AUTO "Export of ONNX files (libonnx, protobuf)")
octet_choice(OCTET_DOWNLOAD AUTO "Download of data sets (libcurl, libcrypto, libarchive)")

set(OCTET_SANITIZE "" CACHE STRING "Sanitizers: empty, address,undefined or thread")
set_property(CACHE OCTET_SANITIZE PROPERTY STRINGS "" "address,undefined" "thread")

if(NOT CMAKE_BUILD_TYPE AND NOT CMAKE_CONFIGURATION_TYPES)
  set(CMAKE_BUILD_TYPE Release CACHE STRING "Build type" FORCE)
endif()
