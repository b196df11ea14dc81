// conv2d: rows against the reference, the reference against the definition of an adjoint, im2col against its
// definition.
#include <array>

#include "kernels/im2col/im2col.h"
#include "tests/kernels/conv_layers.h"

namespace octet::kernels {
namespace {

using namespace hostile;

ConvRoom room() { return {conv2d_rows(), "conv2d", false}; }

ConvGeometry geometry(std::int64_t n, std::int64_t h, std::int64_t w, std::int64_t c, std::int64_t k, std::int64_t r,
                      std::int64_t s, std::int64_t stride, std::int64_t pad_h, std::int64_t pad_w) {
  return {n, h, w, c, k, r, s, stride, stride, pad_h, pad_w};
}
ConvGeometry pointwise(std::int64_t pixels, std::int64_t c, std::int64_t k) {
  return geometry(pixels, 1, 1, c, k, 1, 1, 1, 0, 0);
}

TEST(Conv2d, HandComputed) {
  // One 3x3 picture 1 … 9, one 2x2 filter (1, 10, 100, 1000), padding 1 to the left and right only.
  const ConvGeometry g{1, 3, 3, 1, 1, 2, 2, 1, 1, 0, 1};
  ConvInputs<float> in{{1, 2, 3, 4, 5, 6, 7, 8, 9}, {1, 10, 100, 1000}, {0.5f}, {1, 0, 0, 0, 0, 0, 0, 2}};
  const ConvOutputs<float> out = run_passes(room(), "reference", g, in);
  EXPECT_EQ(out.dst.copy(), (std::vector<float>{4010.5f, 5421.5f, 6532.5f, 603.5f, 7040.5f, 8754.5f, 9865.5f, 906.5f}));
  EXPECT_EQ(out.d_src.copy(), (std::vector<float>{10, 0, 0, 1000, 0, 2, 0, 0, 200}));
  EXPECT_EQ(out.d_weight.copy(), (std::vector<float>{12, 1, 18, 4}));
  EXPECT_EQ(out.d_bias.copy(), (std::vector<float>{3}));
}

TEST(Conv2d, AdjointsInDouble) {
  Random random(21, Purpose::test);
  for (std::uint64_t seed = 0; seed < 30; ++seed) expect_adjoint(room(), random_geometry(random, false), seed);
  expect_adjoint(room(), pointwise(1500, 2, 3), 40);  // two chunks
}

TEST(Conv2d, PointwiseTailsOfEveryTile) {
  for (std::int64_t pixels : {1, 2, 5, 6, 7, 11, 12, 13, 24, 25})
    for (std::int64_t k : {1, 7, 8, 15, 16, 17, 31, 32, 33, 47, 65}) {
      const std::int64_t c = std::array<std::int64_t, 4>{1, 3, 17, 33}[static_cast<std::size_t>(pixels + k) % 4];
      expect_rows_equal(room(), pointwise(pixels, c, k), static_cast<std::uint64_t>(pixels * 100 + k), k % 2 == 0);
    }
}

TEST(Conv2d, DepthsAcrossBlocks) {
  for (std::int64_t c : {255, 256, 257, 300, 513, 1030}) expect_rows_equal(room(), pointwise(13, c, 9), 1, false);
  for (std::int64_t k : {257, 520}) expect_rows_equal(room(), pointwise(7, 5, k), 2);
  expect_rows_equal(room(), pointwise(150, 4, 300), 3);  // several blocks of rows and columns
}

TEST(Conv2d, ReductionChunks) {
  expect_rows_equal(room(), pointwise(1024, 3, 2), 1);
  expect_rows_equal(room(), pointwise(1025, 3, 2), 2);
  expect_rows_equal(room(), pointwise(2600, 5, 3), 3);
  expect_rows_equal(room(), pointwise(17000, 2, 2), 4);
  expect_rows_equal(room(), geometry(1, 36, 40, 129, 2, 3, 3, 1, 0, 0), 5, false);  // chunks in turn, blocks of taps
  expect_rows_equal(room(), geometry(5, 16, 16, 3, 4, 3, 3, 1, 1, 1), 6);           // chunks at once, by columns
}

TEST(Conv2d, WindowsStridesAndPadding) {
  std::uint64_t seed = 0;
  for (std::int64_t side : {1, 2, 3, 5, 7})
    for (std::int64_t stride : {1, 2, 3})
      for (std::int64_t pad : {0, 1, 2}) {
        const std::int64_t c = std::array<std::int64_t, 3>{1, 3, 17}[seed % 3],
                           k = 1 + static_cast<std::int64_t>(seed * 7 % 36);
        ++seed;
        expect_rows_equal(room(), geometry(2, side, side, c, k, 1, 1, stride, pad, pad), seed);
        if (side + 2 * pad >= 3)
          expect_rows_equal(room(), geometry(2, side, side, c, k, 3, 3, stride, pad, pad), seed, false);
        if (side + 2 * pad >= 5) expect_rows_equal(room(), geometry(1, side, side, c, k, 5, 5, stride, pad, pad), seed);
        if (side + 2 * pad >= 3) expect_rows_equal(room(), geometry(2, side, side, c, k, 1, 3, stride, 0, pad), seed);
      }
}

TEST(Conv2d, RandomGeometries) {
  Random random(20, Purpose::test);
  for (std::uint64_t seed = 0; seed < 50; ++seed)
    expect_rows_equal(room(), random_geometry(random, false), seed, seed % 2 == 0);
}

TEST(Conv2d, HostileValues) {
  for (std::uint64_t seed = 0; seed < 6; ++seed) {
    expect_rows_equal(room(), pointwise(30, 20, 35), seed, true, true);
    expect_rows_equal(room(), geometry(2, 4, 5, 3, 19, 3, 3, 1, 1, 1), seed, true, true);
  }
}

TEST(Conv2d, NoPictures) {
  const ConvGeometry g = geometry(0, 4, 4, 3, 5, 3, 3, 1, 1, 1);
  expect_rows_equal(room(), g, 1);
  const ConvOutputs<float> out = run_passes(room(), "reference", g, make_inputs(g, false, 1));
  EXPECT_EQ(out.d_weight.copy(), std::vector<float>(135, 0.0f));
  EXPECT_EQ(out.d_bias.copy(), std::vector<float>(5, 0.0f));
}

TEST(Conv2d, VendorRowsAreNear) {
  Random random(22, Purpose::test);
  for (const char* impl : {"onednn", "openblas"}) {
    for (std::uint64_t seed = 0; seed < 12; ++seed)
      expect_vendor_near(room(), impl, random_geometry(random, false), seed);
    expect_vendor_near(room(), impl, pointwise(70, 64, 33), 50);
    expect_vendor_near(room(), impl, geometry(2, 8, 8, 3, 32, 3, 3, 2, 1, 1), 51);
  }
}

TEST(Im2col, CodesAndTapRanges) {
  const ConvGeometry g = geometry(2, 3, 4, 2, 1, 3, 2, 2, 1, 1);
  std::vector<std::uint8_t> src(static_cast<std::size_t>(g.n * g.h * g.w * g.c));
  for (std::size_t i = 0; i < src.size(); ++i) src[i] = static_cast<std::uint8_t>(i + 1);
  const TapRange taps{1, 5};
  const std::int64_t width = 4 * g.c, ld = width + 3, first = 2, count = g.out_pixels() - first;
  PageEnd<std::uint8_t> columns(count * ld);
  std::fill_n(columns.data(), columns.size(), std::uint8_t{0});
  im2col<std::uint8_t>(g, src.data(), first, count, taps, 200, columns.data(), ld);
  for (std::int64_t i = 0; i < count; ++i)
    for (std::int64_t j = 0; j < width; ++j) {
      const std::int64_t pixel = first + i, tap = taps.begin + j / g.c;
      const std::int64_t n = pixel / (g.out_h() * g.out_w()), p = pixel / g.out_w() % g.out_h(), q = pixel % g.out_w();
      const std::int64_t y = p * 2 - 1 + tap / g.s, x = q * 2 - 1 + tap % g.s;
      const bool inside = y >= 0 && y < g.h && x >= 0 && x < g.w;
      const std::int64_t at = ((n * g.h + y) * g.w + x) * g.c + j % g.c;
      ASSERT_EQ(columns[i * ld + j], inside ? src[static_cast<std::size_t>(at)] : 200) << i << " " << j;
    }
  EXPECT_TRUE(columns.intact());
}

}  // namespace
}  // namespace octet::kernels
