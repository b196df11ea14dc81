#include "data/transform.h"

#include <algorithm>
#include <array>

#include "core/parallel.h"
#include "core/random.h"
#include "data/dataset.h"

namespace octet::data {
namespace {

// All 256 answers of the division, so that it runs at the speed of a load.
const std::array<float, 256> kNormalised = [] {
  std::array<float, 256> table{};
  for (int i = 0; i < 256; ++i) table[static_cast<std::size_t>(i)] = (static_cast<float>(i) - 127.5f) / 127.5f;
  return table;
}();

}  // namespace

void normalise(const std::uint8_t* pixels, std::int64_t count, float* values) {
  for (std::int64_t i = 0; i < count; ++i) values[i] = kNormalised[pixels[i]];
}

Tensor normalise(const Tensor& pictures) {
  Tensor values(pictures.shape());
  const std::uint8_t* from = pictures.data<std::uint8_t>();
  float* to = values.data<float>();
  const std::int64_t block = 1 << 16, count = pictures.numel();
  parallel_for((count + block - 1) / block, [&](std::int64_t i) { normalise(from + i * block, std::min(block, count - i * block), to + i * block); });
  return values;
}

void crop_flip(const std::uint8_t* pixels, std::uint64_t seed, std::uint64_t epoch, std::uint64_t picture, float* values) {
  Random random(seed, Purpose::augment, epoch, picture);
  const auto down = static_cast<std::int64_t>(random.below(9)) - 4, right = static_cast<std::int64_t>(random.below(9)) - 4;
  const bool mirrored = random.below(2) == 1;
  for (std::int64_t row = 0; row < kSide; ++row)
    for (std::int64_t col = 0; col < kSide; ++col) {
      const std::int64_t from_row = row + down, from_col = (mirrored ? kSide - 1 - col : col) + right;
      const bool outside = from_row < 0 || from_row >= kSide || from_col < 0 || from_col >= kSide;
      for (std::int64_t c = 0; c < kChannels; ++c)
        *values++ = outside ? 0.0f : kNormalised[pixels[(from_row * kSide + from_col) * kChannels + c]];
    }
}

}  // namespace octet::data
