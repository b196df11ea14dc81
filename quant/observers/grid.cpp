#include "quant/observers/grid.h"

#include <algorithm>
#include <cmath>

#include "core/diverged.h"
#include "kernels/fake_quant/fake_quant.h"

namespace octet::quant {

float Range::abs_max() const { return std::max(std::fabs(min), std::fabs(max)); }

QuantParams Grid::bounds() const {
  QuantParams params;
  params.rule = rule;
  params.hi = is_unsigned || affine ? (1 << bits) - 1 : (1 << (bits - 1)) - 1;
  params.lo = is_unsigned || affine ? 0 : (narrow ? -params.hi : -params.hi - 1);
  return params;
}

QuantParams Grid::over(const Range& range) const {
  if (!std::isfinite(range.min) || !std::isfinite(range.max))
    diverged("quantizer", fmt::format("the range from {} to {} has no grid", range.min, range.max));
  QuantParams params = bounds();
  if (!affine) {
    const float scale = kernels::grid_scale(rule, range.abs_max(), params.hi);
    params.scale = {power_of_two ? kernels::power_of_two_above(scale) : scale};
    return params;
  }
  const auto hi = static_cast<float>(params.hi);
  const float low = std::min(range.min, 0.0f), high = std::max(range.max, 0.0f);
  const float tight = std::max((high - low) / hi, kMinScale),
              step = power_of_two ? kernels::power_of_two_above(tight) : tight;
  params.scale = {step};
  params.zero_point = static_cast<std::int32_t>(std::clamp(std::rint(-low / step), 0.0f, hi));
  return params;
}

}  // namespace octet::quant
