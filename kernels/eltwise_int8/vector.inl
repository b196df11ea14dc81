// Codes element by element, written once for vectors. Included after simd_*.h and kernels/conv2d_int8/vector_store.h.
#include "kernels/eltwise_int8/eltwise_int8.h"

namespace octet::kernels {
namespace {

/// Reads codes less their zero point: s8 are sign-extended by (x ^ 128) − 128.
struct CodeReader {
  const std::uint8_t* codes;
  VecI flip, offset;
  template <class Part>
  OCTET_SIMD VecI read(std::int64_t i, Part part) const {
    return (load(codes + i, part) ^ flip) - offset;
  }
};
inline CodeReader reader(const void* codes, DType type, std::int32_t z) {
  const std::int32_t flip = type == DType::s8 ? 128 : 0;
  return {static_cast<const std::uint8_t*>(codes), VecI::set1(flip), VecI::set1(flip + z)};
}

/// dst[j …] = op(i, part) for all codes; i counts within a and b.
template <class Op>
void for_each_vector(const EltwiseInt8Problem& p, void* dst, Op op) {
  auto* out = static_cast<std::uint8_t*>(dst);
  const VecF lo = VecF::set1(static_cast<float>(p.lo - p.z)), hi = VecF::set1(static_cast<float>(p.hi - p.z));
  const VecI z = VecI::set1(p.z);
  const auto put = [&](VecF t, std::int64_t j, auto part) {
    store_bytes(to_int_even(clamp(t, lo, hi)) + z, out + j, part);
  };
  if (p.dst_stride == 0 || p.dst_stride == p.c)
    return for_elements(p.rows * p.c, [&](std::int64_t i, auto part) { put(op(i, part), i, part); });
  for_rows(p.rows, p.c, [&](std::int64_t row) {
    for_vectors(0, p.c, [&](std::int64_t c, auto part) { put(op(row * p.c + c, part), row * p.dst_stride + c, part); });
  });
}

void add(const EltwiseInt8Problem& p, const EltwiseInt8Pointers& x) {
  const CodeReader a = reader(x.a, p.a, p.z_a), b = reader(x.b, p.b, p.z_b);
  const VecF m_a = VecF::set1(p.m_a), m_b = VecF::set1(p.m_b);
  for_each_vector(p, x.dst, [&](std::int64_t i, auto part) {
    return to_float(a.read(i, part)) * m_a + to_float(b.read(i, part)) * m_b;
  });
}

void requantize(const EltwiseInt8Problem& p, const EltwiseInt8Pointers& x) {
  const CodeReader a = reader(x.a, p.a, p.z_a);
  const VecF m_a = VecF::set1(p.m_a);
  for_each_vector(p, x.dst, [&](std::int64_t i, auto part) { return to_float(a.read(i, part)) * m_a; });
}

}  // namespace

}  // namespace octet::kernels
