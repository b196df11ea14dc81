#define OCTET_IMPL avx2
#include "kernels/simd_avx2.h"

#include "kernels/eltwise/eltwise_vector.inl"
