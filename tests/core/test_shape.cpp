#include "core/shape.h"

#include <gtest/gtest.h>

#include <limits>
#include <vector>

#include "tests/support/expect_error.h"

namespace octet {
namespace {

constexpr std::int64_t kMax = std::numeric_limits<std::int64_t>::max();

TEST(Shape, extents_and_text) {
  const Shape s{8, 16, 16, 32};
  EXPECT_EQ(s.rank(), 4);
  EXPECT_EQ(s[0], 8);
  EXPECT_EQ(s[-1], 32);
  EXPECT_EQ(s.numel(), 8 * 16 * 16 * 32);
  EXPECT_EQ(s.str(), "8x16x16x32");
  EXPECT_EQ(s.with(-1, 3), (Shape{8, 16, 16, 3}));
  EXPECT_EQ(s[3], 32) << "with() must not change its subject";
}

TEST(Shape, scalar_and_empty) {
  EXPECT_EQ(Shape().numel(), 1);
  EXPECT_EQ(Shape().str(), "scalar");
  EXPECT_EQ((Shape{0, 5}).numel(), 0);
  EXPECT_NE(Shape(), Shape{1});
  EXPECT_NE((Shape{2, 3}), (Shape{3, 2}));
}

TEST(Shape, refuses_what_cannot_be) {
  EXPECT_ERROR((Shape{2, -1}), "negative extent -1");
  EXPECT_ERROR((Shape{1, 1, 1, 1, 1, 1, 1}), "at most 6");
  EXPECT_ERROR((Shape{std::numeric_limits<std::int64_t>::min()}), "negative");
  const Shape s{2, 3};
  EXPECT_ERROR(s[2], "axis 2 of 2x3");
  EXPECT_ERROR(s[-3], "axis -3");
  EXPECT_ERROR(s.with(2, 1), "axis 2");
  EXPECT_ERROR(Shape()[0], "axis 0");
}

TEST(Shape, no_product_overflows) {
  EXPECT_EQ((Shape{std::int64_t{1} << 48}).numel(), std::int64_t{1} << 48);
  EXPECT_EQ((Shape{1 << 24, 1 << 24}).numel(), std::int64_t{1} << 48);
  EXPECT_ERROR((Shape{(std::int64_t{1} << 48) + 1}), "2^48");
  EXPECT_ERROR((Shape{1 << 24, 1 << 24, 2}), "2^48");
  EXPECT_ERROR((Shape{kMax, kMax}), "2^48");
  EXPECT_ERROR((Shape{1LL << 32, 1LL << 32}), "2^48");  // wraps to 0 in 64 bits
  EXPECT_ERROR((Shape{0, kMax, kMax}), "2^48");         // 0 as a product, yet not computable without overflow
  EXPECT_ERROR((Shape{2}.with(0, kMax)), "2^48");
}

}  // namespace
}  // namespace octet
