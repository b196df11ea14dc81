#include "core/tensor.h"

#include <gtest/gtest.h>

#include <cmath>
#include <limits>

#include "tests/support/expect_error.h"

namespace octet {
namespace {

TEST(Tensor, copies_share_and_clones_do_not) {
  Tensor a = Tensor::from<float>({2, 2}, std::vector<float>{1, 2, 3, 4});
  Tensor b = a, c = a.clone();
  b.data<float>()[3] = 9;
  EXPECT_EQ(a.at(3), 9);
  EXPECT_EQ(c.at(3), 4);
  EXPECT_EQ(c.shape(), a.shape());
}

TEST(Tensor, undefined_tensors_refuse) {
  Tensor t;
  EXPECT_FALSE(t.defined());
  EXPECT_ERROR(t.data<float>(), "undefined");
  EXPECT_ERROR(t.at(0), "undefined");
  EXPECT_ERROR(t.fill(0), "undefined");
  EXPECT_ERROR(t.to(DType::s8), "undefined");
  EXPECT_ERROR(t.reshape({1}), "undefined");
  EXPECT_FALSE(t.clone().defined());
}

TEST(Tensor, messages_name_dtypes_and_shapes) {
  Tensor t = Tensor::zeros({2, 3}, DType::s8);
  EXPECT_ERROR(t.data<float>(), "f32 data asked of a s8 tensor of shape 2x3");
  EXPECT_ERROR(t.at(6), "element 6 of 2x3");
  EXPECT_ERROR(t.at(-1), "element -1");
  EXPECT_ERROR(t.item(), "2x3");
  EXPECT_ERROR(t.reshape({7}), "2x3 cannot be reshaped to 7");
  EXPECT_ERROR(t.slice(1, 3), "rows [1, 3) of 2x3");
  EXPECT_ERROR(t.slice(1, 0), "rows [1, 0)");
  EXPECT_ERROR(t.copy_from(Tensor::zeros({2, 3})), "f32 2x3 cannot be copied into s8 2x3");
  EXPECT_ERROR(t.copy_from(Tensor::zeros({3, 2}, DType::s8)), "3x2");
  EXPECT_ERROR(Tensor::from<float>({3}, std::vector<float>{1}), "1 values");
  EXPECT_ERROR(Tensor::wrap({1}, DType::f32, nullptr, nullptr), "null pointer");
}

TEST(Tensor, slices_and_reshapes_share) {
  Tensor t = Tensor::from<std::int32_t>({3, 2}, std::vector<std::int32_t>{0, 1, 2, 3, 4, 5});
  Tensor rows = t.slice(1, 3);
  EXPECT_EQ(rows.shape(), (Shape{2, 2}));
  EXPECT_EQ(rows.at(0), 2);
  rows.reshape({4}).data<std::int32_t>()[0] = 7;
  EXPECT_EQ(t.at(2), 7);
  EXPECT_EQ(t.slice(3, 3).numel(), 0);
}

TEST(Tensor, memory_lives_as_long_as_its_last_slice) {
  Tensor row;
  {
    Tensor t = Tensor::full({100, 8}, 3);
    row = t.slice(99, 100);
  }
  EXPECT_EQ(row.at(7), 3);
}

TEST(Tensor, empty_tensors_work) {
  Tensor t = Tensor::zeros({0, 4});
  EXPECT_TRUE(t.defined());
  EXPECT_EQ(t.nbytes(), 0u);
  EXPECT_EQ(t.clone().numel(), 0);
  EXPECT_EQ(t.to(DType::s8).numel(), 0);
  EXPECT_EQ(t.slice(0, 0).numel(), 0);
  EXPECT_EQ(t.reshape({4, 0}).numel(), 0);
  t.fill(1);
}

TEST(Tensor, conversion_truncates_and_saturates) {
  const double inf = std::numeric_limits<double>::infinity();
  Tensor t = Tensor::from<double>({9}, std::vector<double>{1.9, -1.9, 127.9, 300, -300, inf, -inf, std::nan(""), -0.5});
  const std::vector<int> s8{1, -1, 127, 127, -128, 127, -128, 0, 0}, u8{1, 0, 127, 255, 0, 255, 0, 0, 0};
  for (std::int64_t i = 0; i < 9; ++i) {
    EXPECT_EQ(t.to(DType::s8).at(i), s8[static_cast<std::size_t>(i)]) << i;
    EXPECT_EQ(t.to(DType::u8).at(i), u8[static_cast<std::size_t>(i)]) << i;
  }
  EXPECT_EQ(Tensor::full({1}, std::nan(""), DType::s32).item(), 0);
  EXPECT_EQ(Tensor::full({1}, 1e30, DType::s32).item(), std::numeric_limits<std::int32_t>::max());
  EXPECT_EQ(Tensor::full({1}, -1e30, DType::s32).item(), std::numeric_limits<std::int32_t>::min());
}

TEST(Tensor, bf16_rounds_to_nearest_even) {
  // Around 1 a bf16 has steps of 2^-7; ties go to the even neighbour.
  EXPECT_EQ(Tensor::full({1}, 1 + 1.0 / 256, DType::bf16).item(), 1);
  EXPECT_EQ(Tensor::full({1}, 1 + 3.0 / 256, DType::bf16).item(), 1 + 4.0 / 256);
  EXPECT_EQ(Tensor::full({1}, 1 + 1.0 / 256 + 1e-6, DType::bf16).item(), 1 + 2.0 / 256);
  EXPECT_TRUE(std::signbit(Tensor::full({1}, -0.0, DType::bf16).item()));
  EXPECT_TRUE(std::isnan(Tensor::full({1}, std::nan(""), DType::bf16).item()));
  EXPECT_TRUE(std::isinf(Tensor::full({1}, 3.4e38, DType::bf16).item()));
}

TEST(Tensor, every_dtype_has_size_and_name) {
  EXPECT_EQ(size_of(DType::f32), 4u);
  EXPECT_EQ(size_of(DType::f64), 8u);
  EXPECT_EQ(size_of(DType::bf16), 2u);
  EXPECT_EQ(size_of(DType::s8), 1u);
  EXPECT_EQ(size_of(DType::u8), 1u);
  EXPECT_EQ(size_of(DType::s32), 4u);
  EXPECT_STREQ(name_of(DType::bf16), "bf16");
  EXPECT_ERROR(size_of(static_cast<DType>(17)), "17");
  EXPECT_STREQ(name_of(Tensor::zeros({1}).device()), "cpu");
}

TEST(Error, is_one_line_with_hint) {
  EXPECT_ERROR(fail("here", "a\nb", "do c"), "[here] a b ---> HINT do c");
  EXPECT_ERROR(OCTET_CHECK(1 > 2, "here", "{} of {}", 1, 2), "[here] 1 of 2");
  int evaluated = 0;
  OCTET_CHECK(++evaluated == 1, "here", "never");
  EXPECT_EQ(evaluated, 1);
}

}  // namespace
}  // namespace octet
