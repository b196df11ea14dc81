#define OCTET_IMPL avx2
#include "kernels/simd_avx2.h"

#include "kernels/dwconv2d_bn/dwconv2d_bn_vector.inl"
