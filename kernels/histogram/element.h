// Bins of a histogram, and what a threshold costs: what the rows share. histogram.h has the formulas.
#pragma once
#include <bit>
#include <cmath>

#include "core/portable_exp_log.h"
#include "kernels/fake_quant/fake_quant.h"
#include "kernels/histogram/histogram.h"

namespace octet::kernels {
namespace {

constexpr int kBins = static_cast<int>(kHistogramBins), kPartialSums = 32, kLeastExponent = -126,
              kMostWidth = 127 - 10 - kLeastExponent;
enum Place { kLow = 0, kHigh = 1, kWidth = 2, kZeros = 3, kCounts = 4 };
static_assert(kCounts == kHistogramHeader);

inline OCTET_HD bool is_finite(float x) { return x - x == 0; }
/// Can this be state[kWidth]? A state may come from a file, and what is not is lost: it would lead out of the bins.
inline OCTET_HD bool is_width(float x) { return x >= 0 && x <= static_cast<float>(kMostWidth); }

/// What state[kWidth] is for values up to `top`: top < 2^(exponent + 1) = kBins·2^(exponent − 10).
inline OCTET_HD int width_for(float top) {
  const int exponent = static_cast<int>(std::bit_cast<std::uint32_t>(fabsf(top)) >> 23) - 127;
  return exponent - 10 < kLeastExponent ? 0 : exponent - 10 - kLeastExponent;
}
/// 2^e and 2^−e.
inline OCTET_HD float width_of(float state) {
  return std::bit_cast<float>(static_cast<std::uint32_t>(static_cast<int>(state) + kLeastExponent + 127) << 23);
}
inline OCTET_HD float per_width(float state) {
  return std::bit_cast<float>(static_cast<std::uint32_t>(127 - kLeastExponent - static_cast<int>(state)) << 23);
}

/// The place of x in a state, from `bins_per_unit` = per_width().
inline OCTET_HD int place_of(float x, float bins_per_unit, int sides) {
  if (x == 0) return kZeros;
  const float bin = fabsf(x) * bins_per_unit;
  const int i = bin < static_cast<float>(kBins - 1) ? static_cast<int>(bin) : kBins - 1;
  return kCounts + (sides == 2 && x < 0 ? kBins : 0) + i;
}

inline OCTET_HD float decayed(float count, double decay) {
  if (decay >= 1) return count;
  const float left = static_cast<float>(decay * static_cast<double>(count));
  return left < 0.0625f ? 0.0f : left;
}
/// Bin i after 2^levels neighbours became one.
inline OCTET_HD float merged(const float* counts, int i, int levels) {
  levels = levels < 11 ? levels : 11;
  if (i >= kBins >> levels) return 0;
  double sum = 0;
  for (int j = i << levels; j < (i + 1) << levels; ++j) sum += static_cast<double>(counts[j]);
  return static_cast<float>(sum);
}

/// Bins up to the last that counts.
inline OCTET_HD int bins_in_use(const float* counts) {
  int used = 0;
  for (int i = 0; i < kBins; ++i)
    if (counts[i] > 0) used = i + 1;
  return used;
}

/// The least i such that bins [0, i) and `before`, what lies in front of them, are a share of all.
inline OCTET_HD int percentile_edge(const float* counts, double before, double share) {
  double all = before, sum = before;
  for (int i = 0; i < kBins; ++i) all += static_cast<double>(counts[i]);
  int edge = 0;
  while (edge < kBins && sum < share * all) sum += static_cast<double>(counts[edge++]);
  return edge;
}
inline OCTET_HD double sum_of(const float* counts) {
  double sum = 0;
  for (int i = 0; i < kBins; ++i) sum += static_cast<double>(counts[i]);
  return sum;
}

/// Half to even, for |t| < 2^22: a call of rintf costs more than all else here.
inline OCTET_HD float nearest(float t) { return (t + 0x1.8p23f) - 0x1.8p23f; }

/// Partial sum `lane` of the squared errors on a grid of codes 0 … hi over [low, high].
inline OCTET_HD double squared_errors(const float* state, int sides, float low, float high, std::int32_t hi, int lane) {
  const float top = static_cast<float>(hi), step = grid_scale(QuantRule::onnx, high - low, hi);
  const float z = nearest(qmath::clampf(-low / step, 0, top)), width = width_of(state[kWidth]);
  double sum = 0;
  for (int i = lane; i < sides * kBins; i += kPartialSums) {
    const double count = state[kCounts + i];
    if (count == 0) continue;
    const float size = (static_cast<float>(i % kBins) + 0.5f) * width, x = i < kBins ? size : -size;
    const float q = nearest(qmath::clampf(x / step, -z, top - z));
    const float on_grid = q * step;
    const double e = x - on_grid, square = count * e * e;
    sum = sum + square;
  }
  return sum;
}

inline OCTET_HD double log_times(double x) { return x > 0 ? x * portable::log_of(x) : 0; }

/// Of one side: sums over the bins before each bin, of the counts, of count·log(count), and of the bins that count.
struct BinSums {
  const double *count, *log_count;
  const int* filled;
  /// Of group g of `groups` below edge i: what its bins hold together, and how many count.
  inline OCTET_HD void group(int g, int groups, int i, double& sum, int& bins) const {
    const int begin = (g * i + groups - 1) / groups, end = ((g + 1) * i + groups - 1) / groups;
    sum = count[end] - count[begin], bins = filled[end] - filled[begin];
  }
};

/// Partial sum `lane` of Σ S·log(S / n) over the groups below edge i.
inline OCTET_HD double group_logs(const BinSums& bins, int groups, int i, int lane) {
  double total = 0;
  for (int g = lane; g < groups; g += kPartialSums) {
    double sum;
    int n;
    bins.group(g, groups, i, sum, n);
    if (n > 0) total += sum * portable::log_of(sum / n);
  }
  return total;
}
/// The divergence at edge i, from Σ S·log(S / n).
inline OCTET_HD double divergence(const BinSums& bins, const float* counts, int groups, int i, double group_logs) {
  const double all = bins.count[kBins], kept = bins.count[i], clipped = all - kept, last = counts[i - 1];
  double sum = bins.log_count[i - 1] + log_times(last + clipped) - group_logs;
  if (clipped > 0) {
    if (last == 0) return std::bit_cast<double>(std::uint64_t{0x7ff} << 52);
    double group;
    int n;
    bins.group(groups - 1, groups, i, group, n);
    sum -= clipped * portable::log_of(group / n);
  }
  return sum / all + portable::log_of(kept / all);
}

/// How many thresholds a search tries, with `used` bins in use: the k-th, from 0, is the k-th largest.
inline OCTET_HD int candidates(HistogramRule rule, std::int32_t hi, int used) {
  if (rule == HistogramRule::mse) return kMseSteps;
  return used > hi ? used - hi : 1;
}
/// The k-th threshold below edge `used`, for mse and kl.
inline OCTET_HD float candidate(HistogramRule rule, int used, float width, int k) {
  const float edge = static_cast<float>(used) * width;
  return rule == HistogramRule::mse ? mse_candidate(edge, k) : static_cast<float>(used - k) * width;
}

}  // namespace
}  // namespace octet::kernels
