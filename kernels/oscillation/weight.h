// One weight of oscillation.h, for every row.
#pragma once
#include <cmath>

#include "kernels/fake_quant/element.h"
#include "kernels/oscillation/oscillation.h"

namespace octet::kernels {
namespace {

/// 1 when the code of element i, of this channel, flips, else 0.
inline OCTET_HD int step_of_weight(const OscillationProblem& p, const OscillationPointers& x, const Grid& grid,
                                   std::size_t channel, std::size_t i) {
  const float scale = x.scale[p.per_channel ? channel : 0], factor = x.factor != nullptr ? x.factor[channel] : 1.0f;
  if (factor == 0.0f) return 0;
  if (x.frozen != nullptr && x.frozen[i] != 0) {
    x.weight[i] = value_of(grid, static_cast<float>(x.code[i]), scale) / factor;
    return 0;
  }
  const float q = code_of(grid, x.weight[i] * factor, scale), before = p.first ? q : static_cast<float>(x.code[i]);
  const int step = static_cast<int>(q > before) - static_cast<int>(q < before);
  const bool oscillates = step != 0 && step == -x.direction[i];
  x.frequency[i] += p.momentum * (static_cast<float>(oscillates) - x.frequency[i]);
  if (step != 0) x.direction[i] = static_cast<std::int8_t>(step);
  x.code[i] = static_cast<std::int8_t>(q);
  if (x.average == nullptr) return step != 0;
  x.average[i] = p.first ? q : x.average[i] + p.momentum * (q - x.average[i]);
  if (x.threshold == nullptr || !(x.frequency[i] > *x.threshold)) return step != 0;
  const float mean = rintf(x.average[i]), lo = static_cast<float>(p.lo), hi = static_cast<float>(p.hi);
  x.code[i] = static_cast<std::int8_t>(mean < lo ? lo : (mean > hi ? hi : mean));
  x.frozen[i] = 1;
  x.weight[i] = value_of(grid, static_cast<float>(x.code[i]), scale) / factor;
  return step != 0;
}

/// Element i as it was before the update, where it is frozen.
inline OCTET_HD void restore_weight(const OscillationPointers& x, std::size_t i) {
  if (x.frozen[i] != 0) x.weight[i] = x.held[i];
}

}  // namespace
}  // namespace octet::kernels
