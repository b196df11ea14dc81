#include "kernels/simd_avx512.h"

#include "kernels/conv2d_bn/conv2d_bn_vector.inl"

namespace octet::kernels {
OCTET_CONV2D_BN_ROWS(avx512)
}  // namespace octet::kernels
