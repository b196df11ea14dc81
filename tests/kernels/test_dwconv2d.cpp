// dwconv2d: rows against the reference, and the reference against the definition of an adjoint and against conv2d.
#include <array>

#include "kernels/dwconv2d/dwconv2d.h"
#include "tests/kernels/conv_layers.h"

namespace octet::kernels {
namespace {

using namespace hostile;

ConvRoom room() { return {dwconv2d_rows(), "dwconv2d", true}; }

ConvGeometry geometry(std::int64_t n, std::int64_t h, std::int64_t w, std::int64_t c, std::int64_t r, std::int64_t s,
                      std::int64_t stride, std::int64_t pad_h, std::int64_t pad_w) {
  return {n, h, w, c, c, r, s, stride, stride, pad_h, pad_w};
}

TEST(DwConv2d, HandComputed) {
  // A 1x2 map under a 3x3 window with padding 1: only the middle row of taps ever sees the picture.
  const ConvGeometry g = geometry(1, 1, 2, 1, 3, 3, 1, 1, 1);
  const ConvInputs<float> in{{3, 5}, {9, 9, 9, 1, 10, 100, 9, 9, 9}, {0.25f}, {1, 2}};
  const ConvOutputs<float> out = run_passes(room(), "reference", g, in);
  EXPECT_EQ(out.dst.copy(), (std::vector<float>{530.25f, 53.25f}));
  EXPECT_EQ(out.d_src.copy(), (std::vector<float>{12, 120}));
  EXPECT_EQ(out.d_weight.copy(), (std::vector<float>{0, 0, 0, 6, 13, 5, 0, 0, 0}));
  EXPECT_EQ(out.d_bias.copy(), (std::vector<float>{3}));
}

TEST(DwConv2d, OfOneChannelIsConv2d) {
  Random random(30, Purpose::test);
  const ConvRoom dense{conv2d_rows(), "conv2d", false};
  for (std::uint64_t seed = 0; seed < 20; ++seed) {
    ConvGeometry g = random_geometry(random, true);
    g.c = g.k = 1;
    SCOPED_TRACE(g.str());
    const ConvInputs<double> in = widened(make_inputs(g, true, seed));
    const ConvOutputs<double> a = run_passes(room(), "reference", g, in), b = run_passes(dense, "reference", g, in);
    for (std::int64_t i = 0; i < a.dst.size(); ++i) ASSERT_NEAR(a.dst[i], b.dst[i], 1e-13);
    for (std::int64_t i = 0; i < a.d_src.size(); ++i) ASSERT_NEAR(a.d_src[i], b.d_src[i], 1e-13);
    for (std::int64_t i = 0; i < a.d_weight.size(); ++i) ASSERT_NEAR(a.d_weight[i], b.d_weight[i], 1e-12);
  }
}

TEST(DwConv2d, AdjointsInDouble) {
  Random random(31, Purpose::test);
  for (std::uint64_t seed = 0; seed < 30; ++seed) expect_adjoint(room(), random_geometry(random, true), seed);
}

TEST(DwConv2d, MapsStridesAndPadding) {
  std::uint64_t seed = 0;
  for (std::int64_t side : {1, 2, 3, 4, 5, 8, 17})
    for (std::int64_t stride : {1, 2, 3})
      for (std::int64_t pad : {0, 1, 2}) {
        const std::int64_t c = std::array<std::int64_t, 7>{1, 8, 16, 17, 33, 40, 7}[seed % 7];
        ++seed;
        if (side + 2 * pad >= 3)
          expect_rows_equal(room(), geometry(2, side, side, c, 3, 3, stride, pad, pad), seed, seed % 2 == 0);
        if (side + 2 * pad >= 5) expect_rows_equal(room(), geometry(1, side, side, c, 5, 5, stride, pad, pad), seed);
        if (side + 2 * pad >= 3) expect_rows_equal(room(), geometry(2, side, side, c, 1, 3, stride, 0, pad), seed);
        expect_rows_equal(room(), geometry(2, side, side, c, 1, 1, stride, pad, pad), seed);
        if (side + 2 * pad >= 2) expect_rows_equal(room(), geometry(2, side, side, c, 2, 2, stride, pad, pad), seed);
      }
}

TEST(DwConv2d, EveryNumberOfChannels) {
  for (std::int64_t c = 1; c <= 50; ++c)
    expect_rows_equal(room(), geometry(1, 3, 4, c, 3, 3, 1, 1, 1), static_cast<std::uint64_t>(c));
  for (std::int64_t c : {71, 72, 73, 127, 129, 143, 144, 145, 280})
    expect_rows_equal(room(), geometry(1, 3, 3, c, 3, 3, 2, 1, 1), 60);
}

TEST(DwConv2d, SharesAndChunks) {
  expect_rows_equal(room(), geometry(40, 2, 2, 17, 3, 3, 1, 1, 1), 1);   // many pictures to a task
  expect_rows_equal(room(), geometry(1, 60, 50, 17, 3, 3, 1, 1, 1), 2);  // many tasks to a picture, three chunks
  expect_rows_equal(room(), geometry(2, 61, 33, 18, 3, 3, 2, 1, 1), 3);
  expect_rows_equal(room(), geometry(300, 3, 2, 16, 3, 3, 1, 1, 1), 4);  // a chunk ends inside a row
  expect_rows_equal(room(), geometry(270, 2, 2, 5, 3, 3, 1, 1, 1), 5);
  expect_rows_equal(room(), geometry(4500, 2, 2, 16, 3, 3, 1, 1, 1), 6);  // 16 chunks
}

TEST(DwConv2d, RandomGeometries) {
  Random random(32, Purpose::test);
  for (std::uint64_t seed = 0; seed < 60; ++seed)
    expect_rows_equal(room(), random_geometry(random, true), seed, seed % 2 == 0);
}

TEST(DwConv2d, HostileValues) {
  for (std::uint64_t seed = 0; seed < 6; ++seed) {
    expect_rows_equal(room(), geometry(2, 4, 4, 19, 3, 3, 1, 1, 1), seed, true, true);
    expect_rows_equal(room(), geometry(2, 5, 5, 19, 3, 3, 2, 1, 1), seed, true, true);
    expect_rows_equal(room(), geometry(2, 5, 5, 3, 5, 5, 2, 2, 2), seed, true, true);
  }
}

TEST(DwConv2d, NoPictures) { expect_rows_equal(room(), geometry(0, 4, 4, 20, 3, 3, 1, 1, 1), 1); }

TEST(DwConv2d, VendorRowsAreNear) {
  Random random(33, Purpose::test);
  for (std::uint64_t seed = 0; seed < 12; ++seed)
    expect_vendor_near(room(), "onednn", random_geometry(random, true), seed);
  expect_vendor_near(room(), "onednn", geometry(2, 8, 8, 32, 3, 3, 1, 1, 1), 50);
}

}  // namespace
}  // namespace octet::kernels
