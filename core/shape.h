// Extents of a tensor: activations are N,H,W,C (or N,C), weights K,R,S,C (or out,in).
#pragma once
#include <array>
#include <cstdint>
#include <initializer_list>
#include <span>
#include <string>

namespace octet {

/// Up to six non-negative extents, outermost first. Constructors throw Error on a negative extent, on more than
/// six, and when the element count does not fit in 2^48.
class Shape {
 public:
  static constexpr int kMaxRank = 6;
  Shape() = default;
  Shape(std::initializer_list<std::int64_t> extents);
  explicit Shape(std::span<const std::int64_t> extents);

  int rank() const { return rank_; }
  /// Extent of axis i; negative i counts from the end. Throws Error when out of range.
  std::int64_t operator[](int i) const;
  /// Product of the extents; 1 for rank 0.
  std::int64_t numel() const;
  std::span<const std::int64_t> extents() const { return {extents_.data(), static_cast<std::size_t>(rank_)}; }
  /// The same shape with axis i set to `extent`.
  Shape with(int i, std::int64_t extent) const;
  /// "8x16x16x32"; "scalar" for rank 0.
  std::string str() const;
  friend bool operator==(const Shape& a, const Shape& b);

 private:
  std::array<std::int64_t, kMaxRank> extents_{};
  int rank_ = 0;
};

}  // namespace octet
