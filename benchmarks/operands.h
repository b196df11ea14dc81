// The memory of one task: inputs drawn from a seed, outputs that start as rubbish, and what a row is checked against.
#pragma once
#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "core/dtype.h"

namespace octet::bench {

/// All pointers stay valid as long as the object lives.
class Operands {
 public:
  /// f32 values uniform in [lo, hi).
  float* input(std::int64_t count, double lo = -1, double hi = 1);
  /// u8 or s8 codes, uniform over [lo, hi].
  void* codes(std::int64_t count, DType dtype, int lo, int hi);
  std::int32_t* integers(std::int64_t count, std::int32_t lo, std::int32_t hi);
  /// Only written.
  void* output(std::int64_t count, DType dtype = DType::f32);
  /// Only written, and not compared.
  void* unchecked_output(std::int64_t count, DType dtype = DType::f32);
  /// Read and overwritten, as weights are by an optimizer: every check starts from the same values.
  float* state(std::int64_t count);

  using Run = std::function<void()>;
  /// Runs the reference and keeps its outputs.
  void keep_reference(const Run& reference);
  /// "" when `run` gives the reference's bits, else a message with the first difference.
  std::string compare_bits(const Run& run);
  /// "" when every f32 output of `run` is within 4 · (terms + 1) · 2^-24 · Σ|a||b| of the reference's; the sum comes
  /// from the reference over absolute inputs.
  std::string compare_near(const Run& run, const Run& reference, std::int64_t terms);
  /// "" when every code of `run` is within one of the reference's, and every f32 within 1e-5 of its magnitude or of 1.
  std::string compare_codes(const Run& run);

 private:
  enum class Role { input, output, unchecked, state };
  struct Buffer {
    Role role;
    DType dtype;
    std::int64_t count;
    std::shared_ptr<void> memory;
    std::vector<std::uint8_t> initial;    ///< state: values to start from
    std::vector<std::uint8_t> reference;  ///< output and state: what the reference made
    std::size_t bytes() const { return static_cast<std::size_t>(count) * size_of(dtype); }
  };
  void* add(Role role, std::int64_t count, DType dtype);
  void start_anew();
  std::vector<std::vector<float>> magnitudes(const Run& reference);

  std::vector<Buffer> buffers_;
};

}  // namespace octet::bench
