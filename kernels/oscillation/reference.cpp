#include <fmt/format.h>

#include "kernels/blocks.h"
#include "kernels/oscillation/weight.h"

namespace octet::kernels {

std::string OscillationProblem::str() const {
  return fmt::format("channels{} inner{}{}{}", channels, inner, per_channel ? "" : " one scale", first ? " first" : "");
}

const char* oscillation_step_f32_reference_why_not(const OscillationProblem&) { return nullptr; }
void oscillation_step_f32_reference(const OscillationProblem& p, const OscillationPointers& x, const Context&) {
  const Grid grid(p.lo, p.hi, p.rule);
  for_rows(p.channels, p.inner, [&](std::int64_t c) {
    int flips = 0;
    for (std::int64_t i = c * p.inner; i < (c + 1) * p.inner; ++i)
      flips += step_of_weight(p, x, grid, static_cast<std::size_t>(c), static_cast<std::size_t>(i));
    x.flips[c] += flips;
  });
}

const char* oscillation_restore_f32_reference_why_not(const OscillationProblem&) { return nullptr; }
void oscillation_restore_f32_reference(const OscillationProblem& p, const OscillationPointers& x, const Context&) {
  for_rows(p.channels, p.inner, [&](std::int64_t c) {
    for (std::int64_t i = c * p.inner; i < (c + 1) * p.inner; ++i) restore_weight(x, static_cast<std::size_t>(i));
  });
}

}  // namespace octet::kernels
