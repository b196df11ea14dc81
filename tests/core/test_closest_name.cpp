#include "core/closest_name.h"

#include <gtest/gtest.h>

namespace octet {
namespace {

TEST(ClosestName, NeedsTheFewestChanges) {
  const std::vector<std::string> names{"weight_bits", "activation_bits", "window_size"};
  EXPECT_EQ(closest_name("weight_bit", names), "weight_bits");
  EXPECT_EQ(closest_name("wieght_bits", names), "weight_bits");
  EXPECT_EQ(closest_name("bits_activation", names), "activation_bits");
  EXPECT_EQ(closest_name("windowsize", names), "window_size");
  EXPECT_EQ(closest_name("", {"abc", "ab"}), "ab");
  EXPECT_EQ(closest_name("same", {"sama", "samb"}), "sama") << "the first of several";
  EXPECT_EQ(closest_name("x", {}), "");
  EXPECT_EQ(closest_name(std::string(1000000, 'w'), names), "window_size");
}

}  // namespace
}  // namespace octet
