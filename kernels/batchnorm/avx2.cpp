#define OCTET_IMPL avx2
#include "kernels/simd_avx2.h"

#include "kernels/batchnorm/batchnorm_vector.inl"
