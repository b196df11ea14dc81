// The paddle initialiser against moments of PaddlePaddle's own initial weights.
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>

#include "nn/models.h"
#include "tests/golden/golden.h"

namespace octet::test {
namespace {

struct Moments {
  double count = 0, mean = 0, sigma = 0, min = 0, max = 0, kurtosis = 0;
};

Moments moments_of(const Tensor& values) {
  Moments m;
  m.count = static_cast<double>(values.numel());
  m.min = m.max = values.at(0);
  for (std::int64_t i = 0; i < values.numel(); ++i) {
    m.mean += values.at(i) / m.count;
    m.min = std::min(m.min, values.at(i)), m.max = std::max(m.max, values.at(i));
  }
  double second = 0, fourth = 0;
  for (std::int64_t i = 0; i < values.numel(); ++i) {
    const double square = std::pow(values.at(i) - m.mean, 2);
    second += square / m.count, fourth += square * square / m.count;
  }
  m.sigma = std::sqrt(second);
  m.kurtosis = second > 0 ? fourth / (second * second) : 0;
  return m;
}

Moments stored(const Tensor& row) { return {row.at(0), row.at(1), row.at(2), row.at(3), row.at(4), row.at(5)}; }

TEST(GoldenInit, MomentsOfEveryTensor) {
  const TensorFile& file = golden("paddle_init.safetensors");
  nn::MobileNetV1Options options;
  options.init = nn::Init::paddle;
  options.seed = 3;
  const auto state = nn::mobilenet_v1(options)->state();
  EXPECT_EQ(state.size(), file.tensors.size());
  for (const auto& [name, tensor] : state) {
    const Moments ours = moments_of(tensor), theirs = stored(file.get(name));
    EXPECT_EQ(ours.count * 5, theirs.count) << name;
    if (theirs.sigma == 0) {
      EXPECT_EQ(ours.min, theirs.min) << name;
      EXPECT_EQ(ours.max, theirs.max) << name;
      continue;
    }
    // Five standard errors of both estimates: sigma/sqrt(n) of a mean, sqrt((kurtosis - 1)/4n) relative of a sigma.
    const double n = 1 / (1 / ours.count + 1 / theirs.count);
    EXPECT_NEAR(ours.mean, theirs.mean, 5 * theirs.sigma / std::sqrt(n)) << name;
    EXPECT_NEAR(ours.sigma / theirs.sigma, 1, 5 * std::sqrt((theirs.kurtosis - 1) / 4 / n)) << name;
    const bool uniform = theirs.kurtosis < 2.2;
    EXPECT_NEAR(ours.kurtosis, uniform ? 1.8 : 3.0, uniform ? 0.1 : 5 * std::sqrt(24 / ours.count)) << name;
    if (uniform) {
      EXPECT_NEAR(ours.max / theirs.max, 1, 0.01) << name;
    }
  }
}

}  // namespace
}  // namespace octet::test
