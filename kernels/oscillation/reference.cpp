#include <fmt/format.h>

#include <algorithm>

#include "core/parallel.h"
#include "kernels/oscillation/weight.h"

namespace octet::kernels {

std::string OscillationProblem::str() const {
  return fmt::format("channels{} inner{}{}{}", channels, inner, per_channel ? "" : " one scale", first ? " first" : "");
}

const char* oscillation_step_f32_reference_why_not(const OscillationProblem&) { return nullptr; }
void oscillation_step_f32_reference(const OscillationProblem& p, const OscillationPointers& x, const Context&) {
  constexpr std::int64_t kElementsPerTask = 1 << 14;
  const Grid grid(p.lo, p.hi, p.rule);
  const std::int64_t several = std::max<std::int64_t>(1, kElementsPerTask / p.inner);
  parallel_for((p.channels + several - 1) / several, [&](std::int64_t task) {
    for (std::int64_t c = task * several; c < std::min(p.channels, (task + 1) * several); ++c) {
      int flips = 0;
      for (std::int64_t i = c * p.inner; i < (c + 1) * p.inner; ++i)
        flips += step_of_weight(p, x, grid, static_cast<std::size_t>(c), static_cast<std::size_t>(i));
      x.flips[c] += flips;
    }
  });
}

}  // namespace octet::kernels
