#define OCTET_IMPL avx2
#include "kernels/simd_avx2.h"

#include "kernels/momentum/momentum_vector.inl"
