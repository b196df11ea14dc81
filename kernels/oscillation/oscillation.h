// Codes of a weight from one update to the next, over [channels, inner], in f32 (Nagel et al., "Overcoming oscillations
// in quantization-aware training", 2022, algorithm 1). For every weight that is free, with x = weight·factor on its
// grid:
//   q = the code of x;  step = sign(q − code);  it oscillates when step ≠ 0 and step = −direction
//   frequency ← frequency + m·([oscillates] − frequency);  average ← average + m·(q − average), both in f32
//   direction ← step where step ≠ 0;  code ← q;  flips[channel] counts the steps ≠ 0
//   where frequency > threshold it freezes: code ← rint(average), held to the grid
// A frozen weight is the value of its code, divided by factor, whatever the update made of it. Where the factor is 0
// nothing is known of a weight, and it stays as it is. The first time (`first`) code and average are q, and nothing
// else happens. Where nothing freezes, `frozen`, `average` and `threshold` are null, and weights are only read.
// oscillation_restore is for before that, since a frozen weight may be the one that the scale follows from:
//   weight ← held where it is frozen
#pragma once
#include "core/host_device.h"
#include "core/qmath.h"
#include "kernels/fake_quant/fake_quant.h"

namespace octet::kernels {

struct OscillationProblem {
  std::int64_t channels = 1, inner = 1;
  bool per_channel = true;  ///< a scale for each channel, or one
  std::int32_t lo = -127, hi = 127;
  QuantRule rule = QuantRule::onnx;
  float momentum = 0.01f;  ///< m: weight of the new value
  bool first = false;
  std::string str() const;
};
struct OscillationPointers {
  float* weight = nullptr;           ///< channels,inner
  const float* scale = nullptr;      ///< channels or 1: steps, under QuantRule::paddle thresholds
  const float* factor = nullptr;     ///< channels, or null for 1
  const float* threshold = nullptr;  ///< 1, or null
  std::int8_t* code = nullptr;       ///< these, too, channels,inner
  std::int8_t* direction = nullptr;  ///< −1, 1, or 0 before the first flip
  float* frequency = nullptr;
  float* average = nullptr;        ///< or null
  std::uint8_t* frozen = nullptr;  ///< 0 or 1; or null
  std::int32_t* flips = nullptr;   ///< channels
  const float* held =
      nullptr;  ///< channels,inner; of oscillation_restore alone, which wants only weight and frozen beside it
};
using OscillationRow = Row<OscillationProblem, OscillationPointers>;
#define KERNEL(...) OCTET_DECLARE_KERNEL(OscillationProblem, OscillationPointers, __VA_ARGS__)
#include "kernels/oscillation/kernels.inc"
#undef KERNEL

/// Passes: oscillation_step, oscillation_restore.
std::span<const OscillationRow> oscillation_rows();

}  // namespace octet::kernels
