#include "kernels/conv2d_bn/conv2d_bn.h"

#include "core/bf16.h"
#include "core/parallel.h"
#include "kernels/conv_bn_reference.h"

namespace octet::kernels {
namespace {

constexpr ConvReference kConv{conv2d_fwd_f32_reference, conv2d_bwd_data_f32_reference, conv2d_bwd_weight_f32_reference};

/// Σ (q_x − z_x) · q_w under the filter of `pixel` and k; padding adds nothing.
std::int32_t accumulate(const ConvBnProblem& p, const std::vector<std::int32_t>& codes, const std::int8_t* weight,
                        std::int64_t pixel, std::int64_t k) {
  const ConvGeometry& g = p.geometry;
  const std::int64_t q = pixel % g.out_w(), row = pixel / g.out_w() % g.out_h(), n = pixel / g.out_w() / g.out_h();
  std::int32_t sum = 0;
  for (std::int64_t r = 0; r < g.r; ++r)
    for (std::int64_t s = 0; s < g.s; ++s) {
      const std::int64_t y = row * g.stride_h - g.pad_h + r, x = q * g.stride_w - g.pad_w + s;
      if (y < 0 || y >= g.h || x < 0 || x >= g.w) continue;
      const std::int32_t* from = codes.data() + ((n * g.h + y) * g.w + x) * g.c;
      const std::int8_t* w = weight + ((k * g.r + r) * g.s + s) * g.c;
      for (std::int64_t c = 0; c < g.c; ++c) sum += (from[c] - p.zero_point) * w[c];
    }
  return sum;
}

void integer_forward(const ConvBnProblem& p, const ConvBnPointers& io) {
  const ConvGeometry& g = p.geometry;
  std::vector<std::int32_t> codes;
  for (float y : activated(p, io)) codes.push_back(qmath::quantize(y, io.step, p.zero_point, p.lo, p.hi));
  parallel_for(g.out_pixels(), [&](std::int64_t pixel) {
    for (std::int64_t k = 0; k < g.k; ++k)
      io.dst[pixel * g.k + k] = static_cast<float>(accumulate(p, codes, io.weight_codes, pixel, k)) * io.multiplier[k];
  });
  reference_statistics(g, io);
}

/// `run` with the weight rounded too.
void with_bf16(void (*run)(const ConvReference&, const ConvBnProblem&, const ConvBnPointers&, Rounding),
               const ConvBnProblem& p, ConvBnPointers io) {
  const ConvGeometry& g = p.geometry;
  const std::vector<float> weight = rounded({io.weight, io.weight + g.k * g.r * g.s * g.c}, round_to_bf16);
  io.weight = weight.data();
  run(kConv, p, io, round_to_bf16);
}

const char* needs_grid(const ConvBnProblem& p, bool is_unsigned) {
  if (!p.quantized) return "the source has no grid";
  return (p.hi > 127) == is_unsigned ? nullptr : "the codes are of the other sign";
}

}  // namespace

const char* conv2d_bn_fwd_f32_reference_why_not(const ConvBnProblem&) { return nullptr; }
void conv2d_bn_fwd_f32_reference(const ConvBnProblem& p, const ConvBnPointers& io, const Context&) {
  reference_forward(kConv, p, io);
}
const char* conv2d_bn_bwd_f32_reference_why_not(const ConvBnProblem&) { return nullptr; }
void conv2d_bn_bwd_f32_reference(const ConvBnProblem& p, const ConvBnPointers& io, const Context&) {
  reference_backward(kConv, p, io);
}
const char* conv2d_bn_fwd_bf16_reference_why_not(const ConvBnProblem&) { return nullptr; }
void conv2d_bn_fwd_bf16_reference(const ConvBnProblem& p, const ConvBnPointers& io, const Context&) {
  with_bf16(reference_forward, p, io);
}
const char* conv2d_bn_bwd_bf16_reference_why_not(const ConvBnProblem&) { return nullptr; }
void conv2d_bn_bwd_bf16_reference(const ConvBnProblem& p, const ConvBnPointers& io, const Context&) {
  with_bf16(reference_backward, p, io);
}
const char* conv2d_bn_fwd_u8s8_reference_why_not(const ConvBnProblem& p) { return needs_grid(p, true); }
void conv2d_bn_fwd_u8s8_reference(const ConvBnProblem& p, const ConvBnPointers& io, const Context&) {
  integer_forward(p, io);
}
const char* conv2d_bn_fwd_s8s8_reference_why_not(const ConvBnProblem& p) { return needs_grid(p, false); }
void conv2d_bn_fwd_s8s8_reference(const ConvBnProblem& p, const ConvBnPointers& io, const Context&) {
  integer_forward(p, io);
}

}  // namespace octet::kernels
