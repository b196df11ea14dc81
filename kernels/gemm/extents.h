// Small arithmetic on extents and loops over them, for kernel files: internal linkage.
#pragma once
#include "kernels/blocks.h"

namespace octet::kernels {
namespace {

inline std::int64_t smaller(std::int64_t a, std::int64_t b) { return a < b ? a : b; }
inline std::int64_t larger(std::int64_t a, std::int64_t b) { return a > b ? a : b; }
/// Extent of equal blocks of at most about `most`, a multiple of `unit`.
inline std::int64_t even_block(std::int64_t extent, std::int64_t most, std::int64_t unit) {
  const std::int64_t even = ceil_div(extent, ceil_div(extent, larger(most, 1)));
  return larger(ceil_div(even, unit), 1) * unit;
}
/// Asks for `rows` rows of `cols` floats, into the second-level cache.
inline void prefetch_rows(const float* from, std::int64_t ld, std::int64_t rows, std::int64_t cols) {
  for (std::int64_t i = 0; i < rows; ++i)
    for (std::int64_t j = 0; j < cols; j += 16) __builtin_prefetch(from + i * ld + j, 0, 2);
}

}  // namespace
}  // namespace octet::kernels
