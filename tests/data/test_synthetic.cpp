// The drawn pictures: the same bytes everywhere, balanced, and beyond a linear model.
#include <gtest/gtest.h>

#include <algorithm>
#include <array>
#include <cmath>
#include <utility>

#include "core/parallel.h"
#include "data/dataset.h"
#include "tests/support/expect_error.h"
#include "tests/support/tensors.h"

namespace octet::test {
namespace {

std::uint32_t crc_of(const Tensor& t) { return crc32c(t.raw(), t.nbytes()); }

TEST(Synthetic, TheBytesOfASeed) {
  const data::Split split = data::synthetic_shapes(2026, 100, 100);
  EXPECT_EQ(crc_of(split.train.pictures), 0xDD2BAC88u);
  EXPECT_EQ(crc_of(split.train.labels), 0x5B1667F0u);
  EXPECT_EQ(crc_of(split.test.pictures), 0x9A9905A5u);
  EXPECT_EQ(split.train.source, "synthetic");
  EXPECT_EQ(split.train.class_names.size(), 10u);
  EXPECT_EQ(split.train.pictures.shape(), (Shape{100, 32, 32, 3}));
}

TEST(Synthetic, NeitherCountNorThreadsMatter) {
  const int before = num_threads();
  const data::Dataset many = data::synthetic_shapes(1, 150, 0).train;
  for (const int threads : {1, 2, 3}) {
    set_num_threads(threads);
    const data::Dataset few = data::synthetic_shapes(1, 40, 0).train;
    EXPECT_TRUE(same_bits(few.pictures, many.first(40).pictures)) << threads;
    EXPECT_TRUE(same_bits(few.labels, many.first(40).labels)) << threads;
  }
  set_num_threads(before);
  EXPECT_FALSE(same_bits(data::synthetic_shapes(2, 40, 0).train.pictures, many.first(40).pictures));
  EXPECT_EQ(data::synthetic_shapes(1, 0, 3).train.size(), 0);
  EXPECT_ERROR(data::synthetic_shapes(1, -1, 0), "-1 pictures");
  EXPECT_ERROR(data::synthetic_shapes(1, 0, std::int64_t{1} << 60), "pictures");
}

TEST(Synthetic, ClassesAreBalancedAndNoPictureIsFlat) {
  const data::Dataset set = data::synthetic_shapes(3, 2000, 0).train;
  std::array<int, 10> counts{};
  for (const std::int32_t label : set.labels.span<std::int32_t>()) ++counts.at(static_cast<std::size_t>(label));
  for (const int count : counts) EXPECT_NEAR(count, 200, 60);
  const std::uint8_t* pixels = set.pictures.data<std::uint8_t>();
  for (std::int64_t p = 0; p < set.size(); ++p) {
    const auto [low, high] =
        std::minmax_element(pixels + p * data::kPictureBytes, pixels + (p + 1) * data::kPictureBytes);
    ASSERT_GT(*high - *low, 60) << p;
  }
}

// Pictures averaged over cells of `cell` x `cell` pixels, in [-1, 1], with a constant at the end.
std::vector<std::vector<float>> features_of(const data::Dataset& set, std::int64_t cell) {
  const std::int64_t side = 32 / cell;
  std::vector<std::vector<float>> all;
  const std::uint8_t* pixel = set.pictures.data<std::uint8_t>();
  for (std::int64_t p = 0; p < set.size(); ++p) {
    std::vector<float> f(static_cast<std::size_t>(side * side * 3 + 1), 0);
    f.back() = 1;
    for (std::int64_t i = 0; i < data::kPictureBytes; ++i, ++pixel) {
      const std::int64_t row = i / 96 / cell, col = i % 96 / 3 / cell;
      f[static_cast<std::size_t>((row * side + col) * 3 + i % 3)] +=
          (static_cast<float>(*pixel) / 127.5f - 1) / static_cast<float>(cell * cell);
    }
    all.push_back(std::move(f));
  }
  return all;
}

// Test accuracy of softmax regression, trained picture by picture with a falling rate.
double linear_accuracy(const data::Split& split, std::int64_t cell, int epochs, float rate) {
  const auto train = features_of(split.train, cell), test = features_of(split.test, cell);
  const std::size_t n = train[0].size();
  std::vector<float> weights(10 * n, 0);
  const auto scores = [&](const std::vector<float>& f) {
    std::array<float, 10> s{};
    for (std::size_t k = 0; k < 10; ++k)
      for (std::size_t i = 0; i < n; ++i) s[k] += weights[k * n + i] * f[i];
    return s;
  };
  for (int epoch = 0; epoch < epochs; ++epoch)
    for (std::size_t p = 0; p < train.size(); ++p) {
      auto s = scores(train[p]);
      const float top = *std::max_element(s.begin(), s.end());
      float sum = 0;
      for (float& x : s) sum += x = std::exp(x - top);
      for (std::size_t k = 0; k < 10; ++k) {
        const bool hit = split.train.labels.data<std::int32_t>()[p] == static_cast<std::int32_t>(k);
        const float step = rate / static_cast<float>(1 + epoch) * ((hit ? 1.0f : 0.0f) - s[k] / sum);
        for (std::size_t i = 0; i < n; ++i) weights[k * n + i] += step * train[p][i];
      }
    }
  int hits = 0;
  for (std::size_t p = 0; p < test.size(); ++p) {
    const auto s = scores(test[p]);
    hits += std::max_element(s.begin(), s.end()) - s.begin() == split.test.labels.data<std::int32_t>()[p];
  }
  return hits / static_cast<double>(test.size());
}

TEST(Synthetic, ALinearModelFails) {
  const double accuracy = linear_accuracy(data::synthetic_shapes(2026, 3000, 1000), 4, 10, 0.02f);
  EXPECT_LT(accuracy, 0.35);
  EXPECT_GT(accuracy, 0.08);
  RecordProperty("accuracy", std::to_string(accuracy));
}

TEST(LongSynthetic, ALinearModelFailsOnTheWholeSet) {
  const data::Split split = data::synthetic_shapes(2026);
  for (const auto& [cell, epochs] : {std::pair{1, 2}, {2, 4}, {4, 10}})
    EXPECT_LT(linear_accuracy(split, cell, epochs, 0.005f), 0.35) << cell;
}

}  // namespace
}  // namespace octet::test
