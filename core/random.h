// Stateless random numbers: a value is a function of (seed, purpose, stream, index), so that prefetching or resuming
// cannot disturb a sequence. Generator: Philox4x32-10 (Salmon et al., "Parallel random numbers: as easy as 1, 2, 3", 2011).
#pragma once
#include <cstdint>
#include <span>

namespace octet {

/// What the numbers are for; two purposes never share numbers.
enum class Purpose : std::uint32_t { init, shuffle, augment, dropout, synthetic, test, rounding };

class Random {
 public:
  /// `stream` and `substream` are free: an epoch and a picture, a layer and a step.
  Random(std::uint64_t seed, Purpose purpose, std::uint64_t stream = 0, std::uint64_t substream = 0);

  /// The next 32 random bits of this stream.
  std::uint32_t bits();
  /// In [0, 1), 53 bits.
  double uniform();
  double uniform(double lo, double hi) { return lo + (hi - lo) * uniform(); }
  /// In [0, n), without bias; n >= 1.
  std::uint64_t below(std::uint64_t n);
  /// Mean 0, variance 1 (Box-Muller over portable_math.h: the same bits on every machine).
  double normal();

 private:
  friend void fill_normal(std::span<float> values, double sigma, std::uint64_t seed, Purpose purpose,
                          std::uint64_t stream);
  std::uint32_t key_[2];
  std::uint32_t counter_[4];
  std::uint32_t block_[4];
  int used_ = 4;
  double spare_ = 0;
  bool has_spare_ = false;
};

/// Sets value i to float(sigma · n_i), n_i the (i + 1)-th normal() of the stream; all threads at once.
void fill_normal(std::span<float> values, double sigma, std::uint64_t seed, Purpose purpose, std::uint64_t stream);

}  // namespace octet
