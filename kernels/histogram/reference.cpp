#include <algorithm>
#include <limits>
#include <vector>

#include "core/parallel.h"
#include "kernels/histogram/element.h"

namespace octet::kernels {
namespace {

constexpr std::int64_t kRun = 1 << 16, kTasks = 64;

void fit(const HistogramProblem& p, const HistogramPointers& x) {
  float* state = x.state;
  if (!is_finite(*x.top) || !is_width(state[kWidth])) {
    state[kWidth] = std::numeric_limits<float>::quiet_NaN();
    return;
  }
  for (std::int64_t i = kZeros; i < histogram_size(p.sides); ++i) state[i] = decayed(state[i], p.decay);
  const int had = static_cast<int>(state[kWidth]), wanted = width_for(*x.top);
  bool upper_half = false;
  for (int i = 0; i < p.sides * kBins; ++i)
    upper_half = upper_half || (i % kBins >= kBins / 2 && state[kCounts + i] > 0);
  const bool splits = wanted < had && p.decay < 1 && !upper_half;
  if (wanted <= had && !splits) return;
  state[kWidth] = static_cast<float>(splits ? had - 1 : wanted);
  std::vector<float> made(kBins);
  for (int side = 0; side < p.sides; ++side) {
    float* counts = state + kCounts + side * kBins;
    for (int i = 0; i < kBins; ++i)
      made[static_cast<std::size_t>(i)] = splits ? counts[i / 2] / 2 : merged(counts, i, wanted - had);
    std::copy(made.begin(), made.end(), counts);
  }
}

void add(const HistogramProblem& p, const HistogramPointers& x) {
  float* state = x.state;
  if (!is_width(state[kWidth])) return;
  const float bins_per_unit = per_width(state[kWidth]);
  const std::int64_t tasks = std::clamp<std::int64_t>(p.count / kRun, 1, kTasks), run = (p.count + tasks - 1) / tasks;
  const auto size = static_cast<std::size_t>(histogram_size(p.sides));
  std::vector<std::uint32_t> fresh(size * static_cast<std::size_t>(tasks));
  parallel_for(tasks, [&](std::int64_t task) {
    std::uint32_t* own = fresh.data() + static_cast<std::size_t>(task) * size;
    for (std::int64_t i = task * run; i < std::min(p.count, (task + 1) * run); ++i)
      ++own[place_of(x.src[i], bins_per_unit, p.sides)];
  });
  for (std::size_t i = kZeros; i < size; ++i) {
    std::uint32_t sum = 0;
    for (std::int64_t task = 0; task < tasks; ++task) sum += fresh[static_cast<std::size_t>(task) * size + i];
    state[i] = static_cast<float>(static_cast<double>(state[i]) + sum);
  }
}

/// f(lane) for every partial sum, folded in the order that the header fixes.
template <class F>
double folded(F f) {
  double sums[kPartialSums];
  for (int lane = 0; lane < kPartialSums; ++lane) sums[lane] = f(lane);
  for (int half = kPartialSums / 2; half > 0; half /= 2)
    for (int l = 0; l < half; ++l) sums[l] += sums[l + half];
  return sums[0];
}

/// The k of `count` with the least cost(k), the first of equals.
template <class Cost>
int least(int count, Cost cost) {
  std::vector<double> costs(static_cast<std::size_t>(count));
  parallel_for(count, [&](std::int64_t k) { costs[static_cast<std::size_t>(k)] = cost(static_cast<int>(k)); });
  return static_cast<int>(std::min_element(costs.begin(), costs.end()) - costs.begin());
}

float search_kl(const HistogramProblem& p, const float* state) {
  const float* counts = state + kCounts;
  std::vector<double> count(kBins + 1), log_count(kBins + 1);
  std::vector<int> filled(kBins + 1);
  for (std::size_t i = 0; i < kBins; ++i) {
    count[i + 1] = count[i] + static_cast<double>(counts[i]);
    log_count[i + 1] = log_count[i] + log_times(counts[i]);
    filled[i + 1] = filled[i] + (counts[i] > 0 ? 1 : 0);
  }
  const BinSums bins{count.data(), log_count.data(), filled.data()};
  const int used = bins_in_use(counts), tried = candidates(p.rule, p.hi, used), groups = p.hi + 1;
  const int best = tried == 1 ? 0 : least(tried, [&](int k) {
    const double logs = folded([&](int lane) { return group_logs(bins, groups, used - k, lane); });
    return divergence(bins, counts, groups, used - k, logs);
  });
  return candidate(p.rule, used, width_of(state[kWidth]), best);
}

/// One end of the grid over [low, high], the other held: the best fraction of the edge of `used` bins.
float search_mse(const HistogramProblem& p, const float* state, int used, float low, float high, bool moves_high) {
  const float width = width_of(state[kWidth]);
  const int best = least(kMseSteps, [&](int k) {
    const float edge = candidate(p.rule, used, width, k), from = moves_high ? low : -edge,
                to = moves_high ? edge : high;
    return folded([&](int lane) { return squared_errors(state, p.sides, from, to, p.hi, lane); });
  });
  return candidate(p.rule, used, width, best);
}

void search_both_ends(const HistogramProblem& p, float* state) {
  const float width = width_of(state[kWidth]);
  const int above = bins_in_use(state + kCounts), below = bins_in_use(state + kCounts + kBins);
  float low = -static_cast<float>(below) * width, high = static_cast<float>(above) * width;
  for (int round = 0; round < 2; ++round) {
    high = search_mse(p, state, above, low, high, true);
    low = -search_mse(p, state, below, low, high, false);
  }
  state[kLow] = low, state[kHigh] = high;
}

void search(const HistogramProblem& p, const HistogramPointers& x) {
  float* state = x.state;
  const float *above = state + kCounts, *below = above + kBins;
  if (!is_width(state[kWidth])) {
    state[kLow] = state[kHigh] = std::numeric_limits<float>::quiet_NaN();
    return;
  }
  if (p.rule == HistogramRule::mse && p.sides == 2) return search_both_ends(p, state);
  const float width = width_of(state[kWidth]);
  if (p.rule == HistogramRule::percentile) {
    const double zeros = state[kZeros], before = zeros + (p.sides == 2 ? sum_of(below) : 0);
    state[kHigh] = static_cast<float>(percentile_edge(above, before, p.share)) * width;
    state[kLow] = p.sides == 1 ? -state[kHigh]
                               : -static_cast<float>(percentile_edge(below, zeros + sum_of(above), p.share)) * width;
    return;
  }
  state[kHigh] =
      p.rule == HistogramRule::kl ? search_kl(p, state) : search_mse(p, state, bins_in_use(above), 0, 0, true);
  state[kLow] = -state[kHigh];
}

}  // namespace

const char* histogram_fit_f32_reference_why_not(const HistogramProblem&) { return nullptr; }
void histogram_fit_f32_reference(const HistogramProblem& p, const HistogramPointers& x, const Context&) { fit(p, x); }
const char* histogram_add_f32_reference_why_not(const HistogramProblem& p) {
  return p.count > 0xffffffff ? "2^32 values or more" : nullptr;
}
void histogram_add_f32_reference(const HistogramProblem& p, const HistogramPointers& x, const Context&) { add(p, x); }
const char* histogram_search_f32_reference_why_not(const HistogramProblem& p) {
  if (p.rule == HistogramRule::kl && p.sides != 1) return "a divergence of two sides";
  return p.hi < 1 || p.hi >= kBins ? "hi outside 1 to 2047" : nullptr;
}
void histogram_search_f32_reference(const HistogramProblem& p, const HistogramPointers& x, const Context&) {
  search(p, x);
}

}  // namespace octet::kernels
