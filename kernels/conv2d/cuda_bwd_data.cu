#include "kernels/conv2d/conv2d.h"
#include "kernels/conv2d/cuda_readers.h"

namespace octet::kernels {

const char* OCTET_GPU_WHY_NOT(conv2d_bwd_data_f32)(const Conv2dProblem& g) { return too_large_for_device(g); }

void OCTET_GPU_NAME(conv2d_bwd_data_f32)(const Conv2dProblem& g, const Conv2dPointers& io, const Context& context) {
  const auto* d_dst = static_cast<const float*>(io.d_dst);
  const auto* weight = static_cast<const float*>(io.weight);
  auto* d_src = static_cast<float*>(io.d_src);
  const std::int64_t pixels = g.n * g.h * g.w;
  const bool vectors = g.c % 4 == 0 && g.k % 4 == 0 && aligned(d_dst) && aligned(weight);
  if (pixels == 0) return;
  if (g.is_pointwise())
    multiply(Rows{d_dst, static_cast<int>(pixels), g.k}, Columns{weight, static_cast<int>(g.c)}, pixels, g.c, g.k,
             vectors, nullptr, d_src, context.stream);
  else
    gather_gradient(
        g, d_dst, [](const WindowRows& rows) { return rows; }, weight, vectors, d_src, context.stream);
}

}  // namespace octet::kernels
