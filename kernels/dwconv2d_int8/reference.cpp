// The definition of truth: plain loops, exact modulo 2^32.
#include "core/parallel.h"
#include "kernels/conv2d_int8/int_store.h"
#include "kernels/conv2d_int8/packed.h"
#include "kernels/dwconv2d_int8/dwconv2d_int8.h"

namespace octet::kernels {
namespace {

PackedLayout layout_of(const IntConvProblem& p) {
  return packed_layout(p.geometry.c, p.geometry.r * p.geometry.s, 1, 1, sizeof(std::int8_t));
}

/// Σ (q_x − z_x) · q_w of one channel over the taps that lie inside the picture; `picture` points at the channel.
template <class Code>
std::uint32_t accumulate(const ConvGeometry& g, std::int32_t z_x, const Code* picture, const std::int8_t* weight,
                         std::int64_t top, std::int64_t left) {
  std::uint32_t sum = 0;
  for (std::int64_t r = 0; r < g.r; ++r) {
    if (top + r < 0 || top + r >= g.h) continue;
    for (std::int64_t s = 0; s < g.s; ++s) {
      if (left + s < 0 || left + s >= g.w) continue;
      const std::int32_t x = picture[((top + r) * g.w + left + s) * g.c];
      sum += static_cast<std::uint32_t>((x - z_x) * weight[r * g.s + s]);
    }
  }
  return sum;
}

template <class Code>
void run(const IntConvProblem& p, const IntConvPointers& pointers) {
  const ConvGeometry& g = p.geometry;
  const PackedLayout layout = layout_of(p);
  const PackedView view = packed_view(layout, pointers.packed);
  const auto* weight = static_cast<const std::int8_t*>(view.weight);
  const std::int64_t out_h = g.out_h(), out_w = g.out_w();
  parallel_for(g.n * out_h, [&](std::int64_t row) {
    const Code* picture = static_cast<const Code*>(pointers.src) + row / out_h * g.h * g.w * g.c;
    const std::int64_t top = row % out_h * g.stride_h - g.pad_h;
    for (std::int64_t q = 0; q < out_w; ++q) {
      for (std::int64_t c = 0; c < g.c; ++c) {
        const std::uint32_t sum =
            accumulate(g, p.z_x, picture + c, weight + c * layout.depth, top, q * g.stride_w - g.pad_w);
        const auto a = static_cast<std::int32_t>(sum + static_cast<std::uint32_t>(view.bias[c]));
        store_accumulator(p.store, a, view.multiplier[c], view.bias_f32[c], pointers.dst, (row * out_w + q) * g.c + c);
      }
    }
  });
}

}  // namespace

#define OCTET_REFERENCE_ROW(dtypes, Code)                                                                            \
  const char* dwconv2d_int8_fwd_##dtypes##_reference_why_not(const IntConvProblem&) { return nullptr; }              \
  void dwconv2d_int8_fwd_##dtypes##_reference(const IntConvProblem& p, const IntConvPointers& x, const Context&) {   \
    run<Code>(p, x);                                                                                                 \
  }                                                                                                                  \
  std::size_t dwconv2d_int8_fwd_##dtypes##_reference_packed_bytes(const IntConvProblem& p) {                         \
    return layout_of(p).bytes;                                                                                       \
  }                                                                                                                  \
  void dwconv2d_int8_fwd_##dtypes##_reference_pack(const IntConvProblem& p, const IntConvWeights& w, void* packed) { \
    pack_columns(layout_of(p), sizeof(std::int8_t), w, 0, packed);                                                   \
  }
OCTET_REFERENCE_ROW(u8s8, std::uint8_t)
OCTET_REFERENCE_ROW(s8s8, std::int8_t)
#undef OCTET_REFERENCE_ROW

}  // namespace octet::kernels
