#include "kernels/conv2d/cuda_gemm.h"
#include "kernels/conv2d_act/conv2d_act.h"

namespace octet::kernels {
namespace {

static_assert(kConv2dActPanel % 4 == 0);

/// The packed weight: a line is a filter, the depth (r,s,c).
struct Panels {
  static constexpr bool kAlongDepth = false;
  const float* weight;
  int lines;           ///< filters of all panels, those beyond the last one among them
  std::int64_t panel;  ///< floats of a panel
  using Line = const float*;
  __device__ Line line(int outer) const {
    constexpr int kWide = static_cast<int>(kConv2dActPanel);
    return outer < lines ? weight + outer / kWide * panel + outer % kWide : nullptr;
  }
  __device__ float at(int outer, int d) const {
    const Line first = line(outer);
    return first != nullptr ? __ldg(first + static_cast<std::int64_t>(d) * kConv2dActPanel) : 0.0f;
  }
  __device__ float4 quad(Line line, int d) const {
    return line != nullptr ? quad_at(line + static_cast<std::int64_t>(d) * kConv2dActPanel) : no_quad();
  }
};

}  // namespace

const char* OCTET_GPU_WHY_NOT(conv2d_act_fwd_f32)(const Conv2dActProblem& p) {
  return too_large_for_device(p.geometry);
}

void OCTET_GPU_NAME(conv2d_act_fwd_f32)(const Conv2dActProblem& p, const Conv2dActPointers& io,
                                        const Context& context) {
  const ConvGeometry& g = p.geometry;
  const std::int64_t depth = g.r * g.s * g.c, panels = (g.k + kConv2dActPanel - 1) / kConv2dActPanel;
  const Panels weight{io.weight, static_cast<int>(panels * kConv2dActPanel), depth * kConv2dActPanel};
  const bool vectors = g.c % 4 == 0 && aligned(io.src) && aligned(io.weight);
  const auto run = [&](const auto& pixels) {
    multiply(pixels, weight, g.out_pixels(), g.k, depth, vectors, io.bias, io.dst, context.stream, p.act);
  };
  if (g.out_pixels() == 0) return;
  if (g.is_pointwise())
    run(Rows{io.src, static_cast<int>(g.out_pixels()), g.c});
  else
    run(WindowRows{Gather(g), io.src});
}

}  // namespace octet::kernels
