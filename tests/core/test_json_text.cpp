#include "core/json_text.h"

#include <gtest/gtest.h>

#include <string>

namespace octet {
namespace {

TEST(JsonText, LengthAndLevels) {
  EXPECT_TRUE(is_modest_json("", 0));
  EXPECT_TRUE(is_modest_json("{}", 2));
  EXPECT_FALSE(is_modest_json("{ }", 2));
  const auto nested = [](int levels) { return std::string(static_cast<std::size_t>(levels), '['); };
  EXPECT_TRUE(is_modest_json(nested(32), 100));
  EXPECT_FALSE(is_modest_json(nested(33), 100));
  EXPECT_FALSE(is_modest_json("{\"a\":" + nested(32), 100));
  EXPECT_TRUE(is_modest_json("[[],[],{},[[]]]", 100, 3));
  EXPECT_FALSE(is_modest_json("[[],[],{},[[[]]]]", 100, 3));
}

TEST(JsonText, BracketsInStringsCountNothing) {
  EXPECT_TRUE(is_modest_json(R"({"[[[[": "{{{{", "\"[[": 1, "\\": "[[["})", 100, 1));
  EXPECT_FALSE(is_modest_json(R"({"\\": [[]]})", 100, 2));
  EXPECT_TRUE(is_modest_json("\"\\", 100, 1)) << "ends behind a backslash";
}

}  // namespace
}  // namespace octet
