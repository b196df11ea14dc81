// conv2d_bn: vector rows against the reference, which composes the plain rooms' reference rows.
#include "kernels/conv2d_bn/conv2d_bn.h"
#include "tests/kernels/conv_bn_layers.h"

namespace octet::kernels {
namespace {

using namespace hostile;

ConvBnRoom room() { return {conv2d_bn_rows(), "conv2d_bn", false}; }

ConvBnCase pointwise(std::int64_t pixels, std::int64_t c, std::int64_t k) {
  ConvBnCase layer;
  layer.problem.geometry = {pixels, 1, 1, c, k, 1, 1, 1, 1, 0, 0};
  layer.problem.mapped = true;
  layer.problem.act = Activation::relu;
  return layer;
}

void expect_both(const ConvBnCase& c, std::uint64_t seed, bool hostile = false) {
  const bool vector = usable_isa() >= Isa::avx2;
  EXPECT_EQ(expect_rows_equal(room(), "fwd", "f32", c, seed, hostile) > 0, vector);
  EXPECT_EQ(expect_rows_equal(room(), "bwd", "f32", c, seed, hostile) > 0, vector);
}

TEST(Conv2dBn, HandComputed) {
  // Two pixels, one channel in, one out: x = relu(2·src − 1) = {0, 3}, dst = x / 2.
  ConvBnCase layer = pointwise(2, 1, 1);
  ConvBnInputs in{{0.25f, 2}, {2}, {-1}, {0.5f}, {10, 20}, {0, 1.5f}, {4}, {1}, {1}, {1}};
  const ConvBnOutputs fwd = run_row(reference_row(room(), "conv2d_bn_fwd", "f32"), layer, in);
  EXPECT_EQ(fwd.dst.copy(), (std::vector<float>{0, 1.5f}));
  EXPECT_EQ(fwd.mean[0], 0.75f);
  EXPECT_EQ(fwd.variance[0], 0.5625f);
  EXPECT_EQ(fwd.low[0], 0.0f);
  EXPECT_EQ(fwd.high[0], 1.5f);
  // d = {10 + 1, 20 + 7}; d_weight = Σ d·x = 81; d_x = {5.5, 13.5}, the first gated.
  const ConvBnOutputs bwd = run_row(reference_row(room(), "conv2d_bn_bwd", "f32"), layer, in);
  EXPECT_EQ(bwd.d_weight[0], 81.0f);
  EXPECT_EQ(bwd.d_src.copy(), (std::vector<float>{0, 27}));
  EXPECT_EQ(bwd.d_scale[0], 27.0f);
  EXPECT_EQ(bwd.d_shift[0], 13.5f);
}

TEST(Conv2dBn, EveryMap) {
  std::uint64_t seed = 0;
  for_maps({37, 1, 1, 19, 33, 1, 1, 1, 1, 0, 0}, [&](const ConvBnCase& c) { expect_both(c, ++seed); });
}

TEST(Conv2dBn, HostileValues) {
  std::uint64_t seed = 100;
  for_maps({50, 1, 1, 17, 12, 1, 1, 1, 1, 0, 0}, [&](const ConvBnCase& c) { expect_both(c, ++seed, true); });
}

TEST(Conv2dBn, TailsOfEveryTile) {
  for (std::int64_t pixels : {1, 3, 5, 11, 13, 25})
    for (std::int64_t k : {1, 15, 17, 32, 33, 65})
      expect_both(pointwise(pixels, 1 + (pixels * k) % 35, k), static_cast<std::uint64_t>(pixels * 100 + k));
}

TEST(Conv2dBn, ChunksAndBlocks) {
  expect_both(pointwise(1024, 8, 5), 1);
  expect_both(pointwise(1025, 3, 70), 2);
  expect_both(pointwise(4096 + 300, 9, 66), 3);  // five chunks, by columns
  expect_both(pointwise(9000, 7, 20), 4);        // by chunks
  expect_both(pointwise(17000, 33, 9), 5);
  expect_both(pointwise(60, 1030, 70), 6);  // several blocks of depth
  expect_both(pointwise(40, 70, 530), 7);
}

TEST(Conv2dBn, WindowsOfPlainSources) {
  for (std::int64_t stride : {1, 2})
    for (std::int64_t side : {5, 16}) {
      ConvBnCase c;
      c.problem.geometry = {3, side, side, 3, 18, 3, 3, stride, stride, 1, 1};
      expect_both(c, static_cast<std::uint64_t>(side * 10 + stride));
    }
  ConvBnCase stem;
  stem.problem.geometry = {36, 32, 32, 3, 32, 3, 3, 2, 2, 1, 1};  // nine chunks
  expect_both(stem, 1);
  stem.d_src = false;
  expect_both(stem, 2);
}

TEST(Conv2dBn, MappedWindowsAreRefused) {
  ConvBnCase c;
  c.problem.geometry = {1, 4, 4, 3, 2, 3, 3, 1, 1, 1, 1};
  c.problem.act = Activation::relu;
  for_own_rows(conv2d_bn_rows(), "conv2d_bn_fwd", "f32",
               [&](const ConvBnRow& row) { EXPECT_NE(row.why_not(c.problem), nullptr); });
}

TEST(Conv2dBn, WhatIsNotWantedIsNotTouched) {
  for (int without = 0; without < 32; ++without)
    for (std::int64_t pixels : {30, 8500}) {
      ConvBnCase c = pointwise(pixels, 6, 18);
      c.statistics = (without & 1) == 0, c.extremes = (without & 2) == 0, c.late = (without & 4) == 0;
      c.d_src = (without & 8) == 0, c.d_weight = (without & 16) == 0;
      expect_both(c, static_cast<std::uint64_t>(without));
    }
}

TEST(Conv2dBn, IntegerForward) {
  for (bool is_unsigned : {true, false})
    for (std::int64_t pixels : {1, 29, 1100, 9000})
      for (std::int64_t channels : {1, 4, 19, 64}) {
        ConvBnCase c = pointwise(pixels, channels, 35);
        c.problem.quantized = true;
        c.problem.lo = is_unsigned ? 0 : -128, c.problem.hi = is_unsigned ? 255 : 127;
        c.problem.zero_point = channels == 19 ? 3 : 0;
        c.step = 0.004f;
        const int accepted = expect_rows_equal(room(), "fwd", is_unsigned ? "u8s8" : "s8s8", c,
                                               static_cast<std::uint64_t>(pixels + channels), channels == 4);
        EXPECT_EQ(accepted > 0, usable_isa() >= Isa::avx2);
      }
}

TEST(Conv2dBn, Bf16IsNearItsReference) {
  int ran = 0;
  for (std::int64_t pixels : {1, 2, 29, 1101, 9000})
    for (std::int64_t channels : {2, 18, 64})
      for (const char* which : {"fwd", "bwd"}) {
        ConvBnCase c = pointwise(pixels, channels, channels == 18 ? 70 : 34);
        c.problem.quantized = channels == 64;
        c.problem.lo = 0, c.problem.hi = 255, c.step = 0.004f;
        SCOPED_TRACE(std::string(which) + " " + c.str());
        const ConvBnInputs in =
            make_inputs(room(), c.problem.geometry, static_cast<std::uint64_t>(pixels + channels), false);
        const std::string pass = room().pass(which);
        const ConvBnOutputs wanted = run_row(reference_row(room(), pass, "bf16"), c, in);
        for_own_rows(conv2d_bn_rows(), pass.c_str(), "bf16", [&](const ConvBnRow& row) {
          if (row.why_not(c.problem) != nullptr) return;
          ++ran;
          for_threads([&] {
            const ConvBnOutputs got = run_row(row, c, in);
            expect_near_bf16(wanted.dst, got.dst, "dst");
            expect_near_bf16(wanted.mean, got.mean, "mean");
            expect_near_bf16(wanted.low, got.low, "low");
            expect_near_bf16(wanted.d_src, got.d_src, "d_src");
            expect_near_bf16(wanted.d_weight, got.d_weight, "d_weight");
            expect_near_bf16(wanted.d_scale, got.d_scale, "d_scale");
            expect_near_bf16(wanted.d_shift, got.d_shift, "d_shift");
          });
        });
      }
  if (ran == 0) GTEST_SKIP() << "no dot product of bf16 here";
}

}  // namespace
}  // namespace octet::kernels
