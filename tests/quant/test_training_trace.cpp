#include "quant/training/training_trace.h"

#include <gtest/gtest.h>

#include "data/dataset.h"
#include "data/transform.h"
#include "nn/layers.h"
#include "nn/models.h"
#include "optim/trainer.h"
#include "quant/prepare.h"
#include "tests/support/expect_error.h"

namespace octet::quant {
namespace {

/// One convolution 1x1 of two weights, whose grid is fixed by a third that never moves.
struct Toy {
  std::shared_ptr<nn::Sequential> net;
  nn::Conv2d* conv = nullptr;
  Toy() {
    auto layer = std::make_shared<nn::Conv2d>(nn::Conv2dOptions{3, 1, 1, 1, 1, 0, false, false});
    conv = layer.get();
    net = std::make_shared<nn::Sequential>(
        std::vector<std::shared_ptr<nn::Module>>{layer, std::make_shared<nn::Flatten>()});
    prepare(*net, {1, 2, 2, 3}, {});
    set(0, 0);
  }
  /// Weights in steps of the grid, whose end is 127.
  void set(float a, float b) {
    float* w = conv->weight.value().data<float>();
    w[0] = 127, w[1] = a, w[2] = b;
  }
};

Tensor pictures() { return data::normalise(data::synthetic_shapes(3, 4, 1).train.pictures); }

TEST(TrainingTrace, CountsFlipsAndOscillations) {
  Toy toy;
  TrainingTrace trace(*toy.net, Tensor::zeros({1, 2, 2, 3}));
  trace.step();
  EXPECT_EQ(trace.look()[0].flips, 0) << "the first step has nothing before it";
  for (int i = 0; i < 8; ++i) {
    toy.set(i % 2 == 0 ? 5 : 4, static_cast<float>(10 + i));  // one to and fro, one ever upwards
    trace.step();
  }
  const LayerTrace layer = trace.look()[0];
  EXPECT_EQ(layer.layer, "0");
  EXPECT_DOUBLE_EQ(layer.flips, 2.0 / 3) << "two of three weights in every step";
  EXPECT_DOUBLE_EQ(layer.oscillating, 1.0 / 3);
  EXPECT_FLOAT_EQ(static_cast<float>(layer.weight_step), 1);
  EXPECT_EQ(layer.weight_clipped, 0);
  EXPECT_TRUE(layer.value_step.has_value()) << "the picture's grid is known from the start";
  for (int i = 0; i < 4; ++i) trace.step();
  EXPECT_EQ(trace.look()[0].flips, 0);
  for (int i = 0; i < 400; ++i) trace.step();
  EXPECT_EQ(trace.look()[0].oscillating, 0) << "what has come to rest is forgotten";
}

TEST(TrainingTrace, CountsTheFirstStepAgainstWhatItBeganWith) {
  Toy toy;
  TrainingTrace trace(*toy.net, Tensor::zeros({1, 2, 2, 3}));
  trace.begin();
  toy.set(5, 0);
  trace.step();
  EXPECT_DOUBLE_EQ(trace.look()[0].flips, 1.0 / 3);
}

TEST(TrainingTrace, AValueThatIsNotFiniteIsADivergence) {
  Toy toy;
  TrainingTrace trace(*toy.net, Tensor::full({1, 2, 2, 3}, INFINITY));
  EXPECT_ERROR(trace.look(), "what enters 0 is inf");
}

TEST(TrainingTrace, DisturbsNoTraining) {
  const auto trained = [](bool traced) {
    auto net = nn::small_resnet({});
    prepare(*net, {1, 32, 32, 3}, {});
    struct Tracing : optim::Callback {
      explicit Tracing(nn::Module& model) : trace(model, pictures()) {}
      void on_step(const optim::Progress&) override { trace.step(), looked = trace.look(); }
      TrainingTrace trace;
      std::vector<LayerTrace> looked;
    } tracing(*net);
    optim::Trainer trainer(net);
    trainer.prepare({{0.05, 0.9, 0, false}, optim::ScheduleKind::constant, 0});
    optim::FitOptions fit;
    fit.epochs = 1, fit.loader.batch_size = 8;
    trainer.fit(data::synthetic_shapes(3, 32, 1).train, fit, traced ? &tracing : nullptr);
    if (traced) {
      EXPECT_EQ(tracing.looked.size(), 10u) << "nine convolutions and a linear layer";
      for (const LayerTrace& layer : tracing.looked) {
        EXPECT_GT(layer.flips, 0) << layer.layer;
        EXPECT_LT(layer.flips, 1) << layer.layer;
        EXPECT_GT(layer.value_step.value_or(0), 0) << layer.layer;
      }
    }
    return net->state();
  };
  const auto plain = trained(false), traced = trained(true);
  for (std::size_t i = 0; i < plain.size(); ++i)
    for (std::int64_t k = 0; k < plain[i].second.numel(); ++k)
      ASSERT_EQ(plain[i].second.at(k), traced[i].second.at(k)) << plain[i].first;
}

TEST(TrainingTrace, NeedsQuantizers) {
  auto net = nn::small_resnet({});
  EXPECT_ERROR(TrainingTrace(*net, pictures()), "[trace] the model has no quantized weights ---> HINT");
}

}  // namespace
}  // namespace octet::quant
