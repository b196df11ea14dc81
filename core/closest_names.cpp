#include "core/closest_names.h"

#include <algorithm>
#include <map>
#include <numeric>

namespace octet {
namespace {

constexpr std::size_t kLongest = 64;  // letters that are compared

std::size_t distance(const std::string& a, const std::string& b) {
  std::vector<std::size_t> row(b.size() + 1);
  std::iota(row.begin(), row.end(), std::size_t{0});
  for (std::size_t i = 0; i < a.size(); ++i) {
    std::size_t diagonal = row[0]++;
    for (std::size_t j = 0; j < b.size(); ++j) {
      const std::size_t replaced = diagonal + (a[i] == b[j] ? 0 : 1);
      diagonal = row[j + 1];
      row[j + 1] = std::min({replaced, row[j] + 1, row[j + 1] + 1});
    }
  }
  return row[b.size()];
}

}  // namespace

std::vector<std::string> closest_names(const std::string& text, std::vector<std::string> names, std::size_t count) {
  const std::string compared = text.substr(0, kLongest);
  std::map<std::string, std::size_t> distances;
  for (const std::string& name : names) distances[name] = distance(compared, name.substr(0, kLongest));
  std::stable_sort(names.begin(), names.end(),
                   [&](const std::string& a, const std::string& b) { return distances[a] < distances[b]; });
  names.resize(std::min(count, names.size()));
  return names;
}

}  // namespace octet
