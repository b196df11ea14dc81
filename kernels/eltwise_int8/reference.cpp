#include <cstring>

#include "core/parallel.h"
#include "kernels/eltwise_int8/eltwise_int8.h"

namespace octet::kernels {
namespace {

std::int32_t code(const void* codes, DType type, std::int64_t i) {
  return type == DType::s8 ? static_cast<const std::int8_t*>(codes)[i]
                           : static_cast<std::int32_t>(static_cast<const std::uint8_t*>(codes)[i]);
}

/// dst[row, c] = op(index of the same element in a and b), over rows in parallel.
template <class Op>
void for_each_code(const EltwiseInt8Problem& p, void* dst, Op op) {
  const std::int64_t stride = p.dst_stride == 0 ? p.c : p.dst_stride;
  parallel_for((p.rows + 63) / 64, [&](std::int64_t task) {
    const std::int64_t last = task * 64 + 64 < p.rows ? task * 64 + 64 : p.rows;
    for (std::int64_t row = task * 64; row < last; ++row)
      for (std::int64_t c = 0; c < p.c; ++c)
        static_cast<std::uint8_t*>(dst)[row * stride + c] = static_cast<std::uint8_t>(op(row * p.c + c));
  });
}

}  // namespace

const char* add_int8_fwd_int8_reference_why_not(const EltwiseInt8Problem&) { return nullptr; }
void add_int8_fwd_int8_reference(const EltwiseInt8Problem& p, const EltwiseInt8Pointers& x, const Context&) {
  for_each_code(p, x.dst, [&](std::int64_t i) {
    return qmath::add_codes(code(x.a, p.a, i) - p.z_a, code(x.b, p.b, i) - p.z_b, p.m_a, p.m_b, p.z, p.lo, p.hi);
  });
}

const char* requantize_int8_fwd_int8_reference_why_not(const EltwiseInt8Problem&) { return nullptr; }
void requantize_int8_fwd_int8_reference(const EltwiseInt8Problem& p, const EltwiseInt8Pointers& x, const Context&) {
  for_each_code(p, x.dst,
                [&](std::int64_t i) { return qmath::requantize(code(x.a, p.a, i) - p.z_a, p.m_a, p.z, p.lo, p.hi); });
}

void copy_code_rows(const void* src, std::int64_t rows, std::int64_t c, void* dst, std::int64_t dst_stride) {
  for (std::int64_t row = 0; row < rows; ++row)
    std::memcpy(static_cast<char*>(dst) + row * dst_stride, static_cast<const char*>(src) + row * c,
                static_cast<std::size_t>(c));
}

}  // namespace octet::kernels
