#include "quant/analysis/sensitivity.h"

#include <gtest/gtest.h>

#include "data/dataset.h"
#include "nn/models.h"
#include "quant/calibration/ptq.h"
#include "quant/prepare.h"
#include "quant/quantizers/quantizer_switches.h"
#include "tests/support/expect_error.h"

namespace octet::quant {
namespace {

class SensitivityOfResNet : public testing::Test {
 protected:
  std::shared_ptr<nn::Module> net = nn::small_resnet({});
  data::Split split = data::load("synthetic", {64, 96});
  double loss() {
    return optim::evaluate([&](const Tensor& x) { return (*net)(Variable(x)).value(); }, split.test, 48).loss();
  }
  void calibrated(int weight_bits, std::vector<LayerBits> others) {
    QuantConfig config;
    config.weight_bits = weight_bits, config.activation_bits = 8, config.layer_bits = std::move(others);
    prepare(*net, {1, 32, 32, 3}, config);
    calibrate(*net, split.train, {.pictures = 64});
    net->eval();
  }
};

TEST_F(SensitivityOfResNet, FindsTheOneCoarseLayer) {
  calibrated(8, {{"features.2.first.conv", 2, 0}});
  const double before = loss();
  std::int64_t told = 0;
  const Sensitivity s = sensitivity(*net, split.test, 48, [&](std::int64_t done, std::int64_t total) {
    EXPECT_EQ(done, ++told);
    EXPECT_EQ(total, static_cast<std::int64_t>(2 + 2 * quantized_layers(*net, "test").size()));
  });
  EXPECT_EQ(told, static_cast<std::int64_t>(2 + 2 * s.layers.size()));
  EXPECT_EQ(loss(), before) << "the quantizers are as they were";
  EXPECT_EQ(s.quantized.loss(), before);
  const LayerSensitivity *worst_alone = &s.layers[0], *best_without = &s.layers[0];
  for (const LayerSensitivity& layer : s.layers) {
    if (std::abs(layer.alone.loss() - s.floats.loss()) > std::abs(worst_alone->alone.loss() - s.floats.loss()))
      worst_alone = &layer;
    if (std::abs(layer.all_but.loss() - s.floats.loss()) < std::abs(best_without->all_but.loss() - s.floats.loss()))
      best_without = &layer;
  }
  EXPECT_EQ(worst_alone->layer, "features.2.first.conv");
  EXPECT_EQ(best_without->layer, "features.2.first.conv");
}

TEST_F(SensitivityOfResNet, FloatsAreTheNetBeforeQuantization) {
  net->eval();
  const double floats = loss();
  calibrated(3, {});
  EXPECT_EQ(sensitivity(*net, split.test, 48).floats.loss(), floats);
}

TEST_F(SensitivityOfResNet, RefusesWhatIsNotReady) {
  EXPECT_ERROR(sensitivity(*net, split.test, 48), "[sensitivity] the model has no quantizers ---> HINT");
  prepare(*net, {1, 32, 32, 3}, {});
  EXPECT_ERROR(sensitivity(*net, split.test, 48), "has seen no data ---> HINT fine-tune or calibrate");
}

}  // namespace
}  // namespace octet::quant
