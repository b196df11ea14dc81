#include "quant/deployment/window_shares.h"

namespace octet::quant {
namespace {

/// The same along one axis.
double share(std::int64_t tap, std::int64_t outputs, std::int64_t stride, std::int64_t pad, std::int64_t map) {
  std::int64_t inside = 0;
  for (std::int64_t p = 0; p < outputs; ++p) {
    const std::int64_t at = p * stride - pad + tap;
    inside += at >= 0 && at < map;
  }
  return static_cast<double>(inside) / static_cast<double>(outputs);
}

}  // namespace

std::vector<double> window_shares(const kernels::ConvGeometry& g) {
  std::vector<double> shares;
  for (std::int64_t r = 0; r < g.r; ++r)
    for (std::int64_t s = 0; s < g.s; ++s)
      shares.push_back(share(r, g.out_h(), g.stride_h, g.pad_h, g.h) * share(s, g.out_w(), g.stride_w, g.pad_w, g.w));
  return shares;
}

}  // namespace octet::quant
