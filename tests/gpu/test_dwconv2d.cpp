#include "kernels/dwconv2d/dwconv2d.h"
#include "kernels/dwconv2d/windows3x3.h"
#include "tests/gpu/device.h"
#include "tests/kernels/conv_layers.h"
#include "tests/kernels/windows.h"

namespace octet::kernels {
namespace {

using hostile::windowed;
using test::Buffer;

class GpuDwConv2d : public test::OnDevice {};

/// Values at an address that is that of no whole vector.
Buffer<float> shifted(const std::vector<float>& values, std::size_t by) {
  std::vector<float> all(by, 9.0f);
  all.insert(all.end(), values.begin(), values.end());
  return Buffer<float>(all);
}

/// Infinities must be equal, the rest near.
void expect_close(std::vector<float> wanted, std::vector<float> got, double tolerance, const std::string& what) {
  for (std::size_t i = 0; i < wanted.size() && i < got.size(); ++i)
    if (wanted[i] == got[i]) wanted[i] = got[i] = 0;
  test::expect_near(wanted, got, tolerance, what);
}

/// dst and d_src bit for bit; d_weight and d_bias, sums of out_pixels() terms in another order, to that many ε.
void expect_equal(const ConvGeometry& g, const hostile::ConvInputs<float>& in, const std::string& what, bool biased,
                  std::size_t shift = 0) {
  const hostile::ConvOutputs<float> wanted =
      hostile::run_passes({dwconv2d_rows(), "dwconv2d", true}, "reference", g, in, biased);
  const auto vector = [](const hostile::PageEnd<float>& x) {
    return std::vector<float>(x.data(), x.data() + x.size());
  };
  Buffer<float> src = shifted(in.src, shift), weight(in.weight), bias(in.bias), d_dst = shifted(in.d_dst, shift);
  Buffer<float> dst(in.d_dst.size()), d_src(in.src.size()), d_weight(in.weight.size()), d_bias(in.bias.size());
  DwConv2dPointers io;
  io.src = src.data() + shift, io.weight = weight, io.bias = biased ? bias.data() : nullptr, io.dst = dst;
  io.d_dst = d_dst.data() + shift, io.d_src = d_src, io.d_weight = d_weight;
  io.d_bias = biased ? d_bias.data() : nullptr;
  for (const char* pass : {"dwconv2d_fwd", "dwconv2d_bwd_data", "dwconv2d_bwd_weight"}) {
    const auto* row = test::device_row(dwconv2d_rows(), pass, "f32", g);
    ASSERT_NE(row, nullptr);
    row->run(g, io, context_of(Device::cuda));
  }
  test::expect_same(vector(wanted.dst), dst.values(), "dst, " + what);
  test::expect_same(vector(wanted.d_src), d_src.values(), "d_src, " + what);
  const double tolerance = 6e-8 * static_cast<double>(g.out_pixels() + 1);
  expect_close(vector(wanted.d_weight), d_weight.values(), tolerance, "d_weight, " + what);
  const std::vector<float> got_bias = d_bias.values();
  if (biased) return expect_close(vector(wanted.d_bias), got_bias, tolerance, "d_bias, " + what);
  EXPECT_TRUE(std::isnan(got_bias[0])) << "d_bias written though nobody asked";
}

void expect_equal(const ConvGeometry& g, std::uint64_t seed, bool biased, std::size_t shift = 0) {
  expect_equal(g, hostile::make_inputs(g, true, seed), g.str() + ", seed " + std::to_string(seed), biased, shift);
}

TEST_F(GpuDwConv2d, Windows3x3) {
  std::uint64_t seed = 1;
  for (std::int64_t stride : {1, 2})
    for (std::int64_t pad : {0, 1, 2, 4})
      for (std::int64_t c : {1, 4, 5, 36}) {
        expect_equal(windowed(2, 7, 9, c, 3, 3, stride, pad), seed++, c != 4);
        expect_equal(windowed(1, 4, 3, c, 3, 3, stride, pad), seed++, true);
      }
}

TEST_F(GpuDwConv2d, SmallMapsOfSeveralPictures) {
  for (std::int64_t stride : {1, 2})
    for (std::int64_t side : {1, 2})
      expect_equal(windowed(70, side, side, 132, 3, 3, stride, 1), 100 + static_cast<std::uint64_t>(stride), true);
}

TEST_F(GpuDwConv2d, SeveralChunks) {
  expect_equal(windowed(1, 60, 61, 3, 3, 3, 1, 1), 200, true);
  expect_equal(windowed(2, 41, 40, 8, 3, 3, 2, 1), 201, true);
}

TEST_F(GpuDwConv2d, OtherWindowsAndStrides) {
  expect_equal(windowed(2, 6, 5, 8, 1, 1, 1, 0), 300, true);
  expect_equal(windowed(2, 6, 5, 5, 1, 1, 2, 0), 301, false);
  expect_equal(windowed(2, 9, 8, 12, 5, 5, 1, 2), 302, true);
  expect_equal(windowed(1, 9, 8, 7, 5, 5, 3, 6), 303, true);
  expect_equal(windowed(2, 7, 7, 4, 3, 3, 3, 1), 304, true);
  ConvGeometry g = windowed(2, 8, 6, 8, 3, 3, 1, 1);
  g.stride_w = 2;
  expect_equal(g, 305, true);
  g.s = 2, g.pad_w = 0;
  expect_equal(g, 306, true);
  g = windowed(2, 8, 6, 6, 3, 3, 2, 1);
  g.pad_h = 0, g.pad_w = 2;
  expect_equal(g, 307, true);
}

TEST_F(GpuDwConv2d, RandomLayers) {
  Random random(11, Purpose::test);
  for (std::uint64_t seed = 400; seed < 425; ++seed)
    expect_equal(hostile::random_geometry(random, true), seed, seed % 2 == 0);
}

TEST_F(GpuDwConv2d, TapsOutsideAreSkippedWhateverTheOtherFactor) {
  for (std::int64_t stride : {1, 2, 3})
    for (std::int64_t c : {3, 8}) {
      const ConvGeometry g = windowed(2, 6, 7, c, 3, 3, stride, 1);
      hostile::ConvInputs<float> in = hostile::make_inputs(g, true, 500);
      for (std::vector<float>* values : {&in.src, &in.weight, &in.d_dst})
        for (float& v : *values) v = std::fabs(v);
      // Where zeros times infinity would be added the sum were NaN: first taps at the left edge, and pixels there.
      for (std::size_t i = 0; i < in.weight.size(); i += 3) in.weight[i] = INFINITY;
      for (std::int64_t i = 0; i < g.out_pixels(); i += g.out_w()) in.d_dst[static_cast<std::size_t>(i * c)] = INFINITY;
      // First taps read the right edge of src for no window but those behind the last.
      for (std::int64_t i = g.w - 1; i < g.n * g.h * g.w; i += g.w) in.src[static_cast<std::size_t>(i * c)] = INFINITY;
      expect_equal(g, in, g.str(), true);
      // And the last ones at the lower edge.
      in = hostile::make_inputs(g, true, 501);
      for (std::size_t i = 0; i < in.weight.size(); ++i)
        if (i % 9 >= 6) in.weight[i] = i % 2 == 0 ? -INFINITY : NAN;
      for (std::size_t i = in.d_dst.size() - static_cast<std::size_t>(c); i < in.d_dst.size(); ++i)
        in.d_dst[i] = INFINITY;
      expect_equal(g, in, g.str(), false);
    }
}

TEST_F(GpuDwConv2d, AddressesOfNoWholeVector) {
  expect_equal(windowed(2, 5, 5, 8, 3, 3, 1, 1), 600, true, 1);
  expect_equal(windowed(2, 5, 5, 8, 2, 2, 2, 1), 601, true, 3);
}

/// The groups of a row hold each result once, and a result's taps are those of the definition.
template <class Shape>
void expect_taps(int stride, bool backward) {
  for (int pad = 0; pad < 5; ++pad)
    for (int results = 1; results < 20; ++results) {
      int next = 0;
      for (int group = 0; group < Shape::groups(results, pad); ++group)
        for (int k = 0; k < Shape::kOutputs; ++k) {
          const int at = Shape::first(group, pad) + k;
          if (at < 0 || at >= results) continue;
          EXPECT_EQ(at, next++);
          for (int s = 0; s < 3; ++s) {
            const int from = backward ? at + pad - s : at * stride - pad + s, column = Shape::column(k, s);
            const bool whole = !backward || (from >= 0 && from % stride == 0);
            if (whole) {
              ASSERT_TRUE(column >= 0 && column < Shape::kColumns);
              EXPECT_EQ(Shape::left(Shape::first(group, pad), pad) + column, backward ? from / stride : from);
              EXPECT_EQ(Shape::row(at, s, pad), backward ? from / stride : from);
            } else {
              EXPECT_TRUE(column < 0 || Shape::left(Shape::first(group, pad), pad) + column < 0);
              EXPECT_LT(Shape::row(at, s, pad), 0);
            }
          }
        }
      EXPECT_EQ(next, results);
    }
}

TEST(GpuDwConv2dShapes, TapsAreThoseOfTheDefinition) {
  expect_taps<Forward3x3<1>>(1, false);
  expect_taps<Forward3x3<2>>(2, false);
  expect_taps<Backward3x3<1>>(1, true);
  expect_taps<Backward3x3<2>>(2, true);
}

}  // namespace
}  // namespace octet::kernels
