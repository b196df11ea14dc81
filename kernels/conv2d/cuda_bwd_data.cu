// conv2d_bwd_data on the device: a gather, so that strides and overlapping windows need no atomic addition.
#include "kernels/conv2d/conv2d.h"
#include "kernels/conv2d/cuda_gemm.h"

namespace octet::kernels {

const char* OCTET_GPU_WHY_NOT(conv2d_bwd_data_f32)(const Conv2dProblem& g) { return too_large_for_device(g); }

void OCTET_GPU_NAME(conv2d_bwd_data_f32)(const Conv2dProblem& g, const Conv2dPointers& io, const Context& context) {
  const auto* d_dst = static_cast<const float*>(io.d_dst);
  const auto* weight = static_cast<const float*>(io.weight);
  const auto i32 = [](std::int64_t x) { return static_cast<int>(x); };
  const std::int64_t pixels = g.n * g.h * g.w;
  const bool vectors = g.c % 4 == 0 && g.k % 4 == 0 && aligned(d_dst) && aligned(weight);
  const auto run = [&](const auto& readers, const auto& weights) {
    multiply(readers, weights, pixels, g.c, g.r * g.s * g.k, vectors, nullptr, static_cast<float*>(io.d_src),
             context.stream);
  };
  if (pixels == 0) return;
  if (g.is_pointwise())
    run(Rows{d_dst, i32(pixels), g.k}, Columns{weight, i32(g.c)});
  else
    run(ReaderRows{Gather(g), d_dst}, WeightColumns{Divisor(g.k), i32(g.c), i32(g.r * g.s), weight});
}

}  // namespace octet::kernels
