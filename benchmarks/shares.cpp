// How far the 1x1 convolutions get: which share of the peak do they reach, and which shape the least?
#include <algorithm>
#include <cmath>
#include <string_view>

#include "benchmarks/report.h"
#include "benchmarks/shapes.h"

namespace octet::bench {
namespace {

std::vector<std::string> pointwise_names() {
  std::vector<std::string> names;
  for (const Layer& layer : layers_of(LayerKind::conv, 1))
    if (layer.geometry.is_pointwise()) names.push_back(layer.name);
  return names;
}

}  // namespace

std::vector<Share> pointwise_shares(const std::vector<Result>& results, const Peaks& peaks, std::int64_t batch) {
  const std::vector<std::string> names = pointwise_names();
  std::vector<Share> shares;
  std::vector<double> logs;  // as shares: sums of logarithms
  for (const Result& result : results) {
    const Entry& entry = *result.entry;
    if (!entry.chosen || !result.error.empty() || entry.work.ops <= 0) continue;
    GroupParts parts = parts_of(entry.group);
    if (constexpr std::string_view kQat = "-qat"; parts.shape.ends_with(kQat)) {
      parts.shape.resize(parts.shape.size() - kQat.size());
      parts.pass += kQat;
    }
    if (parts.batch != batch || std::find(names.begin(), names.end(), parts.shape) == names.end()) continue;
    const double share = result.gops() / gops_of(entry.work.unit, peaks);
    auto known = std::find_if(shares.begin(), shares.end(),
                              [&](const Share& s) { return s.pass == parts.pass && s.dtypes == entry.dtypes; });
    if (known == shares.end()) {
      known = shares.insert(shares.end(), {parts.pass, entry.dtypes, 0, names.size(), 0, share, parts.shape});
      logs.push_back(0);
    }
    logs[static_cast<std::size_t>(known - shares.begin())] += std::log(share);
    ++known->shapes;
    if (share < known->lowest) known->lowest = share, known->lowest_shape = parts.shape;
  }
  for (std::size_t i = 0; i < shares.size(); ++i)
    shares[i].geomean = std::exp(logs[i] / static_cast<double>(shares[i].shapes));
  return shares;
}

}  // namespace octet::bench
