#include "core/shape.h"

#include <algorithm>

#include "core/error.h"

namespace octet {
namespace {

constexpr std::int64_t kMaxElements = std::int64_t{1} << 48;

std::string join(std::span<const std::int64_t> extents) {
  std::string text;
  for (std::size_t i = 0; i < extents.size(); ++i) text += (i ? "x" : "") + std::to_string(extents[i]);
  return text.empty() ? "scalar" : text;
}

}  // namespace

Shape::Shape(std::initializer_list<std::int64_t> extents)
    : Shape(std::span<const std::int64_t>(extents.begin(), extents.size())) {}

Shape::Shape(std::span<const std::int64_t> extents) {
  OCTET_CHECK(extents.size() <= static_cast<std::size_t>(kMaxRank), "shape", "{} axes, at most {} are possible",
              extents.size(), kMaxRank);
  // Zero extents count as one here, so that no partial product of a checked shape can overflow.
  std::int64_t elements = 1;
  for (std::int64_t extent : extents) {
    OCTET_CHECK(extent >= 0, "shape", "negative extent {} in {}", extent, join(extents));
    const std::int64_t factor = std::max<std::int64_t>(extent, 1);
    OCTET_CHECK(factor <= kMaxElements / elements, "shape", "{} has more than 2^48 elements", join(extents));
    elements *= factor;
  }
  std::copy(extents.begin(), extents.end(), extents_.begin());
  rank_ = static_cast<int>(extents.size());
}

std::int64_t Shape::operator[](int i) const {
  const int axis = i < 0 ? i + rank_ : i;
  OCTET_CHECK(axis >= 0 && axis < rank_, "shape", "axis {} of {}, which has {} axes", i, str(), rank_);
  return extents_[static_cast<std::size_t>(axis)];
}

std::int64_t Shape::numel() const {
  std::int64_t elements = 1;
  for (std::int64_t extent : extents()) elements *= extent;
  return elements;
}

Shape Shape::with(int i, std::int64_t extent) const {
  (*this)[i];  // throws when there is no such axis
  std::array<std::int64_t, kMaxRank> changed = extents_;
  changed[static_cast<std::size_t>(i < 0 ? i + rank_ : i)] = extent;
  return Shape(std::span<const std::int64_t>(changed.data(), static_cast<std::size_t>(rank_)));
}

std::string Shape::str() const { return join(extents()); }

bool operator==(const Shape& a, const Shape& b) { return std::ranges::equal(a.extents(), b.extents()); }

}  // namespace octet
