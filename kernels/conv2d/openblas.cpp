// OpenBLAS rows, for comparison: a 1x1 convolution is one sgemm. linear's rows come here too.
#include <cblas.h>

#include <limits>

#include "core/parallel.h"
#include "kernels/conv2d/conv2d.h"
#include "kernels/conv2d/reference_bias.h"

namespace octet::kernels {
namespace {

const float* f32(const void* p) { return static_cast<const float*>(p); }
float* f32(void* p) { return static_cast<float*>(p); }

const char* why_not(const ConvGeometry& g) {
  constexpr std::int64_t kMost = std::numeric_limits<blasint>::max();
  if (!g.is_pointwise()) return "only 1x1 convolutions are a plain matrix product";
  if (g.out_pixels() == 0) return "there are no pictures";
  if (g.out_pixels() > kMost || g.c > kMost || g.k > kMost) return "an extent does not fit in BLAS's integers";
  return nullptr;
}

/// A matrix in memory, row after row, used as it is or transposed.
struct Matrix {
  const void* data;
  std::int64_t ld;
  bool transposed;
};

/// c (rows x cols) = a · b over `depth`.
void multiply(std::int64_t rows, std::int64_t cols, std::int64_t depth, const Matrix& a, const Matrix& b, void* c) {
  const auto n = [](std::int64_t x) { return static_cast<blasint>(x); };
  openblas_set_num_threads(num_threads());
  cblas_sgemm(CblasRowMajor, a.transposed ? CblasTrans : CblasNoTrans, b.transposed ? CblasTrans : CblasNoTrans,
              n(rows), n(cols), n(depth), 1.0f, f32(a.data), n(a.ld), f32(b.data), n(b.ld), 0.0f, f32(c), n(cols));
}

void forward(const ConvGeometry& g, const Conv2dPointers& io) {
  const std::int64_t pixels = g.out_pixels();
  multiply(pixels, g.k, g.c, {io.src, g.c, false}, {io.weight, g.c, true}, io.dst);
  if (io.bias == nullptr) return;
  float* dst = f32(io.dst);
  parallel_for(pixels, [&](std::int64_t i) {
    for (std::int64_t k = 0; k < g.k; ++k) dst[i * g.k + k] += f32(io.bias)[k];
  });
}

void backward_data(const ConvGeometry& g, const Conv2dPointers& io) {
  multiply(g.out_pixels(), g.c, g.k, {io.d_dst, g.k, false}, {io.weight, g.c, false}, io.d_src);
}

void backward_weight(const ConvGeometry& g, const Conv2dPointers& io) {
  multiply(g.k, g.c, g.out_pixels(), {io.d_dst, g.k, true}, {io.src, g.c, false}, io.d_weight);
  if (io.d_bias != nullptr) reference_d_bias(f32(io.d_dst), g.out_pixels(), g.k, f32(io.d_bias));
}

}  // namespace

#define OCTET_OPENBLAS_ROW(pass, run)                                                             \
  const char* conv2d_##pass##_f32_openblas_why_not(const Conv2dProblem& g) { return why_not(g); } \
  void conv2d_##pass##_f32_openblas(const Conv2dProblem& g, const Conv2dPointers& io, const Context&) { run(g, io); }
OCTET_OPENBLAS_ROW(fwd, forward)
OCTET_OPENBLAS_ROW(bwd_data, backward_data)
OCTET_OPENBLAS_ROW(bwd_weight, backward_weight)
#undef OCTET_OPENBLAS_ROW

}  // namespace octet::kernels
