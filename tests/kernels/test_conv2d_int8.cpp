#include "core/error.h"
#include "kernels/conv2d_int8/fused_onednn.h"
#include "kernels/conv2d_int8/sorted_groups.h"
#include "tests/kernels/int_layers.h"

namespace octet::kernels {
namespace {

using hostile::Codes;
using hostile::IntLayer;

constexpr const char* kPass = "conv2d_int8_fwd";

void expect_equal(const IntConvProblem& problem, std::uint64_t seed, Codes codes = Codes::random) {
  hostile::expect_rows_equal(conv2d_int8_rows(), kPass, hostile::make_int_layer(problem, false, seed, codes));
}

ConvGeometry geometry(std::int64_t n, std::int64_t h, std::int64_t w, std::int64_t c, std::int64_t k, std::int64_t r,
                      std::int64_t s, std::int64_t stride, std::int64_t pad) {
  return {n, h, w, c, k, r, s, stride, stride, pad, pad};
}

TEST(Conv2dInt8, ReferenceIsTheFormula) {
  for (const ConvGeometry& g : {geometry(2, 5, 4, 3, 4, 3, 3, 2, 1), geometry(3, 1, 1, 9, 5, 1, 1, 1, 0)}) {
    for (const IntConvProblem& problem : hostile::with_stores(g))
      hostile::expect_reference_true(conv2d_int8_rows(), kPass, hostile::make_int_layer(problem, false, 11));
  }
}

TEST(Conv2dInt8, RowsAgreeOnEveryTail) {
  const std::int64_t tails[] = {1, 3, 4, 5, 15, 16, 17, 31, 32, 33, 63, 64, 65};
  std::uint64_t seed = 100;
  for (std::int64_t c : tails) {
    for (std::int64_t k : tails) {
      const IntConvProblem u8{geometry(1, 3, 5, c, k, 1, 1, 1, 0), DType::u8, 0, {}};
      expect_equal(u8, seed++);
      const IntStore s8{DType::s8, QuantRule::onnx, 1, -128, 127, Activation::none};
      expect_equal({geometry(1, 3, 5, c, k, 1, 1, 1, 0), DType::s8, 4, s8}, seed++);
    }
  }
}

TEST(Conv2dInt8, RowsAgreeOnEveryNumberOfPixels) {
  std::uint64_t seed = 500;
  for (std::int64_t pixels = 1; pixels <= 34; ++pixels)
    expect_equal({geometry(1, 1, pixels, 20, 34, 1, 1, 1, 0), DType::u8, 9, {}}, seed++);
}

TEST(Conv2dInt8, RowsAgreeOnEveryStoreAndShape) {
  std::uint64_t seed = 900;
  for (const ConvGeometry& g : {geometry(2, 7, 9, 5, 33, 3, 3, 1, 1), geometry(2, 8, 8, 3, 32, 3, 3, 2, 1),
                                geometry(3, 2, 2, 17, 9, 3, 3, 1, 1), geometry(2, 1, 1, 12, 10, 3, 3, 1, 1),
                                geometry(1, 6, 5, 8, 16, 1, 1, 2, 0), geometry(1, 5, 7, 3, 4, 5, 2, 1, 2),
                                geometry(5, 1, 1, 70, 13, 1, 1, 1, 0)}) {
    for (const IntConvProblem& problem : hostile::with_stores(g)) expect_equal(problem, seed++);
  }
}

TEST(Conv2dInt8, RowsAgreeWhereStridesAndPaddingDiffer) {
  for (const ConvGeometry& g :
       {ConvGeometry{2, 9, 6, 3, 7, 3, 5, 2, 1, 0, 3}, ConvGeometry{1, 4, 12, 6, 5, 2, 4, 3, 4, 2, 1},
        ConvGeometry{1, 3, 3, 2, 3, 1, 1, 1, 1, 1, 2}})
    for (std::int32_t z : {0, 200}) expect_equal({g, DType::u8, z, {}}, 77);
}

TEST(Conv2dInt8, ExtremeCodesDoNotSaturate) {
  for (const ConvGeometry& g : {geometry(1, 2, 8, 256, 33, 1, 1, 1, 0), geometry(1, 3, 3, 32, 16, 3, 3, 1, 1)}) {
    for (const IntConvProblem& problem : hostile::with_stores(g)) {
      expect_equal(problem, 5, Codes::largest);
      expect_equal(problem, 6, Codes::alternating);
    }
  }
}

TEST(Conv2dInt8, PairsThatJustFitS16Agree) {
  std::uint64_t seed = 60;
  for (std::int64_t c : {4, 8, 33, 64, 130}) {
    for (std::int64_t k : {1, 7, 16, 40}) {
      for (const IntConvProblem& problem : hostile::with_stores(geometry(1, 3, 5, c, k, 1, 1, 1, 0))) {
        expect_equal(problem, seed++, Codes::border);
        expect_equal(problem, seed++, Codes::narrow);
      }
    }
  }
  expect_equal({geometry(2, 6, 6, 12, 20, 3, 3, 1, 1), DType::u8, 7, {}}, seed, Codes::narrow);
}

TEST(Conv2dInt8, NarrowWeightsHaveFewPairsThatPassS16) {
  const ConvGeometry g =
      geometry(1, 1, 1, 9, 17, 1, 1, 1, 0);  // two panels of two whole groups; the ninth product is left out
  std::vector<std::int8_t> weight(9 * 17, 64);
  EXPECT_TRUE(narrow_weights(g, weight.data()));
  weight[8] = -127;
  weight[9 * 3 + 4] = -65;  // filter 3, group 1: one of four groups
  weight[9 * 5 + 6] = 66;   // the same group of another filter
  EXPECT_TRUE(narrow_weights(g, weight.data()));
  weight[9 * 16 + 1] = 65;  // filter 16 is the second panel's
  EXPECT_FALSE(narrow_weights(g, weight.data()));
}

TEST(Conv2dInt8, PlansOfNarrowWeightsAddPairs) {
  if (usable_isa() != Isa::avx2) GTEST_SKIP() << "other rows come first here";
  IntLayer layer = hostile::make_int_layer({geometry(1, 4, 4, 16, 16, 1, 1, 1, 0), DType::u8, 0, {}}, false, 4);
  EXPECT_STREQ(plan_conv2d_int8(layer.problem, layer.weights()).impl(), "avx2");
  for (std::int8_t& w : layer.weight) w /= 2;
  EXPECT_STREQ(plan_conv2d_int8(layer.problem, layer.weights()).impl(), "avx2pairs");
}

TEST(Conv2dInt8, DeepSumsAgree) {
  const IntStore logits{DType::f32, QuantRule::onnx, 0, 0, 0, Activation::none};
  expect_equal({geometry(1, 3, 3, 512, 34, 3, 3, 1, 1), DType::u8, 3, logits}, 8, Codes::largest);
  expect_equal({geometry(17, 1, 1, 4608, 40, 1, 1, 1, 0), DType::s8, 0, logits}, 9, Codes::alternating);
  expect_equal({geometry(1, 4, 4, 512, 5, 3, 3, 2, 1), DType::u8, 0, {}}, 10);
}

TEST(Conv2dInt8, ManyTasksAgree) {
  expect_equal({geometry(9, 16, 16, 32, 64, 1, 1, 1, 0), DType::u8, 0, {}}, 21);
  expect_equal({geometry(3, 17, 16, 3, 32, 3, 3, 1, 1), DType::u8, 128, {}}, 22);
}

TEST(Conv2dInt8, WindowsAgreeHoweverTheirLinesAreCut) {
  std::uint64_t seed = 300;
  for (const ConvGeometry& g : {
           geometry(3, 40, 40, 3, 9, 3, 3, 1, 1),     // a picture in several blocks, the last shorter
           geometry(70, 4, 4, 5, 33, 3, 3, 1, 1),     // many pictures to a block
           geometry(2, 9, 700, 64, 3, 3, 3, 2, 1),    // lines of which few fit
           geometry(1, 5, 140000, 1, 2, 3, 3, 1, 1),  // one line is more than a block should be
           geometry(2, 1, 1, 6, 5, 3, 3, 1, 5),       // windows that lie in the padding
       })
    for (DType src : {DType::u8, DType::s8}) expect_equal({g, src, src == DType::u8 ? 131 : -7, {}}, seed++);
}

TEST(Conv2dInt8, AbsentBiasesAddNothing) {
  const IntStore floats{DType::f32, QuantRule::onnx, 0, 0, 0, Activation::none};
  IntLayer layer = hostile::make_int_layer({geometry(1, 1, 3, 4, 3, 1, 1, 1, 0), DType::u8, 0, floats}, false, 3);
  layer.src.assign(layer.src.size(), 0);
  layer.multiplier = {1.0f, -1.0f, 2.0f};
  for (const IntConvRow& row : conv2d_int8_rows()) {
    if (!hostile::runnable(row) || !same_text(row.dtypes, "u8s8")) continue;
    std::vector<float> dst(9);
    const IntConvWeights weights{layer.weight.data(), nullptr, layer.multiplier.data(), nullptr};
    IntConvPlan(row, layer.problem, weights).run(layer.src.data(), dst.data());
    EXPECT_TRUE(hostile::same_bits(std::vector<float>{0, -0.0f, 0, 0, -0.0f, 0, 0, -0.0f, 0}, dst)) << row.impl;
  }
}

TEST(Conv2dInt8, PlanServesOtherBatchesFromManyThreads) {
  const IntLayer layer = hostile::make_int_layer({geometry(6, 3, 3, 8, 20, 3, 3, 1, 1), DType::u8, 2, {}}, false, 4);
  const IntConvPlan plan = plan_conv2d_int8(layer.problem, layer.weights());
  std::vector<std::uint8_t> whole(static_cast<std::size_t>(layer.outputs())), parts(whole.size());
  plan.run(layer.src.data(), whole.data());
  parallel_for(6, [&](std::int64_t n) { plan.run(layer.src.data() + n * 72, parts.data() + n * 180, 1); });
  EXPECT_EQ(whole, parts);
}

TEST(Conv2dInt8, VendorRowsAgreeWhereTheyAccept) {
  if (!usable(Isa::avx2)) GTEST_SKIP() << "vendor rows need AVX2";
  const auto vendor = conv2d_int8_vendor_rows();
  if (vendor.empty()) GTEST_SKIP() << "no vendor row";
  const IntStore logits{DType::f32, QuantRule::onnx, 0, 0, 0, Activation::none};
  int accepted = 0;
  for (DType src : {DType::u8, DType::s8}) {
    for (const ConvGeometry& g : {geometry(2, 4, 4, 33, 17, 1, 1, 1, 0), geometry(2, 8, 8, 3, 32, 3, 3, 2, 1),
                                  geometry(3, 1, 1, 1024, 10, 1, 1, 1, 0), geometry(1, 4, 4, 512, 16, 3, 3, 1, 1)}) {
      for (std::int32_t z : {0, 5}) {
        for (const IntStore& store : {IntStore{}, logits}) {
          const IntConvProblem problem{g, src, z, store};
          for (Codes codes : {Codes::random, Codes::largest, Codes::paired})
            accepted += hostile::expect_vendor_rows_equal(conv2d_int8_rows(), vendor, kPass,
                                                          hostile::make_int_layer(problem, false, 31, codes));
        }
      }
    }
  }
  EXPECT_GT(accepted, 0);
}

TEST(Conv2dInt8, VendorRowsRefuseWeightsThatSaturate) {
  if (!usable(Isa::avx2)) GTEST_SKIP() << "vendor rows need AVX2";
  if (detected_isa() >= Isa::avx512vnni) GTEST_SKIP() << "nothing saturates here";
  IntConvProblem problem{geometry(1, 4, 4, 32, 32, 1, 1, 1, 0), DType::u8, 0, {}};
  for (const IntConvRow& row : conv2d_int8_vendor_rows()) {
    problem.src = same_text(row.dtypes, "s8s8") ? DType::s8 : DType::u8;
    problem.largest_weight = 65;
    EXPECT_NE(row.why_not(problem), nullptr) << row.dtypes;
    problem.largest_weight = 64;
    EXPECT_EQ(row.why_not(problem) == nullptr, problem.src == DType::u8) << row.dtypes;
  }
}

#if OCTET_WITH_ONEDNN
TEST(Conv2dInt8, FusedVendorPrimitiveIsWithinACode) {
  if (!usable(Isa::avx2)) GTEST_SKIP() << "vendor rows need AVX2";
  const IntStore logits{DType::f32, QuantRule::onnx, 0, 0, 0, Activation::none};
  for (const IntStore& store : {IntStore{}, logits}) {
    for (const ConvGeometry& g : {geometry(2, 4, 4, 33, 17, 1, 1, 1, 0), geometry(2, 8, 8, 3, 32, 3, 3, 2, 1)}) {
      IntLayer layer = hostile::make_int_layer({g, DType::u8, g.pad_h > 0 ? 0 : 5, store}, false, 31, Codes::paired);
      for (float& bias : layer.bias_f32) bias = 0;
      for (float& multiplier : layer.multiplier) multiplier = 0.001f;
      for (std::int32_t& bias : layer.bias) bias %= 1 << 20;
      ASSERT_EQ(onednn::FusedIntConv::why_not(layer.problem, false), nullptr);
      std::vector<std::uint8_t> got(static_cast<std::size_t>(layer.outputs()) * (store.dst == DType::f32 ? 4 : 1));
      onednn::FusedIntConv(layer.problem, false, layer.weights()).run(layer.src.data(), got.data());
      const auto wanted = hostile::run_int_layer(hostile::reference_row(conv2d_int8_rows(), kPass, "u8s8"), layer);
      for (std::int64_t i = 0; i < layer.outputs(); ++i) {
        const auto at = static_cast<std::size_t>(i);
        float a = got[at], b = wanted[at], near = 1;
        if (store.dst == DType::f32) {
          std::memcpy(&a, got.data() + 4 * i, 4), std::memcpy(&b, wanted.data() + 4 * i, 4);
          near = 1e-5f * std::max(1.0f, std::abs(b));
        }
        ASSERT_NEAR(a, b, near) << i << " of " << layer.problem.str();
      }
    }
  }
  IntConvProblem problem{geometry(1, 4, 4, 8, 8, 3, 3, 1, 1), DType::u8, 3, {}};
  problem.largest_weight = 64;
  EXPECT_NE(onednn::FusedIntConv::why_not(problem, false), nullptr) << "padding with a zero point";
  problem.z_x = 0, problem.store.hi = 90;
  EXPECT_NE(onednn::FusedIntConv::why_not(problem, false), nullptr) << "a bound below the dtype's";
}
#endif

TEST(Conv2dInt8, PlanRefusesWhatMakesNoSense) {
  const IntLayer good = hostile::make_int_layer({geometry(1, 3, 3, 4, 5, 3, 3, 1, 1), DType::u8, 0, {}}, false, 4);
  EXPECT_NO_THROW(plan_conv2d_int8(good.problem, good.weights()));
  const auto refuses = [&](auto change) {
    IntConvProblem problem = good.problem;
    IntConvWeights weights = good.weights();
    change(problem, weights);
    EXPECT_THROW(plan_conv2d_int8(problem, weights), Error);
  };
  refuses([](IntConvProblem& p, IntConvWeights&) { p.geometry.n = 0; });
  refuses([](IntConvProblem& p, IntConvWeights&) { p.geometry.stride_w = 0; });
  refuses([](IntConvProblem& p, IntConvWeights&) { p.geometry.pad_h = -1; });
  refuses([](IntConvProblem& p, IntConvWeights&) { p.geometry.r = 6; });
  refuses([](IntConvProblem& p, IntConvWeights&) { p.geometry.c = std::int64_t{1} << 60; });
  refuses([](IntConvProblem& p, IntConvWeights&) { p.src = DType::f32; });
  refuses([](IntConvProblem& p, IntConvWeights&) { p.z_x = 256; });
  refuses([](IntConvProblem& p, IntConvWeights&) { p.store.dst = DType::s32; });
  refuses([](IntConvProblem& p, IntConvWeights&) { p.store.lo = 3, p.store.hi = 2; });
  refuses([](IntConvProblem& p, IntConvWeights&) { p.store.hi = 256; });
  refuses([](IntConvProblem& p, IntConvWeights&) { p.store.rule = QuantRule::paddle, p.store.z = 1; });
  refuses([](IntConvProblem&, IntConvWeights& w) { w.weight = nullptr; });
  refuses([](IntConvProblem&, IntConvWeights& w) { w.multiplier = nullptr; });
  const std::vector<float> infinite(5, INFINITY);
  refuses([&](IntConvProblem&, IntConvWeights& w) { w.multiplier = infinite.data(); });
  refuses([&](IntConvProblem&, IntConvWeights& w) { w.bias_f32 = infinite.data(); });
  EXPECT_THROW(IntConvPlan().run(good.src.data(), nullptr), Error);
}

}  // namespace
}  // namespace octet::kernels
