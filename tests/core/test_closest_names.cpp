#include "core/closest_names.h"

#include <gtest/gtest.h>

namespace octet {
namespace {

using Names = std::vector<std::string>;

TEST(ClosestNames, ByLettersThatDiffer) {
  const Names keys{"scheme", "weight_bits", "activation_bits", "layer_bits"};
  EXPECT_EQ(closest_names("weight_bitz", keys, 1), Names{"weight_bits"});
  EXPECT_EQ(closest_names("weightbits", keys, 2), (Names{"weight_bits", "layer_bits"}));
  EXPECT_EQ(closest_names("shceme", keys, 1), Names{"scheme"});
  EXPECT_EQ(closest_names("", keys, 1), Names{"scheme"}) << "the shortest";
  EXPECT_EQ(closest_names("kitten", {"sitting", "mitten", "kitchen"}), (Names{"mitten", "kitchen", "sitting"}))
      << "1, 2 and 3 letters";
  EXPECT_EQ(closest_names("ab", {"ax", "xb"}), (Names{"ax", "xb"})) << "ties keep their order";
  EXPECT_TRUE(closest_names("a", {}).empty());
  EXPECT_EQ(closest_names(std::string(100000, 'a'), {"b", std::string(100000, 'a')}, 1),
            Names{std::string(100000, 'a')})
      << "long ones are cut";
}

}  // namespace
}  // namespace octet
