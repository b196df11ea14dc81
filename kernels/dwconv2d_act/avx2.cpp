#include "kernels/simd_avx2.h"

#include "kernels/dwconv2d_act/dwconv2d_act_vector.inl"

namespace octet::kernels {
OCTET_DWCONV2D_ACT_ROW(avx2)
}  // namespace octet::kernels
