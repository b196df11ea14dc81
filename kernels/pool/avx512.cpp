#define OCTET_IMPL avx512
#include "kernels/simd_avx512.h"

#include "kernels/pool/pool_vector.inl"
