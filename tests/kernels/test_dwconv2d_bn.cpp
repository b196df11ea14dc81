// dwconv2d_bn: rows against the reference composed of the plain rooms, bit for bit, and the reference by hand.
#include <array>

#include "kernels/dwconv2d_bn/dwconv2d_bn.h"
#include "tests/kernels/conv_bn_layers.h"
#include "tests/kernels/conv_layers.h"

namespace octet::kernels {
namespace {

using namespace hostile;

ConvGeometry window(std::int64_t n, std::int64_t h, std::int64_t w, std::int64_t c, std::int64_t side,
                    std::int64_t stride, std::int64_t pad) {
  return {n, h, w, c, c, side, side, stride, stride, pad, pad};
}
ConvBnCase mapped(const ConvGeometry& g, Activation act = Activation::relu) {
  ConvBnCase what;
  what.problem.geometry = g;
  what.problem.mapped = true;
  what.problem.act = act;
  return what;
}
ConvBnCase quantized(ConvBnCase what, std::int32_t lo = 0, std::int32_t hi = 255, bool masked = true) {
  what.problem.quantized = true;
  what.problem.lo = lo, what.problem.hi = hi, what.problem.masked = masked;
  return what;
}
ConvBnRoom room() { return {dwconv2d_bn_rows(), "dwconv2d_bn", true}; }

/// Every vector row that this processor has takes the case and gives the reference's bits.
void expect_equal(const ConvBnCase& what, std::uint64_t seed, bool hostile = false) {
  for (const char* which : {"fwd", "bwd"}) {
    int rows = 0;
    for_own_rows(dwconv2d_bn_rows(), room().pass(which).c_str(), "f32", [&](const ConvBnRow&) { ++rows; });
    EXPECT_EQ(expect_rows_equal(room(), which, "f32", what, seed, hostile), rows) << which;
  }
}
ConvBnOutputs by_reference(const char* which, const ConvBnCase& what, const ConvBnInputs& in) {
  return run_row(reference_row(room(), room().pass(which), "f32"), what, in);
}

TEST(DwConv2dBn, HandComputed) {
  // One picture of one pixel: relu6(2·3 + 0.25) = 6 clips, relu6(2·2 + 0.25) = 4.25 has code 4 of step 1 (half to even
  // would come at 4.5).
  ConvBnCase what = quantized(mapped(window(2, 1, 1, 1, 3, 1, 1), Activation::relu6), 0, 5);
  what.step = 1;
  const ConvBnInputs in{{3, 2}, {2}, {0.25f}, {9, 9, 9, 9, 10, 9, 9, 9, 9}, {1, 2}, {4, 8}, {0.5f}, {1}, {1}, {1}};
  const ConvBnOutputs out = by_reference("fwd", what, in), back = by_reference("bwd", what, in);
  EXPECT_EQ(out.dst.copy(), (std::vector<float>{50, 40}));  // codes 5 (clamped) and 4
  EXPECT_EQ(out.mean.copy(), std::vector<float>{45});
  EXPECT_EQ(out.variance.copy(), std::vector<float>{25});
  EXPECT_EQ(out.low.copy(), std::vector<float>{40});
  EXPECT_EQ(out.high.copy(), std::vector<float>{50});
  // d = {1 + 4·0.5 + 1, 2 + 8·0.5 + 1} = {4, 7}; only the second passes relu6 and the grid.
  EXPECT_EQ(back.d_weight[4], 4 * 5 + 7 * 4);
  EXPECT_EQ(back.d_weight[0], 0);
  EXPECT_EQ(back.d_src.copy(), (std::vector<float>{0, 7 * 10 * 2}));
  EXPECT_EQ(back.d_scale.copy(), std::vector<float>{7 * 10 * 2});
  EXPECT_EQ(back.d_shift.copy(), std::vector<float>{7 * 10});
}

TEST(DwConv2dBn, LayersOfTheNetwork) {
  std::uint64_t seed = 0;
  for (const auto& [side, c, stride] : {std::array<std::int64_t, 3>{16, 32, 1},
                                        {16, 64, 2},
                                        {8, 128, 1},
                                        {8, 128, 2},
                                        {4, 256, 1},
                                        {4, 256, 2},
                                        {2, 512, 1},
                                        {2, 512, 2},
                                        {1, 1024, 1}}) {
    expect_equal(mapped(window(6, side, side, c, 3, stride, 1)), ++seed);
    expect_equal(quantized(mapped(window(6, side, side, c, 3, stride, 1))), ++seed);
  }
}

TEST(DwConv2dBn, MapsStridesAndPadding) {
  std::uint64_t seed = 0;
  for (std::int64_t side : {1, 2, 3, 4, 5, 8, 13})
    for (std::int64_t stride : {1, 2, 3})
      for (std::int64_t pad : {0, 1, 2})
        for (std::int64_t taps : {1, 2, 3}) {
          if (side + 2 * pad < taps) continue;
          const std::int64_t c = std::array<std::int64_t, 7>{1, 8, 16, 17, 33, 40, 7}[seed % 7];
          ConvBnCase what = mapped(window(2, side, side + static_cast<std::int64_t>(seed % 2), c, taps, stride, pad));
          ++seed;
          if (what.problem.geometry.w + 2 * pad < taps) continue;
          expect_equal(seed % 3 == 0 ? quantized(what) : what, seed);
        }
}

TEST(DwConv2dBn, UnequalStridesAndPadding) {
  Random random(70, Purpose::test);
  for (std::uint64_t seed = 0; seed < 60; ++seed) {
    const ConvBnCase what = mapped(random_geometry(random, true));
    if (what.problem.geometry.r <= 3 && what.problem.geometry.s <= 3) expect_equal(what, seed);
  }
}

TEST(DwConv2dBn, EveryNumberOfChannels) {
  for (std::int64_t c = 1; c <= 50; ++c)
    for (std::int64_t stride : {1, 2})
      expect_equal(mapped(window(1, 4, 4, c, 3, stride, 1)), static_cast<std::uint64_t>(c));
  for (std::int64_t c : {71, 129, 144, 145, 280}) {
    expect_equal(mapped(window(2, 2, 2, c, 3, 1, 1)), 1);
    expect_equal(mapped(window(3, 1, 1, c, 3, 2, 1)), 1);
  }
}

TEST(DwConv2dBn, Chunks) {
  expect_equal(mapped(window(40, 8, 8, 17, 3, 1, 1)), 1);  // three chunks, the last one short
  expect_equal(mapped(window(70, 8, 8, 16, 3, 2, 1)), 2);  // five chunks of src, two of dst
  for (std::uint64_t seed : {3, 4, 5})
    expect_equal(mapped(window(80, 16, 16, 33, 3, 2, 1)), seed);  // chunks of 5 pictures of src, of 16 of dst
  expect_equal(mapped(window(600, 2, 2, 20, 3, 1, 1)), 4);
  expect_equal(mapped(window(1100, 1, 1, 9, 3, 1, 1)), 5);
  expect_equal(mapped(window(1100, 2, 2, 9, 3, 2, 1)), 6);
  expect_equal(mapped(window(4, 32, 32, 5, 3, 1, 1)), 7);  // a picture is a chunk
  expect_equal(mapped(window(700, 2, 2, 4, 2, 1, 0)), 8);
}

TEST(DwConv2dBn, Activations) {
  std::uint64_t seed = 20;
  for (const Activation act : {Activation::none, Activation::relu, Activation::relu6})
    for (const bool affine : {true, false})
      for (const int grid : {0, 1, 2})
        for (const std::int64_t stride : {1, 2, 3}) {
          ConvBnCase what = mapped(window(3, 6, 6, 19, 3, stride, 1), act);
          what.problem.mapped = affine;
          if (grid > 0) what = quantized(what, -100, 90, grid == 1);
          expect_equal(what, ++seed);
          expect_equal(what, ++seed, true);
        }
}

TEST(DwConv2dBn, GridsAndSteps) {
  constexpr float kInfinity = std::numeric_limits<float>::infinity();
  std::uint64_t seed = 200;
  for (const float step : {1e-45f, 1e-39f, 5.421e-20f, 1e-6f, 0.007874016f, 1.0f, 0.1f, 3e38f, kInfinity, 0.0f, -0.25f,
                           -kInfinity, std::numeric_limits<float>::quiet_NaN()})
    for (const auto& [lo, hi, zero] : {std::array<std::int32_t, 3>{0, 255, 0},
                                       {0, 255, 128},
                                       {-127, 127, 0},
                                       {-1, 0, 0},
                                       {3, 9, 1},
                                       {-9, -3, 0},
                                       {0, 4194304, 4194304}}) {
      ++seed;
      const Activation act = seed % 3 == 0 ? Activation::relu6 : Activation::none;
      ConvBnCase what = quantized(mapped(window(2, 3, 3, 9, 3, 1, 1), act), lo, hi);
      what.problem.zero_point = zero;
      what.step = step;
      expect_equal(what, seed, seed % 2 == 0);
    }
}

/// Every value of src lies beside one end of the grid: on it, and a few steps of the float format off.
TEST(DwConv2dBn, MaskAtTheEndsOfTheGrid) {
  for (const float step : {0.1f, 0.007874016f, 1.5f / 127, 3e-40f, 1e36f})
    for (const std::int32_t end : {-127, 127}) {
      ConvBnCase what = quantized(mapped(window(2, 4, 4, 8, 3, 1, 1), Activation::none), -127, 127);
      what.problem.mapped = false;
      what.step = step;
      ConvBnInputs in = make_inputs(room(), what.problem.geometry, 5, false);
      float value = static_cast<float>(end) * step;
      for (int i = 0; i < 128; ++i) value = std::nextafter(value, -std::numeric_limits<float>::infinity());
      for (float& x : in.src) x = value = std::nextafter(value, std::numeric_limits<float>::infinity());
      const ConvBnOutputs wanted = by_reference("bwd", what, in);
      for_own_rows(dwconv2d_bn_rows(), "dwconv2d_bn_bwd", "f32", [&](const ConvBnRow& row) {
        EXPECT_TRUE(same_bits(wanted.d_src, run_row(row, what, in).d_src)) << "step " << step;
      });
    }
}

/// All sums are zeros, of either sign where a product underflows: the first one is least and greatest.
TEST(DwConv2dBn, FirstOfEqualExtremes) {
  for (const ConvGeometry& g :
       {window(5, 4, 4, 19, 1, 1, 0), window(40, 1, 1, 19, 3, 1, 1), window(2000, 1, 1, 3, 3, 1, 1)}) {
    ConvBnCase what = mapped(g, Activation::none);
    what.problem.mapped = false;
    ConvBnInputs in = make_inputs(room(), g, 9, false);
    for (float& x : in.src) x = x < 0 ? -1e-30f : 1e-30f;
    for (float& w : in.weight) w = 1e-30f;
    const ConvBnOutputs wanted = by_reference("fwd", what, in);
    for_own_rows(dwconv2d_bn_rows(), "dwconv2d_bn_fwd", "f32",
                 [&](const ConvBnRow& row) { expect_same_outputs(wanted, run_row(row, what, in)); });
  }
}

TEST(DwConv2dBn, HostileValues) {
  for (std::uint64_t seed = 0; seed < 6; ++seed)
    for (const std::int64_t side : {1, 2, 4, 5})
      for (const std::int64_t stride : {1, 2}) {
        const ConvBnCase what =
            mapped(window(3, side, side, 19, 3, stride, 1), seed % 2 == 0 ? Activation::relu : Activation::none);
        expect_equal(seed % 3 == 0 ? quantized(what) : what, seed, true);
      }
}

TEST(DwConv2dBn, OperandsMayBeAbsent) {
  for (const std::int64_t stride : {1, 2, 3})
    for (const std::int64_t side : {1, 6})
      for (int bits = 0; bits < 32; ++bits) {
        ConvBnCase what = mapped(window(2, side, side, 21, 3, stride, 1));
        what.statistics = bits & 1, what.extremes = bits & 2, what.late = bits & 4;
        what.d_src = bits & 8, what.d_weight = bits & 16;
        expect_equal(what, static_cast<std::uint64_t>(bits));
      }
}

TEST(DwConv2dBn, NoPictures) {
  for (const std::int64_t side : {1, 4}) expect_equal(mapped(window(0, side, side, 20, 3, 1, 1)), 1);
}

TEST(DwConv2dBn, RefusesWithAReason) {
  for (const char* pass : {"dwconv2d_bn_fwd", "dwconv2d_bn_bwd"})
    for_own_rows(dwconv2d_bn_rows(), pass, "f32", [&](const ConvBnRow& row) {
      EXPECT_STREQ(row.why_not(mapped(window(1, 9, 9, 4, 5, 1, 2)).problem), "a window beyond 3x3");
      EXPECT_STREQ(row.why_not(mapped(window(1, 64, 64, 4, 3, 1, 1)).problem), "pictures beyond 1024 pixels");
      EXPECT_STREQ(row.why_not(mapped(window(300, 3, 3, 4, 3, 1, 1)).problem),
                   "a reduction chunk ends within a picture");
      EXPECT_STREQ(row.why_not(quantized(mapped(window(1, 3, 3, 4, 3, 1, 1)), 0, 1 << 23).problem),
                   "codes beyond 2^22");
      EXPECT_EQ(row.why_not(mapped(window(256, 16, 16, 32, 3, 1, 1)).problem), nullptr);
    });
}

}  // namespace
}  // namespace octet::kernels
