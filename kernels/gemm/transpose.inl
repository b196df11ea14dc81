// Transposition of f32 matrices. Included after a simd header.
#pragma once
#include <cstdint>

namespace octet::kernels {
namespace {

/// to[j · ld_to + i] = from[i · ld + j] for i < rows, j < cols.
inline void transpose_matrix(const float* from, std::int64_t rows, std::int64_t cols, std::int64_t ld, float* to,
                             std::int64_t ld_to) {
  constexpr int W = VecF::width;
  for (std::int64_t i0 = 0; i0 < rows; i0 += W)
    for (std::int64_t j0 = 0; j0 < cols; j0 += W) {
      const int high = static_cast<int>(rows - i0 < W ? rows - i0 : W);
      const int wide = static_cast<int>(cols - j0 < W ? cols - j0 : W);
      VecF t[W];
      OCTET_UNROLL
      for (int i = 0; i < W; ++i) t[i] = i < high ? VecF::load(from + (i0 + i) * ld + j0, wide) : VecF::zero();
      transpose(t);
      OCTET_UNROLL
      for (int j = 0; j < W; ++j)
        if (j < wide) t[j].store(to + (j0 + j) * ld_to + i0, high);
    }
}

}  // namespace
}  // namespace octet::kernels
