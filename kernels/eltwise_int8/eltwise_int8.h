// Codes, element by element (core/qmath.h):
//   add_int8_fwd:        dst = add_codes(a − z_a, b − z_b, m_a, m_b, z, lo, hi);   m_a = fl(s_a / s_y),
//                        m_b = fl(s_b / s_y)
//   requantize_int8_fwd: dst = requantize(a − z_a, m_a, z, lo, hi);  m_a = 1 and the same zero point: clamp to
//                        [lo, hi], which is relu with lo = z. dst_stride > c writes into a slice of wider rows, which
//                        is concat.
// A row of the tensor is c codes; the rows of a and b lie one behind the other.
#pragma once
#include "core/dtype.h"
#include "core/qmath.h"
#include "kernels/problem.h"
#include "kernels/room.h"

namespace octet::kernels {

struct EltwiseInt8Problem {
  std::int64_t rows = 1, c = 1;
  std::int64_t dst_stride = 0;                          ///< codes from one row of dst to the next, at least c; 0: c
  DType a = DType::u8, b = DType::u8, dst = DType::u8;  ///< u8 or s8 each
  std::int32_t z_a = 0, z_b = 0, z = 0;
  float m_a = 1, m_b = 1;  ///< finite
  std::int32_t lo = 0, hi = 255;
  std::string str() const;
};
/// dst may be a, or b, when dst_stride is c.
struct EltwiseInt8Pointers {
  const void* a = nullptr;
  const void* b = nullptr;  ///< add_int8_fwd
  void* dst = nullptr;
};
using EltwiseInt8Row = Row<EltwiseInt8Problem, EltwiseInt8Pointers>;
#define KERNEL(...) OCTET_DECLARE_KERNEL(EltwiseInt8Problem, EltwiseInt8Pointers, __VA_ARGS__)
#include "kernels/eltwise_int8/kernels.inc"
#undef KERNEL

/// Passes: add_int8_fwd, requantize_int8_fwd; dtypes "int8".
std::span<const EltwiseInt8Row> eltwise_int8_rows();

/// Copies `rows` rows of c bytes into rows that are dst_stride bytes apart: concat of tensors that share a quantizer.
void copy_code_rows(const void* src, std::int64_t rows, std::int64_t c, void* dst, std::int64_t dst_stride);

}  // namespace octet::kernels
