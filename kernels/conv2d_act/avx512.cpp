#include "kernels/simd_avx512.h"

#include "kernels/conv2d_act/conv2d_act_vector.inl"

namespace octet::kernels {
OCTET_CONV2D_ACT_ROWS(avx512)
}  // namespace octet::kernels
