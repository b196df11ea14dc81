// Pooling over N,H,W,C codes. Padding is never counted in an average and never wins a maximum; a window always holds at
// least one pixel of the picture (pad < window).
//   max_pool_int8_fwd: the largest code; src and dst share a quantizer and a dtype
//   avg_pool_int8_fwd: t = float(Σ q − n·z_x) · qmath::average_multiplier(s_x, s_y, n), n pixels of the window inside
//   the picture;
//                      codes: rint(clamp(t, lo − z, hi − z)) + z;  f32: t, with s_y = 1
// Global average pooling is avg with the window of the whole map.
#pragma once
#include "core/dtype.h"
#include "core/qmath.h"
#include "kernels/problem.h"
#include "kernels/room.h"

namespace octet::kernels {

struct PoolInt8Problem {
  ConvGeometry geometry;  ///< k == c; r, s are the window
  DType src = DType::u8;  ///< u8 or s8
  DType dst = DType::u8;  ///< u8, s8 or f32 (avg); src (max)
  std::int32_t z_x = 0, z = 0;
  float s_x = 1, s_y = 1;         ///< steps; read by avg only
  std::int32_t lo = 0, hi = 255;  ///< read by avg to codes only
  std::string str() const;
};
struct PoolInt8Pointers {
  const void* src = nullptr;
  void* dst = nullptr;
};
using PoolInt8Row = Row<PoolInt8Problem, PoolInt8Pointers>;
#define KERNEL(...) OCTET_DECLARE_KERNEL(PoolInt8Problem, PoolInt8Pointers, __VA_ARGS__)
#include "kernels/pool_int8/kernels.inc"
#undef KERNEL

/// Passes: max_pool_int8_fwd, avg_pool_int8_fwd; dtypes "int8".
std::span<const PoolInt8Row> pool_int8_rows();

}  // namespace octet::kernels
