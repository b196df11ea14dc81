set(CMAKE_CXX_STANDARD 20)
set(CMAKE_CXX_STANDARD_REQUIRED ON)
set(CMAKE_CXX_EXTENSIONS OFF)
set(CMAKE_EXPORT_COMPILE_COMMANDS ON)
set(CMAKE_POSITION_INDEPENDENT_CODE ON)
set(CMAKE_RUNTIME_OUTPUT_DIRECTORY ${PROJECT_BINARY_DIR}/bin)
set(CMAKE_ARCHIVE_OUTPUT_DIRECTORY ${PROJECT_BINARY_DIR}/lib)

find_program(OCTET_CCACHE ccache)
mark_as_advanced(OCTET_CCACHE)
if(OCTET_CCACHE AND NOT CMAKE_CXX_COMPILER_LAUNCHER)
  set(CMAKE_CXX_COMPILER_LAUNCHER ${OCTET_CCACHE})
  set(CMAKE_CUDA_COMPILER_LAUNCHER ${OCTET_CCACHE})
endif()

# Half the compile time of -O3; kernels/, where the time goes, add -O3 themselves.
if(CMAKE_CXX_FLAGS_RELEASE STREQUAL "-O3 -DNDEBUG")
  set(CMAKE_CXX_FLAGS_RELEASE "-O2 -DNDEBUG")
endif()

set(cxx_only "$<COMPILE_LANGUAGE:CXX>")
# The compiler must not fuse a multiply and an add on its own: the bits are part of the contract.
add_compile_options("$<${cxx_only}:-ffp-contract=off>")
add_compile_options("$<${cxx_only}:-Wall;-Wextra>" "$<${cxx_only}:-ffunction-sections;-fdata-sections>"
                    "$<${cxx_only}:-fno-semantic-interposition>")
if(CMAKE_CXX_COMPILER_ID STREQUAL "GNU" AND CMAKE_CXX_COMPILER_VERSION VERSION_LESS 13)
  add_compile_options("$<${cxx_only}:-Wno-restrict>")  # false alarms in std::string's operator+ (GCC bug 105651)
endif()
if(OCTET_WERROR)
  add_compile_options("$<${cxx_only}:-Werror>")
endif()
# --as-needed: a program that uses the engine alone must not load the vendors' libraries.
add_link_options(LINKER:--gc-sections LINKER:--as-needed)

if(OCTET_SANITIZE)
  if(CMAKE_CXX_COMPILER_ID STREQUAL "GNU")
    add_compile_options(-Wno-maybe-uninitialized)  # false alarms once the sanitizers' checks stand in between
  endif()
  add_compile_options(-fsanitize=${OCTET_SANITIZE} -fno-omit-frame-pointer -fno-sanitize-recover=all)
  add_link_options(-fsanitize=${OCTET_SANITIZE})
endif()

if(OCTET_FUZZ)
  if(NOT CMAKE_CXX_COMPILER_ID STREQUAL "Clang")
    message(FATAL_ERROR "OCTET_FUZZ=ON needs clang (cmake --preset fuzz)")
  endif()
  add_compile_options(-fsanitize=fuzzer-no-link)
endif()

if(CMAKE_SYSTEM_PROCESSOR MATCHES "^(x86_64|AMD64|amd64)$")
  set(OCTET_X86 1)
else()
  set(OCTET_X86 0)
endif()
