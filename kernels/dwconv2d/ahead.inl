// Asks for memory ahead of its use, evenly over the work in between: passes that read, sum and write a block in turns
// would otherwise leave the memory idle during the sums. Included after a simd header.
#pragma once
#include <cstdint>

namespace octet::kernels {
namespace {

/// Up to four arrays of stretches of `width` floats at equal distances, asked for in the order in which they were added.
class Ahead {
 public:
  explicit Ahead(std::int64_t width) : width_(width) {}
  void add(const float* first, std::int64_t pitch, std::int64_t stretches) {
    if (first == nullptr || stretches <= 0) return;
    arrays_[count_++] = {first, pitch, stretches};
    lines_ += stretches * ((width_ + kLine - 1) / kLine);
  }
  /// `work`: the sum of all steps to come, in any unit.
  void start(std::int64_t work) { lines_per_work_ = work > 0 ? (lines_ * kOne + work - 1) / work : 0; }
  OCTET_SIMD void step(std::int64_t work) {
    for (due_ += work * lines_per_work_; due_ >= kOne && at_ < count_; due_ -= kOne) {
      Array& array = arrays_[at_];
      __builtin_prefetch(array.next + column_, 0, 2);
      column_ += kLine;
      if (column_ < width_) continue;
      column_ = 0;
      array.next += array.pitch;
      if (--array.left == 0) ++at_;
    }
  }

 private:
  static constexpr std::int64_t kLine = 16, kOne = 1 << 16;
  struct Array {
    const float* next;
    std::int64_t pitch, left;
  };
  Array arrays_[4];
  std::int64_t width_, count_ = 0, at_ = 0, column_ = 0, lines_ = 0, lines_per_work_ = 0, due_ = 0;
};

}  // namespace
}  // namespace octet::kernels
