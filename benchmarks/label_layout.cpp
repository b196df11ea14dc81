#include "benchmarks/label_layout.h"

#include <algorithm>
#include <cmath>

namespace octet::bench {

bool LabelLayout::is_free(const Box& box) const {
  if (box.x < area_.x || box.y < area_.y || box.x + box.width > area_.x + area_.width ||
      box.y + box.height > area_.y + area_.height)
    return false;
  return std::none_of(taken_.begin(), taken_.end(), [&](const Box& other) { return box.meets(other); });
}

std::optional<Box> LabelLayout::place(double x, double y, double width, double height) {
  constexpr double kNear = 7, kStep = 6, kFar = 110;
  constexpr int kDirections = 24;
  for (double distance = kNear; distance <= kFar; distance += kStep)
    for (int i = 0; i < kDirections; ++i) {
      // To the right first, then alternately above and below it.
      const double turn = (i % 2 == 0 ? -1 : 1) * ((i + 1) / 2) * 2 * M_PI / kDirections;
      const double dx = std::cos(turn), dy = std::sin(turn);
      // The corner or edge that faces the point lies on the ring.
      const double left = x + dx * distance - (dx < -0.3 ? width : dx > 0.3 ? 0 : width / 2);
      const double top = y + dy * distance - (dy < -0.3 ? height : dy > 0.3 ? 0 : height / 2);
      const Box box{left, top, width, height};
      if (!is_free(box)) continue;
      take(box);
      return box;
    }
  return std::nullopt;
}

}  // namespace octet::bench
