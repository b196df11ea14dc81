#include "kernels/simd_avx512.h"

#include "kernels/conv2d_bn/conv2d_bn_vector.inl"

#include "kernels/conv2d_bn/bf16_vector.inl"

namespace octet::kernels {
OCTET_CONV2D_BN_BF16_ROWS(avx512bf16)
}  // namespace octet::kernels
