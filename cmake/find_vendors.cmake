# Imported targets Octet::oneDNN, Octet::OpenBLAS and Octet::cuDNN, and <name>_FOUND, from the headers and libraries themselves: Debian's
# dnnl-config demands OpenCL's headers, which nothing here uses, and OpenBLAS defines no target.
# Also libonnx with the protobuf that it names. Used by the build and by OctetConfig.

# octet_find_vendor(<name> HEADER … LIBRARY … [SUFFIXES …])
function(octet_find_vendor name)
  cmake_parse_arguments(arg "" "HEADER;LIBRARY" "SUFFIXES" ${ARGN})
  find_path(Octet_${name}_INCLUDE ${arg_HEADER} PATH_SUFFIXES ${arg_SUFFIXES})
  find_library(Octet_${name}_LIBRARY ${arg_LIBRARY} PATH_SUFFIXES ${arg_SUFFIXES})
  mark_as_advanced(Octet_${name}_INCLUDE Octet_${name}_LIBRARY)
  set(${name}_FOUND FALSE PARENT_SCOPE)
  if(Octet_${name}_INCLUDE AND Octet_${name}_LIBRARY)
    set(${name}_FOUND TRUE PARENT_SCOPE)
    if(NOT TARGET Octet::${name})
      add_library(Octet::${name} UNKNOWN IMPORTED)
      set_target_properties(Octet::${name} PROPERTIES IMPORTED_LOCATION "${Octet_${name}_LIBRARY}"
                                                      INTERFACE_INCLUDE_DIRECTORIES "${Octet_${name}_INCLUDE}")
    endif()
  endif()
endfunction()

function(octet_find_onednn)
  octet_find_vendor(oneDNN HEADER dnnl.hpp LIBRARY dnnl)
  set(oneDNN_FOUND ${oneDNN_FOUND} PARENT_SCOPE)
endfunction()

# Beside the CUDA toolkit, or wherever the system keeps libraries.
function(octet_find_cudnn)
  list(APPEND CMAKE_PREFIX_PATH ${CUDAToolkit_TARGET_DIR} ${CUDAToolkit_LIBRARY_ROOT})
  octet_find_vendor(cuDNN HEADER cudnn.h LIBRARY cudnn)
  set(cuDNN_FOUND ${cuDNN_FOUND} PARENT_SCOPE)
endfunction()

# The OpenMP build first, so that one OpenMP runtime is loaded beside oneDNN's.
function(octet_find_openblas)
  octet_find_vendor(OpenBLAS HEADER cblas.h LIBRARY openblas SUFFIXES openblas-openmp openblas openblas-pthread)
  set(OpenBLAS_FOUND ${OpenBLAS_FOUND} PARENT_SCOPE)
endfunction()

# Sets octet_onnx_found; libonnx's own targets (onnx, onnx_proto) name protobuf's without looking for it.
function(octet_find_onnx)
  find_package(Protobuf QUIET)
  if(Protobuf_FOUND)
    find_package(ONNX QUIET)
  endif()
  set(octet_onnx_found FALSE PARENT_SCOPE)
  if(TARGET onnx)
    set(octet_onnx_found TRUE PARENT_SCOPE)
  endif()
endfunction()
