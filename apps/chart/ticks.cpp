#include <algorithm>
#include <cmath>

#include "apps/chart/charts.h"

namespace octet::chart {

std::vector<double> ticks(double low, double high, int count) {
  if (!(high > low) || !std::isfinite(high - low) || count < 1) return {low};
  const double raw = (high - low) / count, decade = std::pow(10, std::floor(std::log10(raw)));
  double step = 10 * decade;
  for (const double factor : {5.0, 2.0, 1.0})
    if (factor * decade >= raw * 0.999) step = factor * decade;
  std::vector<double> all;
  const auto first = static_cast<std::int64_t>(std::ceil(low / step - 1e-9)),
             last = static_cast<std::int64_t>(std::floor(high / step + 1e-9));
  for (std::int64_t i = first; i <= last; ++i) all.push_back(static_cast<double>(i) * step);
  return all;
}

std::vector<double> logarithmic_ticks(double low, double high) {
  const int first = static_cast<int>(std::ceil(std::log2(low) - 1e-9)),
            last = static_cast<int>(std::floor(std::log2(high) + 1e-9));
  const int apart = (last - first) / 9 + 1;
  std::vector<double> all;
  for (int i = first; i <= last; i += apart) all.push_back(std::ldexp(1.0, i));
  return all;
}

}  // namespace octet::chart
