#include "kernels/simd_avx512.h"

#include "kernels/conv2d_bn/conv2d_bn_vector.inl"
#include "kernels/conv2d_bn/integer_vector.inl"

namespace octet::kernels {
OCTET_CONV2D_BN_INTEGER_ROW(u8s8, avx512vnni, true)
OCTET_CONV2D_BN_INTEGER_ROW(s8s8, avx512vnni, false)
}  // namespace octet::kernels
