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

}  // namespace
}  // namespace octet::kernels
