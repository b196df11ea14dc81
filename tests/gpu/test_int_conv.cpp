// conv2d_int8 and dwconv2d_int8 on the device.
#include "core/error.h"
#include "kernels/conv2d_int8/depth_split.h"
#include "tests/gpu/device.h"
#include "tests/kernels/int_layers.h"

namespace octet::kernels {
namespace {

using hostile::Codes;
using hostile::IntLayer;
using test::Buffer;

class GpuIntConv : public test::OnDevice {};

std::span<const IntConvRow> rows_of(const IntLayer& layer) {
  return layer.depthwise ? dwconv2d_int8_rows() : conv2d_int8_rows();
}
const char* pass_of(const IntLayer& layer) { return layer.depthwise ? "dwconv2d_int8_fwd" : "conv2d_int8_fwd"; }

/// `off`: how far src lies behind a place that can be read in words.
void expect_equal(const IntLayer& layer, std::size_t off = 0) {
  const std::vector<std::uint8_t> wanted =
      hostile::run_int_layer(test::reference_row(rows_of(layer), pass_of(layer), layer.dtypes()), layer);
  const IntConvRow* row = test::device_row(rows_of(layer), pass_of(layer), layer.dtypes(), layer.problem);
  ASSERT_NE(row, nullptr);
  const IntConvPlan plan(*row, layer.problem, layer.weights());
  std::vector<std::uint8_t> behind(off + layer.src.size());
  std::copy(layer.src.begin(), layer.src.end(), behind.begin() + static_cast<std::ptrdiff_t>(off));
  Buffer<std::uint8_t> src(behind), dst(wanted.size());
  plan.run(src.data() + off, dst.data(), 0, context_of(Device::cuda));
  EXPECT_TRUE(hostile::same_bits(wanted, dst.values())) << pass_of(layer) << ' ' << layer.problem.str();
}

void expect_all_stores_equal(const ConvGeometry& geometry, bool depthwise, std::uint64_t seed) {
  for (const IntConvProblem& problem : hostile::with_stores(geometry))
    expect_equal(hostile::make_int_layer(problem, depthwise, seed++));
}

/// n, h, w, c, k, r, s, strides, paddings.
const ConvGeometry kConvolutions[] = {
    {1, 1, 1, 1, 1, 1, 1, 1, 1, 0, 0},   {2, 5, 4, 3, 5, 3, 3, 1, 1, 1, 1},    {1, 9, 9, 3, 8, 3, 3, 2, 2, 1, 1},
    {1, 8, 9, 16, 70, 1, 1, 1, 1, 0, 0}, {3, 1, 1, 100, 10, 1, 1, 1, 1, 0, 0}, {1, 4, 4, 20, 12, 3, 2, 1, 2, 2, 1},
    {2, 3, 3, 32, 64, 3, 3, 1, 1, 1, 1}, {1, 2, 2, 5, 3, 2, 2, 1, 1, 2, 2},    {1, 6, 6, 80, 4, 1, 1, 2, 2, 0, 0}};
TEST_F(GpuIntConv, ConvolutionsAreTheReferences) {
  std::uint64_t seed = 1;
  for (const ConvGeometry& g : kConvolutions) expect_all_stores_equal(g, false, seed += 100);
}

const ConvGeometry kDepthwise[] = {{1, 1, 1, 1, 1, 1, 1, 1, 1, 0, 0},  {2, 5, 4, 3, 3, 3, 3, 1, 1, 1, 1},
                                   {1, 7, 6, 8, 8, 3, 3, 2, 2, 1, 1},  {1, 6, 7, 33, 33, 5, 5, 1, 1, 2, 2},
                                   {2, 3, 3, 4, 4, 2, 7, 1, 2, 2, 4},  {1, 9, 1, 12, 12, 4, 1, 3, 1, 1, 0},
                                   {1, 2, 2, 32, 32, 2, 2, 1, 1, 2, 2}};
TEST_F(GpuIntConv, DepthwiseConvolutionsAreTheReferences) {
  std::uint64_t seed = 1000;
  for (const ConvGeometry& g : kDepthwise) expect_all_stores_equal(g, true, seed += 100);
}

TEST_F(GpuIntConv, ManyPixelsShareWeights) {
  // Enough outputs for runs of them, the last of a line a short one.
  const ConvGeometry g{1, 30, 29, 2432, 2432, 3, 2, 1, 1, 1, 1};
  const IntStore store{DType::u8, QuantRule::onnx, 3, 0, 255, Activation::none};
  expect_equal(hostile::make_int_layer({g, DType::u8, 7, store}, true, 7));
  // Too few for runs, enough for whole blocks.
  expect_equal(hostile::make_int_layer({{1, 16, 17, 516, 516, 3, 3, 1, 1, 1, 1}, DType::u8, 7, store}, true, 7));
}

TEST(GpuDepthSplit, CoversTheDepthAndFillsADevice) {
  for (std::int64_t tiles : {1, 2, 7, 16, 64, 66, 67, 132, 100'000})
    for (int steps : {1, 7, 8, 9, 16, 17, 100, 1 << 24}) {
      SCOPED_TRACE(testing::Message() << tiles << " tiles, " << steps << " steps");
      const DepthSplit split = depth_split(tiles, steps);
      ASSERT_GE(split.chunks, 1);
      ASSERT_GE(std::int64_t{split.chunks} * split.steps, steps);
      ASSERT_LT(std::int64_t{split.chunks - 1} * split.steps, steps) << "an empty chunk";
      ASSERT_LE(split.chunks * tiles, std::max<std::int64_t>(tiles, 264)) << "little scratch memory";
      ASSERT_TRUE(split.chunks == 1 || split.steps >= 2);
    }
  EXPECT_EQ(depth_split(16, 16), (DepthSplit{8, 2}));  // 1x1 map, 1024 channels to as many, one picture
  EXPECT_EQ(depth_split(64, 16), (DepthSplit{4, 4}));  // of 256 pictures
  EXPECT_EQ(depth_split(256, 16).chunks, 1);
  EXPECT_EQ(depth_split(4, 4).chunks, 1);
}

/// Few tiles, deep: chunks of the depth, the last a short one, tails of pixels and filters.
const ConvGeometry kDeep[] = {{1, 1, 1, 1024, 64, 1, 1, 1, 1, 0, 0},  {2, 1, 1, 1030, 70, 1, 1, 1, 1, 0, 0},
                              {1, 2, 2, 515, 10, 1, 1, 1, 1, 0, 0},   {1, 3, 3, 96, 5, 3, 3, 1, 1, 1, 1},
                              {67, 1, 1, 528, 129, 1, 1, 1, 1, 0, 0}, {1, 2, 3, 60, 33, 3, 3, 2, 1, 1, 1}};
TEST_F(GpuIntConv, DeepConvolutionsOfSmallMaps) {
  std::uint64_t seed = 2000;
  for (const ConvGeometry& g : kDeep) {
    const std::int64_t tiles = (g.out_pixels() + 63) / 64 * ((g.k + 63) / 64), words = g.r * g.s * ((g.c + 3) / 4);
    ASSERT_GT(depth_split(tiles, static_cast<int>((words + 15) / 16)).chunks, 1) << g.str();
    expect_all_stores_equal(g, false, seed += 100);
  }
}

TEST_F(GpuIntConv, LargestCodesAndWeights) {
  const IntStore store{DType::f32, QuantRule::onnx, 0, 0, 0, Activation::none};
  for (const Codes codes : {Codes::largest, Codes::alternating, Codes::border})
    for (const DType type : {DType::u8, DType::s8})
      for (const std::int32_t z : {0, 127}) {
        expect_equal(hostile::make_int_layer({{1, 4, 4, 48, 6, 3, 3, 1, 1, 1, 1}, type, z, store}, false, 8, codes));
        expect_equal(hostile::make_int_layer({{1, 1, 1, 2048, 6, 1, 1, 1, 1, 0, 0}, type, z, store}, false, 8, codes));
        expect_equal(hostile::make_int_layer({{1, 4, 4, 12, 12, 3, 3, 1, 1, 1, 1}, type, z, store}, true, 9, codes));
      }
}

TEST_F(GpuIntConv, PlacesOffTheWordAreRead) {
  const IntStore store{DType::u8, QuantRule::onnx, 3, 0, 255, Activation::none};
  for (const std::size_t off : {1u, 4u}) {
    expect_equal(hostile::make_int_layer({{1, 4, 4, 32, 6, 3, 3, 1, 1, 1, 1}, DType::u8, 5, store}, false, 10), off);
    expect_equal(hostile::make_int_layer({{1, 1, 1, 1024, 8, 1, 1, 1, 1, 0, 0}, DType::u8, 5, store}, false, 13), off);
    expect_equal(hostile::make_int_layer({{1, 4, 4, 12, 12, 3, 3, 1, 1, 1, 1}, DType::u8, 5, store}, true, 11), off);
  }
}

TEST_F(GpuIntConv, PlansKnowTheirDevice) {
  const IntStore store{DType::u8, QuantRule::onnx, 3, 0, 255, Activation::none};
  const IntLayer layer = hostile::make_int_layer({{1, 4, 4, 12, 12, 3, 3, 1, 1, 1, 1}, DType::u8, 5, store}, true, 12);
  const IntLayer full = hostile::make_int_layer({{1, 4, 4, 8, 12, 3, 3, 1, 1, 1, 1}, DType::u8, 5, store}, false, 12);
  const IntConvPlan plans[] = {plan_dwconv2d_int8(layer.problem, layer.weights(), Device::cuda),
                               plan_conv2d_int8(full.problem, full.weights(), Device::cuda)};
  for (const IntConvPlan& plan : plans) EXPECT_THROW(plan.run(layer.src.data(), nullptr), Error);
  const IntConvPlan host = plan_dwconv2d_int8(layer.problem, layer.weights());
  EXPECT_THROW(host.run(nullptr, nullptr, 0, context_of(Device::cuda)), Error);
  // More pictures than the plan was made for.
  Buffer<std::uint8_t> two(std::vector<std::uint8_t>(2 * layer.src.size(), 9)),
      dst(2 * static_cast<std::size_t>(layer.outputs()));
  plans[0].run(two, dst, 2, context_of(Device::cuda));
  const std::vector<std::uint8_t> got = dst.values();
  EXPECT_TRUE(std::equal(got.begin(), got.begin() + static_cast<std::ptrdiff_t>(got.size() / 2),
                         got.begin() + static_cast<std::ptrdiff_t>(got.size() / 2)));
}

}  // namespace
}  // namespace octet::kernels
