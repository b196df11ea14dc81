#define OCTET_IMPL avx2
#include "kernels/simd_avx2.h"

#include "kernels/pool/pool_vector.inl"
