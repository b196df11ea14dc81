#include "core/gpu/pack.h"
#include "kernels/quantize/quantize.h"

namespace octet::kernels {
namespace {

using gpu::kLoopThreads;
using gpu::load_pack;
using gpu::loop_blocks;
using gpu::Pack;

/// The part of a problem that elements read.
struct Codes {
  std::int32_t zero_point, lo, hi;
  QuantRule rule;
  __device__ void convert(float x, float s, std::int8_t& code) const { code = static_cast<std::int8_t>(code_of(x, s)); }
  __device__ void convert(float x, float s, std::uint8_t& code) const {
    code = static_cast<std::uint8_t>(code_of(x, s));
  }
  __device__ void convert(std::int32_t code, float s, float& x) const {
    x = rule == QuantRule::onnx ? qmath::dequantize(code, s, zero_point) : qmath::dequantize_paddle(code, s, hi);
  }

 private:
  __device__ std::int32_t code_of(float x, float s) const {
    return rule == QuantRule::onnx ? qmath::quantize(x, s, zero_point, lo, hi) : qmath::quantize_paddle(x, s, hi);
  }
};

/// Elements in `units` packs, `row_units` of them in a channel.
template <int kWidth, class From, class To>
__global__ void convert(const From* src, const float* scale, To* dst, Codes codes, std::size_t units,
                        std::size_t row_units) {
  OCTET_GRID_LOOP(unit, units) {
    const float s = scale[row_units == units ? 0 : unit / row_units];
    const Pack<From, kWidth> x = load_pack<kWidth>(src, unit);
    Pack<To, kWidth> y;
    for (int k = 0; k < kWidth; ++k) codes.convert(x.at[k], s, y.at[k]);
    gpu::store_pack(dst, unit, y);
  }
}

template <int kWidth, class From, class To>
void launch(const QuantizeProblem& p, const QuantizePointers& x, void* stream) {
  const std::size_t row_units = static_cast<std::size_t>(p.inner) / kWidth,
                    units = static_cast<std::size_t>(p.channels) * row_units;
  OCTET_LAUNCH((convert<kWidth, From, To>), loop_blocks(units), kLoopThreads, stream, static_cast<const From*>(x.src),
               x.scale, static_cast<To*>(x.dst), Codes{p.zero_point, p.lo, p.hi, p.rule}, units, row_units);
}

template <class From, class To>
void run(const QuantizeProblem& p, const QuantizePointers& x, void* stream) {
  const auto length = static_cast<std::size_t>(p.inner);
  const bool four =
      gpu::packable(length, 4, 4 * sizeof(From), {x.src}) && gpu::packable(length, 4, 4 * sizeof(To), {x.dst});
  four ? launch<4, From, To>(p, x, stream) : launch<1, From, To>(p, x, stream);
}

}  // namespace

#define OCTET_QUANTIZE_ROW(name, From, To)                                                                 \
  const char* OCTET_GPU_WHY_NOT(name)(const QuantizeProblem&) { return nullptr; }                          \
  void OCTET_GPU_NAME(name)(const QuantizeProblem& p, const QuantizePointers& x, const Context& context) { \
    run<From, To>(p, x, context.stream);                                                                   \
  }
OCTET_QUANTIZE_ROW(quantize_fwd_f32u8, float, std::uint8_t)
OCTET_QUANTIZE_ROW(quantize_fwd_f32s8, float, std::int8_t)
OCTET_QUANTIZE_ROW(dequantize_fwd_u8f32, std::uint8_t, float)
OCTET_QUANTIZE_ROW(dequantize_fwd_s8f32, std::int8_t, float)
#undef OCTET_QUANTIZE_ROW

}  // namespace octet::kernels
