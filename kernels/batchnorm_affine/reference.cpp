#include <fmt/format.h>

#include "kernels/batchnorm_affine/channel.h"

namespace octet::kernels {

std::string BatchNormAffineProblem::str() const {
  constexpr const char* kFolds[] = {"", " folded, batch", " folded, running"};
  return fmt::format("c{} pixels{}{}", c, pixels, kFolds[static_cast<int>(fold)]);
}

#define OCTET_REFERENCE_ROW(pass, dtypes, channel)                                                    \
  const char* pass##_##dtypes##_reference_why_not(const BatchNormAffineProblem&) { return nullptr; }  \
  void pass##_##dtypes##_reference(const BatchNormAffineProblem& p, const BatchNormAffinePointers& x, \
                                   const Context&) {                                                  \
    for (std::int64_t i = 0; i < p.c; ++i) channel(p, x, i);                                          \
  }
OCTET_REFERENCE_ROW(batchnorm_affine_fwd, f32, affine_channel<float>)
OCTET_REFERENCE_ROW(batchnorm_affine_fwd, f64, affine_channel<double>)
OCTET_REFERENCE_ROW(batchnorm_affine_bwd, f32, gradient_channel<float>)
OCTET_REFERENCE_ROW(batchnorm_affine_bwd, f64, gradient_channel<double>)
#undef OCTET_REFERENCE_ROW

}  // namespace octet::kernels
