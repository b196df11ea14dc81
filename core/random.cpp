#include "core/random.h"

#include <algorithm>

#include "core/error.h"
#include "core/parallel.h"
#include "core/philox.h"
#include "core/portable_math.h"

namespace octet {

// Philox is a bijection of its counter, so two (stream, substream) pairs of a seed never meet: half of their image
// becomes the key and half stays in the counter, beside the purpose and the number of the block.
Random::Random(std::uint64_t seed, Purpose purpose, std::uint64_t stream, std::uint64_t substream) : block_{} {
  const auto low = [](std::uint64_t x) { return static_cast<std::uint32_t>(x); };
  const auto high = [](std::uint64_t x) { return static_cast<std::uint32_t>(x >> 32); };
  const PhiloxBlock image =
      philox4x32({low(stream), high(stream), low(substream), high(substream)}, {low(seed), high(seed)});
  key_[0] = image[0];
  key_[1] = image[1];
  counter_[0] = 0;
  counter_[1] = static_cast<std::uint32_t>(purpose);
  counter_[2] = image[2];
  counter_[3] = image[3];
}

std::uint32_t Random::bits() {
  if (used_ == 4) {
    OCTET_CHECK(counter_[0] != 0xFFFFFFFFu, "random", "a stream gives 2^34 numbers, no more");
    const PhiloxBlock block = philox4x32({counter_[0], counter_[1], counter_[2], counter_[3]}, {key_[0], key_[1]});
    for (std::size_t i = 0; i < 4; ++i) block_[i] = block[i];
    ++counter_[0];
    used_ = 0;
  }
  return block_[used_++];
}

namespace {
/// In [0, 1): 27 bits and 26 bits.
double uniform_of(std::uint32_t first, std::uint32_t second) {
  const std::uint64_t upper = first >> 5, lower = second >> 6;
  return static_cast<double>(static_cast<std::int64_t>((upper << 26) | lower)) * 0x1p-53;
}
}  // namespace

double Random::uniform() {
  const std::uint32_t first = bits();
  return uniform_of(first, bits());
}

std::uint64_t Random::below(std::uint64_t n) {
  OCTET_CHECK(n >= 1, "random", "below(0) has no answer");
  // Values under 2^64 mod n would make the small results likelier: draw again.
  const std::uint64_t refused = (0 - n) % n;
  for (;;) {
    const std::uint64_t upper = bits();
    const std::uint64_t x = (upper << 32) | bits();
    if (x >= refused) return x % n;
  }
}

double Random::normal() {
  if (has_spare_) {
    has_spare_ = false;
    return spare_;
  }
  const double u = 1 - uniform();  // in (0, 1]: the logarithm stays finite
  const double v = uniform();
  double first = 0;
  portable::box_muller(1, &u, &v, &first, &spare_);
  has_spare_ = true;
  return first;
}

void fill_normal(std::span<float> values, double sigma, std::uint64_t seed, Purpose purpose, std::uint64_t stream) {
  // Two normal numbers take four words of 32 bits: one block of the generator. So any pair is found by its number.
  constexpr std::int64_t kPairs = 2048;
  const auto count = static_cast<std::int64_t>(values.size());
  const std::int64_t pairs = (count + 1) / 2;
  OCTET_CHECK(pairs <= 0xFFFFFFFF, "random", "{} normal numbers of one stream, 2^33 are possible", count);
  const Random random(seed, purpose, stream);
  parallel_for((pairs + kPairs - 1) / kPairs, [&](std::int64_t task) {
    double u[kPairs]{}, v[kPairs]{}, x[kPairs], y[kPairs];
    const std::int64_t begin = task * kPairs, n = std::min(kPairs, pairs - begin);
    for (std::int64_t i = 0; i < n; ++i) {
      const auto block = static_cast<std::uint32_t>(begin + i);
      const PhiloxBlock bits = philox4x32({block, random.counter_[1], random.counter_[2], random.counter_[3]},
                                          {random.key_[0], random.key_[1]});
      u[i] = 1 - uniform_of(bits[0], bits[1]);
      v[i] = uniform_of(bits[2], bits[3]);
    }
    portable::box_muller(n, u, v, x, y);
    for (std::int64_t i = 0; i < n; ++i) {
      const std::int64_t at = 2 * (begin + i);
      values[static_cast<std::size_t>(at)] = static_cast<float>(sigma * x[i]);
      if (at + 1 < count) values[static_cast<std::size_t>(at + 1)] = static_cast<float>(sigma * y[i]);
    }
  });
}

}  // namespace octet
