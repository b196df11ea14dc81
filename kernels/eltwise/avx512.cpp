#define OCTET_IMPL avx512
#include "kernels/simd_avx512.h"

#include "kernels/eltwise/eltwise_vector.inl"
