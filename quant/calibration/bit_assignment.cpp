#include "quant/calibration/bit_assignment.h"

#include <algorithm>

#include "core/error.h"

namespace octet::quant {
namespace {

constexpr const char* kWhere = "assign_bits";
constexpr std::size_t kMostSums = 65536;

/// Choices for the layers so far.
struct Sum {
  std::int64_t size = 0;
  double cost = 0;
  std::size_t from = 0, choice = 0;  ///< sum of the layers before, and what was chosen then
};

bool is_before(const Sum& a, const Sum& b) { return a.size != b.size ? a.size < b.size : a.cost < b.cost; }

/// Each sum with each choice of one more layer, in order, as long as that takes no more than `most`.
std::vector<Sum> with_choices(const std::vector<Sum>& before, const std::vector<BitChoice>& choices,
                              std::int64_t most) {
  std::vector<Sum> sums;
  for (std::size_t choice = 0; choice < choices.size(); ++choice) {
    const auto middle = static_cast<std::ptrdiff_t>(sums.size());
    for (std::size_t from = 0; from < before.size(); ++from) {
      const Sum sum{before[from].size + choices[choice].size, before[from].cost + choices[choice].cost, from, choice};
      if (sum.size <= most) sums.push_back(sum);
    }
    std::inplace_merge(sums.begin(), sums.begin() + middle, sums.end(), is_before);
  }
  return sums;
}

/// Those that none before beats in both; costs fall from one to the next.
std::vector<Sum> unbeaten(const std::vector<Sum>& sums) {
  std::vector<Sum> kept;
  for (const Sum& sum : sums)
    if (kept.empty() || sum.cost < kept.back().cost) kept.push_back(sum);
  return kept;
}

/// The last of a bucket is its cheapest; the smallest of all stays.
std::vector<Sum> thinned(const std::vector<Sum>& sums, std::int64_t budget) {
  if (sums.size() <= kMostSums) return sums;
  const std::int64_t bucket = budget / static_cast<std::int64_t>(kMostSums) + 1;
  std::vector<Sum> kept{sums.front()};
  for (std::size_t i = 1; i < sums.size(); ++i)
    if (i + 1 == sums.size() || sums[i + 1].size / bucket != sums[i].size / bucket) kept.push_back(sums[i]);
  return kept;
}

std::int64_t smallest(const LayerChoices& layer) {
  std::int64_t size = layer.choices[0].size;
  for (const BitChoice& choice : layer.choices) size = std::min(size, choice.size);
  return size;
}

}  // namespace

std::int64_t least_size(const std::vector<LayerChoices>& layers) {
  std::int64_t least = 0;
  for (const LayerChoices& layer : layers) {
    OCTET_CHECK(!layer.choices.empty(), kWhere, "{} has no choice of bits", layer.layer);
    least += smallest(layer);
  }
  return least;
}

BitAssignment assign_bits(const std::vector<LayerChoices>& layers, std::int64_t budget) {
  const std::int64_t least = least_size(layers);
  if (least > budget)
    fail(kWhere, fmt::format("the smallest choices take {}, the budget is {}", least, budget),
         "a larger budget, or fewer bits among the choices");

  std::vector<std::vector<Sum>> steps{{Sum{}}};
  std::int64_t rest = least;  // what the layers to come take at least
  for (const LayerChoices& layer : layers) {
    rest -= smallest(layer);
    steps.push_back(thinned(unbeaten(with_choices(steps.back(), layer.choices, budget - rest)), budget));
  }

  const Sum best = steps.back().back();  // the largest is the cheapest
  BitAssignment assignment{std::vector<std::size_t>(layers.size()), best.cost, best.size};
  Sum at = best;
  for (std::size_t l = layers.size(); l-- > 0; at = steps[l][at.from]) assignment.chosen[l] = at.choice;
  return assignment;
}

}  // namespace octet::quant
