#include "kernels/histogram/histogram.h"

#include <fmt/core.h>

namespace octet::kernels {

std::string HistogramProblem::str() const {
  const char* names[] = {"percentile", "kl", "mse"};
  return fmt::format("sides{} count{} decay{} {} hi{} share{}", sides, count, decay, names[static_cast<int>(rule)], hi,
                     share);
}

std::span<const HistogramRow> histogram_rows() {
  static constexpr HistogramRow kRows[] = {
#define KERNEL(...) OCTET_KERNEL_ROW(__VA_ARGS__)
#include "kernels/histogram/kernels.inc"
#undef KERNEL
  };
  return kRows;
}

}  // namespace octet::kernels
