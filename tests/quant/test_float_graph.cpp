// The engine's graph of floats against nn's own evaluation.
#include "quant/deployment/float_graph.h"

#include <gtest/gtest.h>

#include <cmath>
#include <cstdio>

#include "core/autograd.h"
#include "nn/models.h"
#include "ops/ops.h"
#include "quant/engine/engine.h"
#include "quant/engine/graph_file.h"

namespace octet::quant {
namespace {

Tensor random_pictures(std::int64_t n) {
  Tensor pictures({n, 32, 32, 3});
  std::uint32_t state = 7;
  for (float& x : pictures.span<float>())
    x = static_cast<float>((state = state * 1664525u + 1013904223u) >> 8) / 8388608.0f - 1.0f;
  return pictures;
}

/// Batch norms with statistics of their own, so that folding has something to do.
void train_a_little(nn::Module& model) {
  model.train();
  for (int i = 0; i < 2; ++i) model(Variable(random_pictures(8)));
  model.eval();
}

void expect_same_answers(nn::Module& model) {
  train_a_little(model);
  const engine::Graph graph = float_graph(model, {1, 32, 32, 3});
  const Tensor pictures = random_pictures(5);
  NoGrad no_grad;
  const Tensor expected = model(Variable(pictures)).value(), logits = engine::Engine(graph).run(pictures);
  ASSERT_EQ(logits.shape(), expected.shape());
  float largest = 0;
  for (float x : expected.span<float>()) largest = std::max(largest, std::fabs(x));
  for (std::int64_t i = 0; i < logits.numel(); ++i)
    EXPECT_NEAR(logits.data<float>()[i], expected.data<float>()[i], 1e-4f * largest) << "logit " << i;
}

TEST(FloatGraph, MobileNetV1AnswersAsTrained) {
  nn::MobileNetV1Options options;
  options.scale = 0.25;
  expect_same_answers(*nn::mobilenet_v1(options));
}

TEST(FloatGraph, SmallResNetAnswersAsTrained) { expect_same_answers(*nn::small_resnet({})); }

TEST(FloatGraph, FileGivesTheSameBits) {
  nn::MobileNetV1Options options;
  options.scale = 0.25;
  auto model = nn::mobilenet_v1(options);
  train_a_little(*model);
  const engine::Graph graph = float_graph(*model, {1, 32, 32, 3});
  const std::string path = ::testing::TempDir() + "float_graph.safetensors";
  engine::save_graph(path, graph);
  const Tensor pictures = random_pictures(3);
  const Tensor direct = engine::Engine(graph).run(pictures), loaded = engine::Engine::load(path).run(pictures);
  std::remove(path.c_str());
  for (std::int64_t i = 0; i < direct.numel(); ++i) ASSERT_EQ(direct.data<float>()[i], loaded.data<float>()[i]);
}

}  // namespace
}  // namespace octet::quant
