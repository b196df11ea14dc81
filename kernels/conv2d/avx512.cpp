#include "kernels/simd_avx512.h"

#include "kernels/conv2d/conv2d_vector.inl"

namespace octet::kernels {
OCTET_CONV2D_ROWS(avx512)
}  // namespace octet::kernels
