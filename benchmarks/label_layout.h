// Places labels beside points so that nothing lies over anything else.
#pragma once
#include <optional>
#include <vector>

namespace octet::bench {

struct Box {
  double x = 0, y = 0, width = 0, height = 0;
  bool meets(const Box& other) const {
    return x < other.x + other.width && other.x < x + width && y < other.y + other.height && other.y < y + height;
  }
};

/// Keeps what is taken; each label gets the first free place around its point, near ones before far ones.
class LabelLayout {
 public:
  explicit LabelLayout(Box area) : area_(area) {}
  void take(const Box& box) { taken_.push_back(box); }
  /// A box of that size for the label of a point at (x, y), now taken; none where there is no room within reach.
  std::optional<Box> place(double x, double y, double width, double height);

 private:
  bool is_free(const Box& box) const;
  Box area_;
  std::vector<Box> taken_;
};

}  // namespace octet::bench
