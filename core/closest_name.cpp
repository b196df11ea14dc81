#include "core/closest_name.h"

#include <algorithm>
#include <numeric>
#include <utility>

namespace octet {
namespace {

constexpr std::size_t kLongest = 100;  // of what is compared: a given name may be anything

std::size_t distance(std::string_view a, std::string_view b) {
  std::vector<std::size_t> row(b.size() + 1);
  std::iota(row.begin(), row.end(), std::size_t{0});
  for (std::size_t i = 0; i < a.size(); ++i) {
    std::size_t diagonal = std::exchange(row[0], i + 1);
    for (std::size_t j = 0; j < b.size(); ++j) {
      const std::size_t replaced = diagonal + (a[i] != b[j]);
      diagonal = std::exchange(row[j + 1], std::min({row[j] + 1, row[j + 1] + 1, replaced}));
    }
  }
  return row.back();
}

}  // namespace

std::string closest_name(std::string_view given, const std::vector<std::string>& names) {
  const auto far = [&](const std::string& name) {
    return distance(given.substr(0, kLongest), std::string_view(name).substr(0, kLongest));
  };
  const auto best =
      std::min_element(names.begin(), names.end(), [&](const auto& a, const auto& b) { return far(a) < far(b); });
  return best == names.end() ? "" : *best;
}

}  // namespace octet
