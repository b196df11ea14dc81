#include <array>

#include "core/error.h"
#include "tests/kernels/int_layers.h"
#include "tests/kernels/windows.h"

namespace octet::kernels {
namespace {

using hostile::Codes;
using hostile::windowed;

constexpr const char* kPass = "dwconv2d_int8_fwd";

void expect_equal(const IntConvProblem& problem, std::uint64_t seed, Codes codes = Codes::random) {
  hostile::expect_rows_equal(dwconv2d_int8_rows(), kPass, hostile::make_int_layer(problem, true, seed, codes));
}

TEST(DwConv2dInt8, ReferenceIsTheFormula) {
  for (const ConvGeometry& g : {windowed(2, 5, 4, 3, 3, 3, 2, 1), windowed(1, 3, 6, 5, 2, 4, 1, 0)}) {
    for (const IntConvProblem& problem : hostile::with_stores(g))
      hostile::expect_reference_true(dwconv2d_int8_rows(), kPass, hostile::make_int_layer(problem, true, 12));
  }
}

TEST(DwConv2dInt8, RowsAgreeOnEveryTailAndStore) {
  std::uint64_t seed = 100;
  for (std::int64_t c : {1, 3, 4, 5, 15, 16, 17, 31, 32, 33, 63, 64, 65, 100, 128, 130}) {
    for (const IntConvProblem& problem : hostile::with_stores(windowed(1, 4, 3, c, 3, 3, 1, 1)))
      expect_equal(problem, seed++);
  }
}

TEST(DwConv2dInt8, RowsAgreeOnEveryShape) {
  std::uint64_t seed = 400;
  for (const ConvGeometry& g :
       {windowed(2, 1, 1, 40, 3, 3, 1, 1), windowed(3, 2, 2, 70, 3, 3, 1, 1), windowed(2, 4, 4, 64, 3, 3, 2, 1),
        windowed(37, 2, 2, 520, 3, 3, 1, 1), windowed(40, 1, 1, 1030, 3, 3, 1, 1),  // several pictures to a task
        windowed(1, 7, 5, 33, 5, 5, 1, 2), windowed(1, 9, 9, 20, 5, 5, 2, 0), windowed(2, 6, 6, 18, 1, 1, 1, 0),
        windowed(1, 8, 8, 66, 7, 2, 3, 1), windowed(4, 16, 16, 32, 3, 3, 1, 1), windowed(1, 3, 3, 4, 1, 3, 1, 2),
        ConvGeometry{2, 9, 6, 7, 7, 3, 5, 2, 1, 0, 3}, ConvGeometry{1, 5, 12, 6, 6, 2, 4, 3, 4, 2, 1}}) {
    for (std::int32_t z : {0, 77}) {
      expect_equal({g, DType::u8, z, {}}, seed++);
      expect_equal({g, DType::s8, z - 50, {DType::s8, QuantRule::onnx, 0, -128, 127, Activation::none}}, seed++);
    }
  }
}

TEST(DwConv2dInt8, RowsAgreeOnSmallMaps) {
  std::uint64_t seed = 600;
  for (const std::int64_t side : {1, 2, 3, 4}) {
    for (const std::int64_t stride : {1, 2}) {
      for (const std::int64_t c : {16, 64, 81})  // whole blocks, and one channel more
        for (const IntConvProblem& problem : hostile::with_stores(windowed(3, side, side, c, 3, 3, stride, 1)))
          expect_equal(problem, seed++);
    }
  }
}

TEST(DwConv2dInt8, RowsAgreeOnTheNetworksLayers) {
  std::uint64_t seed = 700;
  for (const auto& [side, c, stride] : {std::array<std::int64_t, 3>{16, 32, 1},
                                        {16, 64, 2},
                                        {8, 128, 1},
                                        {8, 128, 2},
                                        {4, 256, 1},
                                        {4, 256, 2},
                                        {2, 512, 1},
                                        {2, 512, 2},
                                        {1, 1024, 1}}) {
    for (const std::int64_t n : {1, 17}) {
      const ConvGeometry g = windowed(n, side, side, c, 3, 3, stride, 1);
      expect_equal({g, DType::u8, 0, {}}, seed++);
      expect_equal({g, DType::u8, 128, {DType::s8, QuantRule::onnx, 4, -100, 90, Activation::none}}, seed++,
                   Codes::alternating);
      expect_equal({g, DType::s8, -7, {DType::u8, QuantRule::onnx, 0, 0, 97, Activation::none}}, seed++,
                   Codes::largest);
      expect_equal({g, DType::u8, 3, {DType::s8, QuantRule::onnx, 0, 0, 127, Activation::none}}, seed++);
    }
  }
}

TEST(DwConv2dInt8, WindowsThatSeeOnlyPadding) {
  std::uint64_t seed = 800;
  for (const std::int64_t pad : {2, 3, 5}) {
    for (const IntConvProblem& problem : hostile::with_stores(windowed(2, 2, 1, 20, 3, 3, 1, pad)))
      expect_equal(problem, seed++);
  }
}

TEST(DwConv2dInt8, ExtremeCodesDoNotSaturate) {
  for (const std::int64_t side : {1, 2, 5}) {
    for (const IntConvProblem& problem : hostile::with_stores(windowed(1, side, side, 67, 3, 3, 1, 1))) {
      expect_equal(problem, 5, Codes::largest);
      expect_equal(problem, 6, Codes::alternating);
    }
  }
}

TEST(DwConv2dInt8, PlanServesOtherBatches) {
  const hostile::IntLayer layer =
      hostile::make_int_layer({windowed(4, 3, 3, 8, 3, 3, 1, 1), DType::u8, 2, {}}, true, 4);
  const IntConvPlan plan = plan_dwconv2d_int8(layer.problem, layer.weights());
  std::vector<std::uint8_t> whole(static_cast<std::size_t>(layer.outputs())), parts(whole.size());
  plan.run(layer.src.data(), whole.data());
  for (std::int64_t n = 0; n < 4; ++n) plan.run(layer.src.data() + n * 72, parts.data() + n * 72, 1);
  EXPECT_EQ(whole, parts);
}

TEST(DwConv2dInt8, VendorRowsAgreeWhereTheyAccept) {
  if (!usable(Isa::avx2)) GTEST_SKIP() << "vendor rows need AVX2";
  const auto vendor = dwconv2d_int8_vendor_rows();
  if (vendor.empty()) GTEST_SKIP() << "no vendor row";
  int accepted = 0;
  for (const ConvGeometry& g : {windowed(2, 8, 8, 32, 3, 3, 1, 1), windowed(1, 5, 5, 19, 3, 3, 2, 1)}) {
    for (const IntConvProblem& problem : hostile::with_stores(g))
      for (hostile::Codes codes : {hostile::Codes::random, hostile::Codes::paired})
        accepted += hostile::expect_vendor_rows_equal(dwconv2d_int8_rows(), vendor, kPass,
                                                      hostile::make_int_layer(problem, true, 32, codes));
  }
  EXPECT_GT(accepted, 0);
}

TEST(DwConv2dInt8, PlanRefusesADifferentNumberOfFilters) {
  hostile::IntLayer layer = hostile::make_int_layer({windowed(1, 3, 3, 8, 3, 3, 1, 1), DType::u8, 2, {}}, true, 4);
  layer.problem.geometry.k = 4;
  EXPECT_THROW(plan_dwconv2d_int8(layer.problem, layer.weights()), Error);
}

// Constants by classes grow with the square of a window's taps.
TEST(DwConv2dInt8, LargeWindowsAgree) {
  std::uint64_t seed = 90;
  for (const auto& [h, w, r, s, pad] :
       {std::array<std::int64_t, 5>{20, 3, 15, 1, 7}, {40, 3, 31, 1, 15}, {5, 40, 1, 33, 0}, {17, 17, 17, 17, 8}})
    for (std::int64_t c : {1, 20}) {
      ConvGeometry g{2, h, w, c, c, r, s, 1, 1, r > 1 ? pad : 0, s > 1 ? (s - 1) / 2 : 0};
      hostile::expect_rows_equal(dwconv2d_int8_rows(), kPass,
                                 hostile::make_int_layer({g, DType::u8, 7, {}}, true, seed++, Codes::random), true);
    }
}

}  // namespace
}  // namespace octet::kernels
