#include "quant/analysis/analysis.h"

#include <gtest/gtest.h>

#include <cmath>
#include <limits>

#include "data/dataset.h"
#include "data/transform.h"
#include "nn/models.h"
#include "quant/analysis/grid_use.h"
#include "quant/calibration/ptq.h"
#include "quant/deployment/simulator.h"
#include "quant/prepare.h"
#include "quant/quantizers/fake_quantizer.h"
#include "random_net.h"
#include "tests/support/expect_error.h"

namespace octet::quant {
namespace {

constexpr double kInfinity = std::numeric_limits<double>::infinity();

TEST(GridUse, CountsAgainstAGridByHand) {
  QuantParams grid;
  grid.scale = {0.5f}, grid.lo = -2, grid.hi = 1;  // values -1, -0.5, 0, 0.5
  const Tensor values = Tensor::from(Shape{8}, std::vector<float>{0, 0.1f, -0.5f, 0.5f, 0.7f, 0.8f, -2, 0.24f});
  const GridUse use = use_of_grid(values, grid);
  EXPECT_EQ(use.values, 8);
  EXPECT_EQ(use.codes, 4);
  EXPECT_EQ(use.unused, 0) << "-2 is clipped to code -2";
  EXPECT_DOUBLE_EQ(use.clipped, 2.0 / 8) << "0.8 and -2; 0.7 rounds to code 1, which is there";
  EXPECT_DOUBLE_EQ(use.zeros, 3.0 / 8);
  double signal = 0, noise = 0;
  for (const float x : values.span<float>()) {
    const double apart = static_cast<double>(x) - static_cast<double>(grid.dequantize(grid.quantize(x)));
    signal += static_cast<double>(x) * static_cast<double>(x), noise += apart * apart;
  }
  EXPECT_DOUBLE_EQ(use.sqnr_db, 10 * std::log10(signal / noise));
  double counted = 0;
  for (const double count : use.histogram) counted += count;
  EXPECT_EQ(counted, 8);
  // -0.5 is code -1: the bin that begins there.
  EXPECT_GE(use.histogram[static_cast<std::size_t>((-1 - use.first_bin) / use.bin_width)], 1);
}

TEST(GridUse, WantsValues) {
  QuantParams grid;
  grid.scale = {1}, grid.lo = -1, grid.hi = 1;
  EXPECT_ERROR(use_of_grid(Tensor::zeros({0}), grid), "has no f32 values");
}

TEST(GridUse, ChannelsHaveStepsOfTheirOwn) {
  QuantParams grid;
  grid.scale = {1, 0.01f}, grid.axis = 0, grid.lo = -1, grid.hi = 1;
  const GridUse use = use_of_grid(Tensor::from(Shape{2, 2}, std::vector<float>{1, -1, 0.01f, 0.01f}), grid);
  EXPECT_EQ(use.sqnr_db, kInfinity);
  EXPECT_EQ(use.unused, 1) << "code 0";
  EXPECT_EQ(use.clipped, 0);
}

TEST(GridUse, RefusesWhatIsNotFinite) {
  QuantParams grid;
  grid.scale = {1};
  EXPECT_ERROR(use_of_grid(Tensor::from(Shape{1}, std::vector<float>{NAN}), grid), "value 0 is nan");
}

TEST(Sqnr, IsSixDecibelABitForUniformValues) {
  Tensor values(Shape{20000});
  for (std::int64_t i = 0; i < values.numel(); ++i) values.data<float>()[i] = static_cast<float>(i) / 10000 - 1;
  double before = 0;
  for (int bits = 3; bits <= 8; ++bits) {
    QuantParams grid = Grid{.bits = bits, .narrow = true}.bounds();
    grid.scale = {1.0f / static_cast<float>(grid.hi)};
    const double db = use_of_grid(values, grid).sqnr_db;
    // Σx²/Σe² = (1/3) / (step²/12) = 4·hi² for values that are uniform on [−1, 1].
    EXPECT_NEAR(db, 10 * std::log10(4.0 * grid.hi * grid.hi), 0.1) << bits;
    EXPECT_GT(db, before + 5.5);
    before = db;
  }
  EXPECT_EQ(sqnr_db(values, values), kInfinity);
  EXPECT_EQ(sqnr_db(Tensor::zeros({3}), Tensor::full({3}, 1)), -kInfinity);
}

class AnalysisOfMobileNet : public testing::Test {
 protected:
  std::shared_ptr<nn::Module> net = nn::mobilenet_v1({.scale = 0.25});
  QuantConfig config;
  data::Split split = data::load("synthetic", {64, 16});
  Tensor pictures = data::normalise(split.test.pictures);
  Analysis analysed() {
    prepare(*net, {1, 32, 32, 3}, config);
    calibrate(*net, split.train, {.pictures = 64});
    return analyse(*net, {1, 32, 32, 3}, config, pictures);
  }
  static const LayerAnalysis& of(const Analysis& all, const std::string& name) {
    for (const LayerAnalysis& layer : all.layers)
      if (layer.layer == name) return layer;
    fail("test", "no layer " + name);
  }
};

TEST_F(AnalysisOfMobileNet, GoesThroughTheNetInOrder) {
  const Analysis all = analysed();
  ASSERT_GE(all.layers.size(), 30u);  // the picture, 28 layers, the pool
  EXPECT_EQ(all.layers[0].op, "quantize");
  EXPECT_EQ(all.layers[1].layer, "conv1.conv");
  EXPECT_EQ(all.layers.back().layer, "fc");
  EXPECT_FALSE(all.layers.back().value.has_value()) << "logits are floats";
  EXPECT_TRUE(all.layers.back().weight.has_value());
  for (const LayerAnalysis& layer : all.layers) {
    EXPECT_GT(layer.error_db, 0) << layer.layer;
    if (!layer.weight) continue;
    EXPECT_GT(layer.weight->sqnr_db, 30) << layer.layer << ": eight bits, per channel";
    EXPECT_EQ(layer.weight->clipped, 0) << layer.layer;
  }
  // What enters is exact but for its own rounding; errors add up on the way.
  EXPECT_GT(all.layers[1].error_db, all.layers.back().error_db);
}

TEST_F(AnalysisOfMobileNet, TheValuesAreThoseOfTheSimulator) {
  const Analysis all = analysed();
  NamedTensors values;
  Simulator(*net, {1, 32, 32, 3}, config).run(pictures, &values);
  int agreeing = 0, seen = 0;
  for (const auto& [name, codes] : values)
    for (const LayerAnalysis& layer : all.layers) {
      if (layer.layer != name || !layer.value) continue;
      std::int64_t zeros = 0;
      for (std::int64_t i = 0; i < codes.numel(); ++i) zeros += codes.at(i) == layer.value->grid.zero_point;
      const double share = static_cast<double>(zeros) / static_cast<double>(codes.numel());
      ++seen, agreeing += std::fabs(share - layer.value->zeros) < 1e-3;
    }
  EXPECT_GE(seen, 29);
  EXPECT_EQ(agreeing, seen);
}

TEST_F(AnalysisOfMobileNet, LeavesTheNetAsItWas) {
  analysed();
  const NoGrad no_grad;
  const Tensor before = (*net)(Variable(pictures)).value();
  analyse(*net, {1, 32, 32, 3}, config, pictures);
  const Tensor after = (*net)(Variable(pictures)).value();
  for (std::int64_t i = 0; i < before.numel(); ++i) ASSERT_EQ(before.at(i), after.at(i));
}

TEST_F(AnalysisOfMobileNet, WarnsOfWhatIsWrong) {
  config.weight_preprocess_type = Preprocess::pact;  // starts where it clips nothing
  test::prepare_and_show({net, {16, 32, 32, 3}}, config, 7);
  for (const auto& [name, module] : net->named_modules())
    if (auto* conv = dynamic_cast<nn::Conv2d*>(module); conv != nullptr && name == "blocks.5.pw.conv")
      std::fill_n(conv->weight.value().data<float>(), conv->weight.value().numel() / conv->weight.shape()[0], 0.0f);
  std::string text;
  for (const std::string& warning : analyse(*net, {1, 32, 32, 3}, config, pictures).warnings) text += warning + "\n";
  EXPECT_NE(text.find("blocks.5.pw.conv: 1 of"), std::string::npos) << text;
  EXPECT_NE(text.find("channels are dead (first 0)"), std::string::npos) << text;
  EXPECT_NE(text.find("only ever sees padding"), std::string::npos) << "maps of 1x1 before 3x3 windows\n" << text;
}

TEST_F(AnalysisOfMobileNet, NeedsQuantizersThatHaveSeenData) {
  prepare(*net, {1, 32, 32, 3}, config);
  EXPECT_ERROR(analyse(*net, {1, 32, 32, 3}, config, pictures), "has seen no data");
}

}  // namespace
}  // namespace octet::quant
