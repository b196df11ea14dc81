#include "core/gpu/pack.h"
#include "kernels/code_bits.h"
#include "kernels/eltwise_int8/eltwise_int8.h"

namespace octet::kernels {
namespace {

using gpu::load_pack;
using gpu::Pack;
using Byte = std::uint8_t;

/// The part of a problem that codes read; signs as in code_bits.h.
struct Constants {
  std::int32_t sign_a, sign_b, z_a, z_b, z;
  float m_a, m_b;
  std::int32_t lo, hi;
};

/// Codes in packs: `units` in all, row_units of a row, dst_units from one row of dst to the next.
struct Extents {
  std::size_t units, row_units, dst_units;
};

template <int kWidth, bool kAdd>
__global__ void combine(const Byte* a, const Byte* b, Byte* dst, Constants k, Extents e) {
  OCTET_GRID_LOOP(unit, e.units) {
    const Pack<Byte, kWidth> x = load_pack<kWidth>(a, unit);
    Pack<Byte, kWidth> y{}, to;
    if constexpr (kAdd) y = load_pack<kWidth>(b, unit);
    for (int i = 0; i < kWidth; ++i) {
      const std::int32_t code = code_of_bits(x.at[i], k.sign_a) - k.z_a;
      if constexpr (kAdd)
        to.at[i] = static_cast<Byte>(
            qmath::add_codes(code, code_of_bits(y.at[i], k.sign_b) - k.z_b, k.m_a, k.m_b, k.z, k.lo, k.hi));
      else
        to.at[i] = static_cast<Byte>(qmath::requantize(code, k.m_a, k.z, k.lo, k.hi));
    }
    const std::size_t row = e.row_units == e.units ? 0 : unit / e.row_units;
    gpu::store_pack(dst, unit + row * (e.dst_units - e.row_units), to);
  }
}

template <int kWidth, bool kAdd>
void launch(const EltwiseInt8Problem& p, const EltwiseInt8Pointers& x, std::size_t rows, std::size_t c,
            std::size_t stride, void* stream) {
  const Extents extents{rows * (c / kWidth), c / kWidth, stride / kWidth};
  const Constants constants{sign_bit(p.a), sign_bit(p.b), p.z_a, p.z_b, p.z, p.m_a, p.m_b, p.lo, p.hi};
  OCTET_LAUNCH((combine<kWidth, kAdd>), gpu::loop_blocks(extents.units), gpu::kLoopThreads, stream,
               static_cast<const Byte*>(x.a), static_cast<const Byte*>(x.b), static_cast<Byte*>(x.dst), constants,
               extents);
}

template <bool kAdd>
void run(const EltwiseInt8Problem& p, const EltwiseInt8Pointers& x, void* stream) {
  std::size_t rows = static_cast<std::size_t>(p.rows), c = static_cast<std::size_t>(p.c);
  std::size_t stride = p.dst_stride == 0 ? c : static_cast<std::size_t>(p.dst_stride);
  if (stride == c) c *= rows, stride = c, rows = 1;
  const auto fits = [&](std::size_t width) {
    return gpu::packable(c, width, width, {x.a, kAdd ? x.b : nullptr, x.dst}) && stride % width == 0;
  };
  if (fits(16)) return launch<16, kAdd>(p, x, rows, c, stride, stream);
  if (fits(4)) return launch<4, kAdd>(p, x, rows, c, stride, stream);
  launch<1, kAdd>(p, x, rows, c, stride, stream);
}

}  // namespace

const char* OCTET_GPU_WHY_NOT(add_int8_fwd_int8)(const EltwiseInt8Problem&) { return nullptr; }
void OCTET_GPU_NAME(add_int8_fwd_int8)(const EltwiseInt8Problem& p, const EltwiseInt8Pointers& x,
                                       const Context& context) {
  run<true>(p, x, context.stream);
}
const char* OCTET_GPU_WHY_NOT(requantize_int8_fwd_int8)(const EltwiseInt8Problem&) { return nullptr; }
void OCTET_GPU_NAME(requantize_int8_fwd_int8)(const EltwiseInt8Problem& p, const EltwiseInt8Pointers& x,
                                              const Context& context) {
  run<false>(p, x, context.stream);
}

}  // namespace octet::kernels
