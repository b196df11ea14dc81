# Defines OpenBLAS::OpenBLAS (no package of Debian's does) and OpenBLAS_FOUND. Used by the build and by OctetConfig.
# The OpenMP build is preferred, so that one OpenMP runtime is loaded beside oneDNN.
find_path(OctetOpenBLAS_INCLUDE cblas.h PATH_SUFFIXES openblas-openmp openblas openblas-pthread)
find_library(OctetOpenBLAS_LIBRARY openblas PATH_SUFFIXES openblas-openmp openblas openblas-pthread)
mark_as_advanced(OctetOpenBLAS_INCLUDE OctetOpenBLAS_LIBRARY)
set(OpenBLAS_FOUND FALSE)
if(OctetOpenBLAS_INCLUDE AND OctetOpenBLAS_LIBRARY)
  set(OpenBLAS_FOUND TRUE)
  if(NOT TARGET OpenBLAS::OpenBLAS)
    add_library(OpenBLAS::OpenBLAS UNKNOWN IMPORTED)
    set_target_properties(OpenBLAS::OpenBLAS PROPERTIES IMPORTED_LOCATION "${OctetOpenBLAS_LIBRARY}"
                                                        INTERFACE_INCLUDE_DIRECTORIES "${OctetOpenBLAS_INCLUDE}")
  endif()
endif()
