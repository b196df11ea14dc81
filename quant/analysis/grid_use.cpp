#include "quant/analysis/grid_use.h"

#include <algorithm>
#include <cmath>
#include <limits>

#include "core/error.h"

namespace octet::quant {
namespace {

double decibel(double signal, double noise) {
  constexpr double kInfinity = std::numeric_limits<double>::infinity();
  if (noise == 0) return kInfinity;
  return signal > 0 ? 10 * std::log10(signal / noise) : -kInfinity;
}

constexpr int kMostBins = 512;

}  // namespace

GridUse use_of_grid(const Tensor& values, const QuantParams& grid) {
  OCTET_CHECK(values.dtype() == DType::f32 && values.numel() > 0, "grid_use", "{} {} has no f32 values",
              name_of(values.dtype()), values.shape().str());
  GridUse use;
  use.grid = grid, use.values = values.numel(), use.codes = grid.hi - grid.lo + 1;
  const int per_code = std::clamp(64 / use.codes, 1, 8), beyond = std::max(use.codes / 4, 2);
  use.bin_width = 1.0 / per_code, use.first_bin = grid.lo - beyond - 0.5;
  use.histogram.assign(static_cast<std::size_t>(std::min((use.codes + 2 * beyond) * per_code, kMostBins)), 0.0);
  std::vector<bool> taken(static_cast<std::size_t>(use.codes));
  const std::int64_t channels = static_cast<std::int64_t>(grid.scale.size()), inner = values.numel() / channels;
  const float* x = values.data<float>();
  double signal = 0, noise = 0;
  std::int64_t clipped = 0, zeros = 0;
  for (std::int64_t i = 0; i < values.numel(); ++i) {
    OCTET_CHECK(std::isfinite(x[i]), "grid_use", "value {} is {}", i, x[i]);
    const auto c = static_cast<std::size_t>(i / inner);
    const std::int32_t q = grid.quantize(x[i], c);
    const double value = static_cast<double>(x[i]), apart = value - static_cast<double>(grid.dequantize(q, c));
    const double place = value / static_cast<double>(grid.step(c)) + grid.zero_point;
    signal += value * value, noise += apart * apart;
    clipped += place > grid.hi + 0.5 || place < grid.lo - 0.5;
    zeros += q == grid.zero_point;
    taken[static_cast<std::size_t>(q - grid.lo)] = true;
    const double bin =
        std::clamp((place - use.first_bin) / use.bin_width, 0.0, static_cast<double>(use.histogram.size() - 1));
    use.histogram[static_cast<std::size_t>(bin)] += 1;
  }
  use.clipped = static_cast<double>(clipped) / static_cast<double>(use.values);
  use.zeros = static_cast<double>(zeros) / static_cast<double>(use.values);
  use.unused = static_cast<int>(std::count(taken.begin(), taken.end(), false));
  use.sqnr_db = decibel(signal, noise);
  return use;
}

double sqnr_db(const Tensor& signal, const Tensor& noisy) {
  OCTET_CHECK(signal.dtype() == DType::f32 && noisy.dtype() == DType::f32 && signal.numel() == noisy.numel(), "sqnr",
              "{} {} against {} {}", name_of(signal.dtype()), signal.shape().str(), name_of(noisy.dtype()),
              noisy.shape().str());
  double power = 0, noise = 0;
  for (std::int64_t i = 0; i < signal.numel(); ++i) {
    const double a = static_cast<double>(signal.data<float>()[i]),
                 apart = a - static_cast<double>(noisy.data<float>()[i]);
    power += a * a, noise += apart * apart;
  }
  return decibel(power, noise);
}

}  // namespace octet::quant
