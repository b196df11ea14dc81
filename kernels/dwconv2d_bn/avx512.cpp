#define OCTET_IMPL avx512
#include "kernels/simd_avx512.h"

#include "kernels/dwconv2d_bn/dwconv2d_bn_vector.inl"
