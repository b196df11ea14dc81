// Histograms of what quantizers see, and the thresholds found in them. A histogram is f32 in one array, its state:
//   0, 1  low, high: the range found       2  e + 126, bins being w = 2^e wide       3  values that are 0
//   then kHistogramBins counts: bin i has the values with i·w <= |x| < (i + 1)·w; with two sides those with x > 0, and
//   as many counts more of those with x < 0, by |x|
// Widths are powers of two: neighbours merge without another look at the values, and the counts do not depend on the
// order of batches (up to the rounding of counts beyond 2^24). A state of zeros is empty, bins at their finest.
//   histogram_fit:    makes room for values up to *top. Every count ← decay·count first, and less than 1/16 is nothing.
//                     Then bins merge until top < kHistogramBins·w; or, where decay < 1, they could be half as wide and
//                     none of the upper half counts, they are cut in halves once. A top that is not finite loses the
//                     histogram for good: its width, later its range, are NaN
//   histogram_add:    counts `count` values, none beyond the last top; each bin's sum is rounded once
//   histogram_search: low and high by `rule` for a grid of codes 0 … hi. One side: high is the threshold of |x|, low is
//                     −high. Two sides: an affine grid; low <= 0 <= high. E is the upper edge of the last bin that
//                     counts, E' that of the other side.
//     percentile  high: the least edge that a share of all values does not exceed; low: −(the same of −x)
//     kl          one side. The threshold whose values, the rest clipped to it, diverge least (Kullback-Leibler) from
//                 themselves in hi + 1 groups, each uniform over those of its bins that count: entropy calibration
//                 (Migacz 2017, "8-bit inference with TensorRT"). Thresholds i·w for i from hi + 1 to the last bin; bin
//                 b is in group floor(b·(hi + 1) / i). Zeros are left out: every grid has them. E where that is fewer
//                 bins than groups
//     mse         one side: of the thresholds E·k/128 that of least squared error (fake_quant.h, mse_top), a value
//                 counting as its bin's centre. Two sides: from low = −E', high = E on, high, low, high and low in turn
//                 are set to the best of such fractions of where they began; the zero point is
//                 clamp(rint(−low / s), 0, hi), s = (high − low) / hi
//   Of equals the largest threshold.
// Same bits: kl and mse sum in double; groups, or bins (one side after the other), go to partial sum i mod 32, which
// fold in halves (l and l + 16, l + 8, …). Sums over bins before them run in order.
#pragma once
#include "kernels/problem.h"
#include "kernels/room.h"

namespace octet::kernels {

constexpr std::int64_t kHistogramBins = 2048;
constexpr std::int64_t kHistogramHeader = 4;  ///< numbers in front of the counts
/// Numbers of a state.
constexpr std::int64_t histogram_size(int sides) { return kHistogramHeader + sides * kHistogramBins; }

enum class HistogramRule { percentile, kl, mse };

struct HistogramProblem {
  int sides = 1;           ///< 1: of |x|; 2: of x < 0 and x > 0 apart
  std::int64_t count = 0;  ///< add: values, less than 2^32
  double decay = 1;        ///< fit, in [0, 1]
  HistogramRule rule = HistogramRule::mse;
  std::int32_t hi = 127;  ///< search: 1 to 2047
  double share = 1;       ///< search by percentile, in (0, 1]
  std::string str() const;
};
struct HistogramPointers {
  float* state = nullptr;      ///< histogram_size(sides)
  const float* top = nullptr;  ///< fit: 1, at least every |x| to come
  const float* src = nullptr;  ///< add: count
};
using HistogramRow = Row<HistogramProblem, HistogramPointers>;
#define KERNEL(...) OCTET_DECLARE_KERNEL(HistogramProblem, HistogramPointers, __VA_ARGS__)
#include "kernels/histogram/kernels.inc"
#undef KERNEL

/// Passes: histogram_fit, histogram_add, histogram_search.
std::span<const HistogramRow> histogram_rows();

}  // namespace octet::kernels
