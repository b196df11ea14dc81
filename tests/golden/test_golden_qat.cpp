// MobileNetV1 quantized under scheme paddle against PaddleSlim's QAT: what quantizers observe, logits, losses,
// gradients. A code that falls on the other side of a tie makes a jump; README.md says where such jumps are to be
// expected.
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>

#include "nn/models.h"
#include "ops/ops.h"
#include "optim/momentum.h"
#include "quant/prepare.h"
#include "quant/quantizers/fake_quantizer.h"
#include "tests/golden/golden.h"

namespace octet::test {
namespace {

const TensorFile& file() { return golden("paddle_qat_mobilenet.safetensors"); }

Tensor batch(std::int64_t i) { return normalised(file().get("pictures").slice(i, i + 1).reshape({8, 32, 32, 3})); }

/// The module that holds a stored layer's slots: "conv1" -> "conv1.conv", "fc" -> "fc".
nn::Module& layer(nn::Module& net, const std::string& name) {
  const std::string path = name == "fc" ? name : name + ".conv";
  for (auto& [at, module] : net.named_modules()) {
    if (at == path) return *module;
  }
  fail("test", "no layer " + path);
}

std::vector<std::string> layers(const std::string& prefix) {
  std::vector<std::string> names;
  for (const auto& [name, tensor] : under(file(), prefix)) names.push_back(name);
  return names;
}

class GoldenQat : public testing::TestWithParam<const char*> {
 protected:
  void SetUp() override { net_ = quantized(); }
  std::shared_ptr<nn::Module> quantized() const {
    nn::MobileNetV1Options options;
    options.scale = 0.25;
    auto net = nn::mobilenet_v1(options);
    net->load_state(start());
    quant::QuantConfig config;
    config.scheme = quant::Scheme::paddle;
    config.weight_bits = config.activation_bits = at_.ends_with("8") ? 8 : 4;
    if (at_.starts_with("am")) config.weight_quantize_type = quant::WeightQuantize::abs_max;
    quant::prepare(*net, {1, 32, 32, 3}, config);
    net->train();
    return net;
  }
  static nn::Module::NamedTensors start() { return under(golden("paddle_mobilenet.safetensors"), "init/"); }
  void restore_statistics() {
    const auto values = start();
    for (auto& [name, buffer] : net_->named_buffers()) {
      const auto found =
          std::find_if(values.begin(), values.end(), [&n = name](const auto& v) { return v.first == n; });
      if (found != values.end()) buffer.copy_from(found->second);
    }
  }
  Variable loss_of(const Variable& logits) const { return ops::softmax_cross_entropy(logits, file().get("labels")); }
  double scale_of(const std::string& name) { return layer(*net_, name).slot("input_transform")->params()->scale[0]; }
  bool eight_bits() const { return at_.ends_with("8"); }

  std::string at_ = GetParam();
  std::shared_ptr<nn::Module> net_;
};

TEST_P(GoldenQat, FirstBatch) {
  Variable logits = (*net_)(Variable(batch(0)));
  expect_golden(logits.value(), file(), at_ + "/logits", 1e-4);
  Variable loss = loss_of(logits);
  EXPECT_NEAR(loss.value().item(), file().get(at_ + "/loss").item(), 1e-4);
  const auto names = layers(at_ + "/act_scale/");
  EXPECT_EQ(names.size(), 28u);
  for (const std::string& name : names) {
    EXPECT_NEAR(scale_of(name) / file().get(at_ + "/act_scale/" + name).at(0), 1, 1e-5) << name;
  }
  if (!eight_bits()) return;
  loss.backward();
  for (const auto& [name, parameter] : net_->named_parameters()) {
    const std::string key = at_ + "/grad_norm/" + name;
    double squares = 0;
    for (std::int64_t i = 0; i < parameter.grad().numel(); ++i)
      squares += parameter.grad().at(i) * parameter.grad().at(i);
    EXPECT_NEAR(std::sqrt(squares) / file().get(key).item(), 1, 1e-3) << key;
    if (file().find(at_ + "/grad/" + name)) expect_golden(parameter.grad(), file(), at_ + "/grad/" + name, 1e-3);
  }
  for (const std::string& name : names) {
    const auto grid = layer(*net_, name).slot("weight_transform")->params();
    expect_same(Tensor::from({static_cast<std::int64_t>(grid->scale.size())}, grid->scale),
                file().get(at_ + "/weight_scale/" + name), name);
  }
}

TEST_P(GoldenQat, Evaluation) {
  (*net_)(Variable(batch(0)));
  restore_statistics();
  net_->eval();
  expect_golden((*net_)(Variable(batch(0))).value(), file(), at_ + "/eval_logits", 1e-4);
}

TEST_P(GoldenQat, ScalesOfThreeBatches) {
  for (std::int64_t i = 0; i < 3; ++i) {
    (*net_)(Variable(batch(i)));
    for (const std::string& name : layers(at_ + "/act_scale/")) {
      const double room = eight_bits() && i > 0 && name != "conv1" ? 0.02 : 1e-5;
      EXPECT_NEAR(scale_of(name) / file().get(at_ + "/act_scale/" + name).at(i), 1, room) << name << ", batch " << i;
    }
  }
}

TEST_P(GoldenQat, LossesOfFiveSteps) {
  optim::Momentum rule(net_->named_parameters(), {0.01, 0.9, 0, false});
  for (std::int64_t step = 0; step < 5; ++step) {
    rule.zero_grad();
    Variable loss = loss_of((*net_)(Variable(batch(0))));
    const double room = eight_bits() && step > 0 ? 0.5 : 1e-4;
    EXPECT_NEAR(loss.value().item(), file().get(at_ + "/losses").at(step), room) << "step " << step;
    loss.backward();
    rule.step();
  }
}

/// Each layer by itself on what Paddle's layer received: no code depends on sums of other layers.
class GoldenQatLayers : public GoldenQat {};
TEST_P(GoldenQatLayers, ByThemselves) {
  for (const std::string mode : {"/train_layer", "/eval_layer"}) {
    net_->train(mode == "/train_layer");
    for (const std::string& name : layers(at_ + mode + "/output/")) {
      const Tensor src = name == "conv1" ? batch(0) : file().get(at_ + mode + "/input/" + name);
      const Variable dst = layer(*net_, name)(Variable(src));
      expect_golden(dst.value(), file(), at_ + mode + "/output/" + name, 2e-6);
      EXPECT_EQ(scale_of(name), file().get(at_ + "/act_scale/" + name).at(0)) << name;
    }
  }
}

INSTANTIATE_TEST_SUITE_P(Configurations, GoldenQat, testing::Values("cw8", "cw4", "am4"),
                         [](const auto& info) { return std::string(info.param); });
INSTANTIATE_TEST_SUITE_P(Configurations, GoldenQatLayers, testing::Values("cw8"),
                         [](const auto& info) { return std::string(info.param); });

}  // namespace
}  // namespace octet::test
