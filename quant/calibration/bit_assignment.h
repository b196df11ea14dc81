// Which bits for which layer, when the whole may take only so much.
#pragma once
#include <cstdint>
#include <string>
#include <vector>

namespace octet::quant {

/// One way to store a layer's weights.
struct BitChoice {
  int bits = 0;
  double cost = 0;        ///< what it does to the net; costs of layers are added
  std::int64_t size = 0;  ///< in any unit, not negative
};
struct LayerChoices {
  std::string layer;
  std::vector<BitChoice> choices;  ///< at least one
};

struct BitAssignment {
  std::vector<std::size_t> chosen;  ///< index into each layer's choices
  double cost = 0;
  std::int64_t size = 0;
};

/// Σ size of the smallest choices. Throws Error when a layer has none.
std::int64_t least_size(const std::vector<LayerChoices>& layers);

/// The choices of least Σ cost with Σ size <= budget (a multiple-choice knapsack), by dynamic programming over the sums
/// of the layers so far that no other sum beats in both size and cost. The answer is the best one as long as at most
/// 65536 such sums are kept; beyond, of those in one 65536th of the budget the cheapest stays, so that the answer may
/// miss the best by what that costs, but never the budget. Throws Error, with a hint, when the smallest choices exceed
/// the budget.
BitAssignment assign_bits(const std::vector<LayerChoices>& layers, std::int64_t budget);

}  // namespace octet::quant
