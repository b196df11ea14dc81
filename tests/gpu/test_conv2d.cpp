// conv2d and linear on the device: the matrix product under every plan, index arithmetic, and the rows beside the
// reference.
#include <array>
#include <set>

#include "kernels/conv2d/gpu_index.h"
#include "kernels/linear/linear.h"
#include "tests/gpu/device.h"
#include "tests/gpu/products.h"
#include "tests/kernels/conv_layers.h"

namespace octet::kernels {
namespace {

using namespace hostile;
using test::Buffer;

class GpuConv2d : public test::OnDevice {};
class GpuLinear : public test::OnDevice {};

const ConvRoom kRoom{conv2d_rows(), "conv2d", false};

ConvGeometry geometry(std::int64_t n, std::int64_t h, std::int64_t w, std::int64_t c, std::int64_t k, std::int64_t r,
                      std::int64_t s, std::int64_t stride, std::int64_t pad_h, std::int64_t pad_w) {
  return {n, h, w, c, k, r, s, stride, stride, pad_h, pad_w};
}

void run_product(const test::ProductCase& c, const float* a, const float* b, const float* bias, float* to) {
#if OCTET_WITH_CUDA
  if (gpu::kind() == gpu::Kind::cuda) return test::product_cuda(c, a, b, bias, to, gpu::stream());
#endif
#if OCTET_EMULATED_GPU
  test::product_emulated(c, a, b, bias, to, nullptr);
#endif
}

/// The promised order: FMA from zero inside a chunk, sums of chunks added in order, then the bias.
std::vector<float> product_on_host(const test::ProductCase& c, const std::vector<float>& a, const std::vector<float>& b,
                                   const float* bias) {
  const auto at = [&](const std::vector<float>& m, std::int64_t lines, std::int64_t i, std::int64_t d) {
    return m[static_cast<std::size_t>(c.along_depth ? i * c.depth + d : d * lines + i)];
  };
  std::vector<float> to;
  for (std::int64_t i = 0; i < c.rows; ++i)
    for (std::int64_t j = 0; j < c.cols; ++j) {
      float total = 0;
      for (std::int64_t begin = 0; begin < c.depth; begin += c.plan.chunk_depth) {
        float sum = 0;
        for (std::int64_t d = begin; d < std::min(begin + c.plan.chunk_depth, c.depth); ++d)
          sum = std::fma(at(a, c.rows, i, d), at(b, c.cols, j, d), sum);
        total = begin == 0 ? sum : total + sum;
      }
      to.push_back(bias != nullptr ? total + bias[j] : total);
    }
  return to;
}

void expect_product(const test::ProductCase& c, std::uint64_t seed) {
  const auto a = random_values<float>(c.rows * c.depth, seed), b = random_values<float>(c.cols * c.depth, seed + 1);
  const auto bias = random_values<float>(c.cols, seed + 2);
  Buffer<float> da(a), db(b), dbias(bias), to(static_cast<std::size_t>(c.rows * c.cols));
  for (bool biased : {false, true}) {
    run_product(c, da, db, biased ? dbias.data() : nullptr, to);
    test::expect_same(product_on_host(c, a, b, biased ? bias.data() : nullptr), to.values(),
                      testing::PrintToString(c.depth));
  }
}

TEST_F(GpuConv2d, ProductsUnderEveryPlanHaveThePromisedOrder) {
  constexpr std::array<GemmTile, 4> kTiles{GemmTile::t128x128, GemmTile::t128x64, GemmTile::t64x64, GemmTile::t128x32};
  std::uint64_t seed = 1;
  for (const GemmTile tile : kTiles)
    for (bool along : {true, false})
      for (bool vectors : {true, false}) {
        if (!vectors && (tile == GemmTile::t128x128 || tile == GemmTile::t128x64)) continue;
        const auto [rows, cols] = shape_of(tile);
        // Whole tiles, and tails of all extents, in one chunk and in several.
        const std::int64_t odd = vectors ? 4 : 1;
        for (const auto& [m, n, depth] : {std::array<std::int64_t, 3>{rows, cols, 32},
                                          {rows + odd, cols + odd, 16 + odd},
                                          {odd, 3 * odd, odd},
                                          {rows - odd, 2 * cols - odd, 48 - odd}}) {
          SCOPED_TRACE(std::to_string(rows) + "x" + std::to_string(cols) + (along ? " along" : " across") +
                       (vectors ? " by vectors" : "") + ", product " + std::to_string(m) + "x" + std::to_string(n) +
                       "x" + std::to_string(depth));
          expect_product({m, n, depth, along, vectors, {tile, 1, depth}}, seed++);
          if (depth > 16)
            expect_product({m, n, depth, along, vectors, {tile, static_cast<int>((depth + 15) / 16), 16}}, seed++);
        }
      }
}

TEST(GpuPlan, ChunksCoverTheDepth) {
  for (std::int64_t rows : {1, 10, 64, 1000, 100'000})
    for (std::int64_t cols : {1, 10, 32, 64, 512, 1030})
      for (std::int64_t depth : {0, 1, 27, 127, 128, 129, 1000, 123'457, 5'000'000})
        for (bool vectors : {false, true}) {
          const GemmPlan plan = gemm_plan(rows, cols, depth, vectors);
          SCOPED_TRACE(testing::Message() << rows << ' ' << cols << ' ' << depth);
          ASSERT_GE(plan.chunks, 1);
          ASSERT_GE(plan.chunks * plan.chunk_depth, depth);
          if (plan.chunks > 1) {
            ASSERT_LT((plan.chunks - 1) * plan.chunk_depth, depth);
            ASSERT_EQ(plan.chunk_depth % kGemmStep, 0);
            ASSERT_LE(plan.chunks * rows * cols, 32'000'000);
          }
          ASSERT_TRUE(vectors || plan.tile == GemmTile::t64x64 || plan.tile == GemmTile::t128x32);
        }
}

std::int64_t blocks_of(const GemmPlan& plan, std::int64_t rows, std::int64_t cols) {
  const auto [tile_rows, tile_cols] = shape_of(plan.tile);
  return (rows + tile_rows - 1) / tile_rows * ((cols + tile_cols - 1) / tile_cols) * plan.chunks;
}

TEST(GpuPlan, FillsADevice) {
  EXPECT_EQ(gemm_plan(100'000, 256, 256, true), (GemmPlan{GemmTile::t128x128, 1, 256}));
  EXPECT_EQ(gemm_plan(100'000, 64, 64, true), (GemmPlan{GemmTile::t128x64, 1, 64}));
  EXPECT_EQ(gemm_plan(100'000, 32, 27, false), (GemmPlan{GemmTile::t128x32, 1, 27}));
  // The gradient of a weight: a small result of many pixels; and small maps with many channels.
  EXPECT_GE(blocks_of(gemm_plan(64, 32, 100'000, true), 64, 32), 128);
  EXPECT_GE(blocks_of(gemm_plan(128, 512, 4608, true), 128, 512), 64);
  EXPECT_EQ(gemm_plan(8, 10, 64, true).chunks, 1);  // not worth a second kernel
}

TEST(GpuIndex, DivisorsDivide) {
  constexpr std::int64_t kMost = 0x7fffffff;
  std::vector<std::int64_t> numbers;
  for (std::int64_t base :
       {std::int64_t{0}, std::int64_t{7}, std::int64_t{224}, std::int64_t{50176}, std::int64_t{65536},
        std::int64_t{1} << 24, std::int64_t{1} << 30, std::int64_t{1'431'655'765}, kMost})
    for (std::int64_t near = -2; near <= 2; ++near)
      if (base + near >= 0 && base + near <= kMost) numbers.push_back(base + near);
  Random random(9, Purpose::test);
  for (int i = 0; i < 200; ++i) numbers.push_back(static_cast<std::int64_t>(random.below(kMost)));
  for (const std::int64_t d : numbers) {
    if (d == 0) continue;
    const Divisor divisor(d);
    for (const std::int64_t n : numbers) ASSERT_EQ(divisor.quotient(static_cast<int>(n)), n / d) << n << " / " << d;
    ASSERT_EQ(divisor.quotient(static_cast<int>(kMost / d * d - 1)), (kMost / d * d - 1) / d) << d;
  }
}

TEST(GpuIndex, PixelsAndTaps) {
  for (std::int64_t h : {1, 2, 5})
    for (std::int64_t w : {1, 3, 7}) {
      const Pictures pictures(h, w);
      int index = 0;
      for (int n = 0; n < 3; ++n)
        for (int y = 0; y < h; ++y)
          for (int x = 0; x < w; ++x) {
            const Pixel pixel = pictures.pixel(index++);
            ASSERT_TRUE(pixel.n == n && pixel.y == y && pixel.x == x) << h << 'x' << w << ": " << index - 1;
          }
    }
  const Window window(3, 5);
  for (int i = 0; i < 2 * 3 * 5; ++i) {
    const Tap tap = window.tap(i);
    ASSERT_TRUE(tap.r == i / 15 && tap.s == i / 5 % 3 && tap.channel == i % 5) << i;
  }
}

TEST(GpuIndex, ClassesOfReadersAreAllReaders) {
  for (std::int64_t extent : {1, 2, 5, 8})
    for (std::int64_t window : {1, 2, 3, 5})
      for (std::int64_t stride : {1, 2, 3, 4, 1000})
        for (std::int64_t pad : {0, 1, 2, 7}) {
          if (extent + 2 * pad < window) continue;
          SCOPED_TRACE(testing::Message() << extent << ' ' << window << ' ' << stride << ' ' << pad);
          const std::int64_t outputs = (extent + 2 * pad - window) / stride + 1;
          std::set<std::array<std::int64_t, 3>> wanted, got;  // place, tap, output
          for (std::int64_t out = 0; out < outputs; ++out)
            for (std::int64_t tap = 0; tap < window; ++tap)
              if (const std::int64_t at = out * stride - pad + tap; at >= 0 && at < extent)
                wanted.insert({at, tap, out});
          for (std::int64_t first = 0; first < std::min(stride, window); ++first) {
            const ReaderClass of = reader_class(extent, window, stride, pad, first);
            for (std::int64_t i = 0; i < of.places; ++i)
              for (std::int64_t t = 0; t < of.taps; ++t) {
                const std::int64_t out = of.first_reader + i - t, at = of.first + i * stride;
                ASSERT_TRUE(at < extent && first + t * stride < window);
                if (out >= 0 && out < outputs) got.insert({at, first + t * stride, out});
              }
          }
          ASSERT_EQ(wanted, got);
        }
}

TEST(GpuIndex, RefusesWhatDoesNotFit) {
  EXPECT_EQ(too_large_for_device(geometry(256, 224, 224, 3, 64, 7, 7, 2, 3, 3)), nullptr);
  EXPECT_EQ(too_large_for_device(geometry(0, 8, 8, 3, 4, 3, 3, 1, 1, 1)), nullptr);
  EXPECT_NE(too_large_for_device(geometry(1 << 20, 64, 64, 1, 1, 1, 1, 1, 0, 0)), nullptr);
  EXPECT_NE(too_large_for_device(geometry(1, 1 << 15, 1 << 15, 8, 1, 1, 1, 1, 0, 0)), nullptr);
  EXPECT_NE(too_large_for_device(geometry(1, 1, 1, 1 << 16, 1 << 16, 1, 1, 1, 0, 0)), nullptr);
  EXPECT_NE(too_large_for_device(geometry(1, 8, 8, 1, 1, 1, 1, std::int64_t{1} << 33, 0, 0)), nullptr);
  EXPECT_NE(too_large_for_device(geometry(1, 8, 8, 1, 1, 1, 1, 1, std::int64_t{1} << 40, 0)), nullptr);
}

/// The device's outputs, in buffers of this machine.
ConvOutputs<float> run_on_device(const ConvGeometry& g, const ConvInputs<float>& in, bool biased) {
  Buffer<float> src(in.src), weight(in.weight), bias(in.bias), d_dst(in.d_dst);
  Buffer<float> dst(in.d_dst.size()), d_src(in.src.size()), d_weight(in.weight.size()), d_bias(in.bias.size());
  Conv2dPointers io{src,   weight,   biased ? bias.data() : nullptr,  dst, d_dst,
                    d_src, d_weight, biased ? d_bias.data() : nullptr};
  for (const char* pass : {"conv2d_fwd", "conv2d_bwd_data", "conv2d_bwd_weight"})
    if (const auto* row = test::device_row(conv2d_rows(), pass, "f32", g)) row->run(g, io, context_of(Device::cuda));
  return {PageEnd<float>(dst.values()), PageEnd<float>(d_src.values()), PageEnd<float>(d_weight.values()),
          PageEnd<float>(d_bias.values())};
}

/// To 4 · terms · ε · Σ|a||b| of the sum in f64; forward has the reference's bits where the plan has one chunk.
void expect_near_reference(const ConvGeometry& g, std::uint64_t seed, bool biased = true) {
  SCOPED_TRACE(g.str() + ", seed " + std::to_string(seed));
  const ConvInputs<float> in = make_inputs(g, false, seed);
  const ConvOutputs<float> got = run_on_device(g, in, biased);
  const ConvOutputs<double> exact = run_passes(kRoom, "reference", g, widened(in), biased);
  const ConvOutputs<double> magnitude = run_passes(kRoom, "reference", g, widened(in, true), biased);
  expect_near(got.dst, exact.dst, magnitude.dst, g.r * g.s * g.c, "dst");
  expect_near(got.d_src, exact.d_src, magnitude.d_src, g.r * g.s * g.k, "d_src");
  expect_near(got.d_weight, exact.d_weight, magnitude.d_weight, g.out_pixels(), "d_weight");
  if (biased) expect_near(got.d_bias, exact.d_bias, magnitude.d_bias, g.out_pixels(), "d_bias");
  if (gemm_plan(g.out_pixels(), g.k, g.r * g.s * g.c, g.c % 4 == 0).chunks > 1) return;
  EXPECT_TRUE(same_bits(run_passes(kRoom, "reference", g, in, biased).dst, got.dst)) << "dst";
}

TEST_F(GpuConv2d, Pointwise) {
  std::uint64_t seed = 1;
  for (std::int64_t pixels : {1, 3, 64, 65, 131})
    for (std::int64_t c : {1, 4, 10, 64})
      for (std::int64_t k : {1, 10, 32, 68}) {
        ++seed;
        expect_near_reference(geometry(pixels, 1, 1, c, k, 1, 1, 1, 0, 0), seed, seed % 2 == 0);
      }
}

TEST_F(GpuConv2d, WindowsStridesAndPadding) {
  std::uint64_t seed = 0;
  for (std::int64_t side : {1, 2, 5, 7})
    for (std::int64_t stride : {1, 2, 3})
      for (std::int64_t pad : {0, 1, 3}) {
        const std::int64_t c = std::array<std::int64_t, 4>{1, 3, 4, 12}[seed % 4],
                           k = std::array<std::int64_t, 3>{5, 8, 36}[seed % 3];
        ++seed;
        expect_near_reference(geometry(2, side, side, c, k, 1, 1, stride, pad, pad), seed);
        if (side + 2 * pad >= 3)
          expect_near_reference(geometry(2, side, side, c, k, 3, 3, stride, pad, pad), seed, false);
        if (side + 2 * pad >= 3) expect_near_reference(geometry(2, side, side, c, k, 1, 3, stride, 0, pad), seed);
      }
}

TEST_F(GpuConv2d, RandomGeometries) {
  Random random(31, Purpose::test);
  for (std::uint64_t seed = 0; seed < 40; ++seed) {
    ConvGeometry g = random_geometry(random, false);
    if (seed % 2 == 0) g.c = (g.c + 3) / 4 * 4, g.k = (g.k + 3) / 4 * 4;
    expect_near_reference(g, seed, seed % 3 != 0);
  }
}

TEST_F(GpuConv2d, DepthInChunks) {
  const ConvGeometry forward = geometry(3, 2, 2, 512, 8, 3, 3, 1, 1, 1),
                     data = geometry(3, 2, 2, 8, 513, 3, 3, 1, 1, 1);
  ASSERT_GT(gemm_plan(forward.out_pixels(), 8, 9 * 512, true).chunks, 1);
  ASSERT_GT(gemm_plan(12, 8, 9 * 513, false).chunks, 1);
  ASSERT_GT(gemm_plan(8, 27, 9 * 17 * 17, false).chunks, 1);
  const ConvGeometry strided = geometry(3, 5, 6, 8, 512, 3, 3, 2, 1, 1);  // a class of four taps, and smaller ones
  ASSERT_GT(gemm_plan(27, 8, 4 * 512, true).chunks, 1);
  expect_near_reference(strided, 5);
  expect_near_reference(forward, 1);
  expect_near_reference(data, 2);
  expect_near_reference(geometry(9, 33, 34, 3, 8, 3, 3, 2, 1, 1), 3);  // bwd_weight, and d_bias
  expect_near_reference(geometry(8000, 1, 1, 4, 40, 1, 1, 1, 0, 0), 4);
}

TEST_F(GpuConv2d, NaNStaysWhereItBelongs) {
  const ConvGeometry g = geometry(2, 5, 5, 4, 8, 3, 3, 1, 1, 1);
  ConvInputs<float> in = make_inputs(g, false, 7);
  in.src[0] = std::nanf(""), in.src[in.src.size() - 1] = INFINITY, in.d_dst[17] = -INFINITY;
  const ConvOutputs<float> got = run_on_device(g, in, true), wanted = run_passes(kRoom, "reference", g, in);
  const auto expect_class = [](const PageEnd<float>& a, const PageEnd<float>& b, const char* what) {
    for (std::int64_t i = 0; i < a.size(); ++i)
      ASSERT_EQ(std::fpclassify(a[i]), std::fpclassify(b[i])) << what << " at " << i;
  };
  expect_class(wanted.dst, got.dst, "dst");
  expect_class(wanted.d_src, got.d_src, "d_src");
  expect_class(wanted.d_weight, got.d_weight, "d_weight");
}

/// A factor that is no number spoils the pixels that its tap reads, and only those: no other has multiplied it by zero.
TEST_F(GpuConv2d, StridedGradientsMultiplyNoZeros) {
  std::uint64_t seed = 50;
  for (std::int64_t window : {1, 2, 3})
    for (std::int64_t c : {3, 8}) {
      const ConvGeometry g = geometry(2, 12, 12, c, 8, window, window, 3, 0, 0);
      ConvInputs<float> in = make_inputs(g, false, ++seed);
      for (std::int64_t i = 0; i < g.c; ++i) in.weight[static_cast<std::size_t>(i)] = std::nanf("");
      // One tap a pixel: the order of the sum is the reference's.
      EXPECT_TRUE(same_bits(run_passes(kRoom, "reference", g, in).d_src, run_on_device(g, in, true).d_src)) << g.str();
    }
}

TEST_F(GpuConv2d, NoPictures) {
  const ConvGeometry g = geometry(0, 5, 5, 4, 8, 3, 3, 1, 1, 1);
  ConvInputs<float> in;
  in.weight = random_values<float>(weight_count(g, false), 1), in.bias = random_values<float>(g.k, 2);
  const ConvOutputs<float> got = run_on_device(g, in, true);
  EXPECT_EQ(got.d_weight.copy(), std::vector<float>(in.weight.size(), 0.0f));
  EXPECT_EQ(got.d_bias.copy(), std::vector<float>(in.bias.size(), 0.0f));
}

TEST_F(GpuConv2d, UnalignedPointers) {
  const ConvGeometry g = geometry(3, 4, 4, 8, 8, 3, 3, 1, 1, 1);
  const ConvInputs<float> in = make_inputs(g, false, 8);
  std::vector<float> moved(1, 0.0f);
  moved.insert(moved.end(), in.src.begin(), in.src.end());
  Buffer<float> src(moved), weight(in.weight), bias(in.bias), dst(in.d_dst.size() + 1);
  const auto* row = test::device_row(conv2d_rows(), "conv2d_fwd", "f32", g);
  ASSERT_NE(row, nullptr);
  Conv2dPointers io;
  io.src = src.data() + 1, io.weight = weight, io.bias = bias, io.dst = dst.data() + 1;
  row->run(g, io, context_of(Device::cuda));
  const std::vector<float> got = dst.values();
  const ConvOutputs<float> wanted = run_passes(kRoom, "reference", g, in);
  EXPECT_TRUE(same_bits(wanted.dst.copy(), std::vector<float>(got.begin() + 1, got.end())));
}

TEST_F(GpuLinear, HasTheBitsOfConv2d) {
  for (const LinearProblem& problem :
       {LinearProblem{1, 1, 1}, {3, 10, 33}, {13, 33, 257}, {64, 10, 100}, {4, 10, 1024}, {1100, 3, 5}}) {
    SCOPED_TRACE(problem.str());
    const ConvGeometry g = geometry(problem.m, 1, 1, problem.k, problem.n, 1, 1, 1, 0, 0);
    const ConvInputs<float> in = make_inputs(g, false, 5);
    const ConvOutputs<float> wanted = run_on_device(g, in, true);
    Buffer<float> src(in.src), weight(in.weight), bias(in.bias), d_dst(in.d_dst);
    Buffer<float> dst(in.d_dst.size()), d_src(in.src.size()), d_weight(in.weight.size()), d_bias(in.bias.size());
    const LinearPointers io{src, weight, bias, dst, d_dst, d_src, d_weight, d_bias};
    for (const char* pass : {"linear_fwd", "linear_bwd_data", "linear_bwd_weight"})
      if (const auto* row = test::device_row(linear_rows(), pass, "f32", problem))
        row->run(problem, io, context_of(Device::cuda));
    EXPECT_TRUE(same_bits(wanted.dst.copy(), dst.values())) << "dst";
    EXPECT_TRUE(same_bits(wanted.d_src.copy(), d_src.values())) << "d_src";
    EXPECT_TRUE(same_bits(wanted.d_weight.copy(), d_weight.values())) << "d_weight";
    EXPECT_TRUE(same_bits(wanted.d_bias.copy(), d_bias.values())) << "d_bias";
  }
}

}  // namespace
}  // namespace octet::kernels
