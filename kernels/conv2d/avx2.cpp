#include "kernels/simd_avx2.h"

#include "kernels/conv2d/conv2d_vector.inl"

namespace octet::kernels {
OCTET_CONV2D_ROWS(avx2)
}  // namespace octet::kernels
