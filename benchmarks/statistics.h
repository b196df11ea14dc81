// Medians and quartiles of a few times.
#pragma once
#include <vector>

namespace octet::bench {

struct Quartiles {
  double low = 0, median = 0, high = 0;
};
/// Linear between neighbours; zeros of nothing.
Quartiles quartiles_of(std::vector<double> values);

}  // namespace octet::bench
