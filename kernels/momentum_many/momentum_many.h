// The update of momentum.h for all parameters of a net at once, in f32, and behind it what a weight's quantizer makes of the new weight
// (weight_quant_fwd of fake_quant.h, without codes). What differs from parameter to parameter lies in a table, the rate in memory of its
// own, both where the row runs: so a recorded step (core/gpu/gpu.h) follows a schedule.
#pragma once
#include <span>
#include <vector>

#include "core/qmath.h"
#include "kernels/problem.h"
#include "kernels/room.h"

namespace octet::kernels {

/// Consecutive elements of a parameter: at most kMomentumPart of them, or, where they are quantized, whole rows, one if it is longer.
struct MomentumPart {
  const float* gradient = nullptr;
  float* velocity = nullptr;
  float* weight = nullptr;
  std::int64_t count = 0;
  double lr_scale = 1, weight_decay = 0;  ///< the rate is lr · lr_scale, in double
  float* quantized = nullptr;             ///< count, or null: the new weight on the grids of its rows
  float* scale = nullptr;                 ///< of each row
  std::int64_t inner = 0;                 ///< elements of a row
  std::int32_t lo = -127, hi = 127;
  QuantRule rule = QuantRule::onnx;
  friend bool operator==(const MomentumPart&, const MomentumPart&) = default;
};
inline constexpr std::int64_t kMomentumPart = 4096;
/// Appends a parameter of any size, given as one part, in parts that a row takes.
void cut_into_parts(MomentumPart parameter, std::vector<MomentumPart>& parts);

struct MomentumManyProblem {
  std::int64_t parts = 0;
  double momentum = 0.9;
  bool nesterov = false;
  std::string str() const;
};
struct MomentumManyPointers {
  const MomentumPart* parts = nullptr;
  const double* lr = nullptr;  ///< 1
};
using MomentumManyRow = Row<MomentumManyProblem, MomentumManyPointers>;
#define KERNEL(...) OCTET_DECLARE_KERNEL(MomentumManyProblem, MomentumManyPointers, __VA_ARGS__)
#include "kernels/momentum_many/kernels.inc"
#undef KERNEL

/// Pass: momentum_many.
std::span<const MomentumManyRow> momentum_many_rows();

}  // namespace octet::kernels
