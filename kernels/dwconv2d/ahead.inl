// Asks for memory ahead of its use, evenly over the work in between: passes that read, sum and write a block in turns
// would otherwise leave the memory idle during the sums. Included after a simd header.
#pragma once
#include <cstdint>

namespace octet::kernels {
namespace {

/// Up to four arrays of stretches of `width` floats at equal distances, asked for in the order in which they were
/// added.
class Ahead {
 public:
  explicit Ahead(std::int64_t width) : width_(width) {}
  void add(const float* first, std::int64_t pitch, std::int64_t stretches) {
    if (first == nullptr || stretches <= 0) return;
    const bool joined = pitch == width_;
    arrays_[count_++] = joined ? Array{first, width_ * stretches, 0, 1} : Array{first, width_, pitch, stretches};
    lines_ += stretches * ((width_ + kLine - 1) / kLine);
  }
  /// `work`: the sum of all steps to come, in any unit.
  void start(std::int64_t work) {
    lines_per_work_ = work > 0 ? (lines_ * kOne + work - 1) / work : 0;
    if (count_ > 0) next_ = arrays_[0].first, end_ = next_ + arrays_[0].width;
  }
  OCTET_SIMD void step(std::int64_t work) {
    due_ += work * lines_per_work_;
    const float *next = next_, *end = end_;
    for (; due_ >= kOne && next != nullptr; due_ -= kOne) {
      __builtin_prefetch(next, 0, 2);
      next += kLine;
      if (next < end) continue;
      next_stretch();
      next = next_, end = end_;
    }
    next_ = next;
  }

 private:
  static constexpr std::int64_t kLine = 16, kOne = 1 << 16;
  struct Array {
    const float* first;
    std::int64_t width, pitch, left;
  };
  void next_stretch() {
    if (--arrays_[at_].left > 0)
      arrays_[at_].first += arrays_[at_].pitch;
    else if (++at_ == count_) {
      next_ = end_ = nullptr;
      return;
    }
    next_ = arrays_[at_].first;
    end_ = next_ + arrays_[at_].width;
  }

  Array arrays_[4];
  const float *next_ = nullptr, *end_ = nullptr;
  std::int64_t width_, count_ = 0, at_ = 0, lines_ = 0, lines_per_work_ = 0, due_ = 0;
};

}  // namespace
}  // namespace octet::kernels
