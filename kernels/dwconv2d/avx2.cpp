#include "kernels/simd_avx2.h"

#include "kernels/dwconv2d/dwconv2d_vector.inl"

namespace octet::kernels {
OCTET_DWCONV2D_ROWS(avx2)
}  // namespace octet::kernels
