// conv2d_fwd on the device, and what the passes share.
#include "kernels/conv2d/conv2d.h"
#include "kernels/conv2d/cuda_gemm.h"

namespace octet::kernels {

const char* OCTET_GPU_WHY_NOT(conv2d_fwd_f32)(const Conv2dProblem& g) { return too_large_for_device(g); }

void OCTET_GPU_NAME(conv2d_fwd_f32)(const Conv2dProblem& g, const Conv2dPointers& io, const Context& context) {
  const auto* src = static_cast<const float*>(io.src);
  const auto* weight = static_cast<const float*>(io.weight);
  const std::int64_t depth = g.r * g.s * g.c;
  const bool vectors = g.c % 4 == 0 && aligned(src) && aligned(weight);
  const auto run = [&](const auto& pixels) {
    multiply(pixels, Rows{weight, static_cast<int>(g.k), depth}, g.out_pixels(), g.k, depth, vectors,
             static_cast<const float*>(io.bias), static_cast<float*>(io.dst), context.stream);
  };
  if (g.out_pixels() == 0) return;
  if (g.is_pointwise())
    run(Rows{src, static_cast<int>(g.out_pixels()), g.c});
  else
    run(WindowRows{Gather(g), src});
}

}  // namespace octet::kernels
