// Exported files in ONNX Runtime, beside the engine. Skipped where no Python with onnxruntime is at hand (./check makes one).
#include <gtest/gtest.h>

#include "apps/mnv1_qat/onnx_check.h"
#include "core/autograd.h"
#include "nn/models.h"
#include "quant/deployment/convert.h"
#include "quant/deployment/float_graph.h"
#include "quant/engine/engine.h"
#include "quant/onnx/export.h"
#include "quant/prepare.h"
#include "tests/support/temp_folder.h"

namespace octet::app {
namespace {

const Shape kShape{1, 32, 32, 3};

Tensor random_pictures(std::int64_t n, std::uint32_t seed) {
  Tensor pictures({n, 32, 32, 3});
  for (float& x : pictures.span<float>())
    x = (static_cast<float>((seed = seed * 1664525u + 1013904223u) >> 24) - 127.5f) / 127.5f;
  return pictures;
}

/// Statistics and observers of two batches, as fine-tuning would leave them.
void show_pictures(nn::Module& model) {
  model.train();
  for (std::uint32_t seed : {1u, 2u}) model(Variable(random_pictures(8, seed)));
  model.eval();
}

class OnnxRuntime : public testing::Test {
 protected:
  void SetUp() override {
    if (!quant::has_onnx()) GTEST_SKIP() << "built without ONNX";
  }

  /// Exports the graph and runs it and the engine on the same pictures.
  OnnxCheck check(const engine::Graph& graph) {
    const std::string file = folder_ / "model.onnx";
    quant::export_onnx(file, graph);
    const Tensor pictures = random_pictures(12, 77);
    return check_onnx(find_python(""), file, pictures, engine::Engine(graph).run(pictures));
  }

  OnnxCheck check_int8(nn::Module& model, const quant::QuantConfig& config) {
    quant::prepare(model, kShape, config);
    show_pictures(model);
    return check(quant::convert(model, kShape, config));
  }

  void expect_equal_bits(nn::Module& model, const quant::QuantConfig& config) {
    const OnnxCheck found = check_int8(model, config);
    if (!found.skipped.empty()) GTEST_SKIP() << found.skipped;
    EXPECT_TRUE(found.bit_equal) << found.runtime << ", largest difference " << found.largest_difference;
  }

  octet::test::TempFolder folder_;
};

std::shared_ptr<nn::Module> small_mobilenet_v1() {
  nn::MobileNetV1Options options;
  options.scale = 0.25;
  return nn::mobilenet_v1(options);
}

TEST_F(OnnxRuntime, MobileNetV1PerChannel) { expect_equal_bits(*small_mobilenet_v1(), {}); }

TEST_F(OnnxRuntime, MobileNetV1PerTensor) {
  quant::QuantConfig config;
  config.weight_quantize_type = quant::WeightQuantize::abs_max;
  expect_equal_bits(*small_mobilenet_v1(), config);
}

TEST_F(OnnxRuntime, MobileNetV1WithWeightsOfFourBits) {
  quant::QuantConfig config;
  config.weight_bits = 4;
  expect_equal_bits(*small_mobilenet_v1(), config);
}

/// Sums of two values, with weights of 8 bits and fewer, per channel and per tensor, and narrow activations.
std::vector<quant::QuantConfig> configs() {
  std::vector<quant::QuantConfig> all(5);
  all[1].weight_bits = 7;
  all[2].weight_bits = 4;
  all[3].weight_quantize_type = quant::WeightQuantize::abs_max;
  all[4].activation_bits = 6;
  return all;
}

TEST_F(OnnxRuntime, MobileNetV2) {
  for (const quant::QuantConfig& config : configs()) expect_equal_bits(*nn::mobilenet_v2({.scale = 0.25}), config);
}

TEST_F(OnnxRuntime, SmallResNet) {
  for (const quant::QuantConfig& config : configs()) expect_equal_bits(*nn::small_resnet({}), config);
}

TEST_F(OnnxRuntime, FloatsAreNear) {
  const auto model = small_mobilenet_v1();
  show_pictures(*model);
  const engine::Graph graph = quant::float_graph(*model, kShape);
  const OnnxCheck found = check(graph);
  if (!found.skipped.empty()) GTEST_SKIP() << found.skipped;
  const Tensor logits = engine::Engine(graph).run(random_pictures(12, 77));
  float largest = 0;
  for (float x : logits.span<float>()) largest = std::max(largest, std::fabs(x));
  EXPECT_LE(found.largest_difference, 1e-4 * largest);
}

TEST_F(OnnxRuntime, AnotherModelIsToldApart) {
  const auto model = small_mobilenet_v1();
  show_pictures(*model);
  engine::Graph graph = quant::float_graph(*model, kShape);
  const std::string file = folder_ / "model.onnx";
  quant::export_onnx(file, graph);
  graph.nodes.back().float_bias.at(0) += 1;
  const Tensor pictures = random_pictures(4, 5);
  const OnnxCheck found = check_onnx(find_python(""), file, pictures, engine::Engine(graph).run(pictures));
  if (!found.skipped.empty()) GTEST_SKIP() << found.skipped;
  EXPECT_FALSE(found.bit_equal);
  EXPECT_NEAR(found.largest_difference, 1, 1e-3);
}

}  // namespace
}  // namespace octet::app
