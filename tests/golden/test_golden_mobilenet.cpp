// The whole net against PaddlePaddle: one training step with all gradients, and ten losses.
#include <gtest/gtest.h>

#include "nn/models.h"
#include "ops/ops.h"
#include "optim/momentum.h"
#include "tests/golden/golden.h"

namespace octet::test {
namespace {

/// f64: the stored values' own rounding. f32: about three times what Paddle's f32 run is away from its f64 run.
struct Tolerance {
  double logits, gradient, statistics, losses, end;
};

class GoldenMobileNet : public testing::TestWithParam<DType> {
 protected:
  void SetUp() override {
    nn::MobileNetV1Options options;
    options.scale = 0.25;
    net_ = nn::mobilenet_v1(options);
    net_->load_state(under(file(), "init/"));
    if (is_double()) make_double(*net_);
    images_ = Variable(file().get("batch/images").to(GetParam()));
  }
  const TensorFile& file() const { return golden("paddle_mobilenet.safetensors"); }
  bool is_double() const { return GetParam() == DType::f64; }
  Tolerance tolerance() const {
    return is_double() ? Tolerance{1e-6, 1e-6, 1e-6, 1e-6, 1e-5} : Tolerance{1e-5, 2e-4, 1e-5, 2e-4, 2e-4};
  }
  Variable loss_of(const Variable& logits) const {
    return ops::softmax_cross_entropy(logits, file().get("batch/labels"));
  }

  std::shared_ptr<nn::Module> net_;
  Variable images_;
};

TEST_P(GoldenMobileNet, NamesAreThoseStored) {
  EXPECT_EQ(net_->named_parameters().size(), under(file(), "grad/").size());
  EXPECT_EQ(net_->state().size(), under(file(), "init/").size());
}

TEST_P(GoldenMobileNet, OneStep) {
  Variable logits = (*net_)(images_);
  expect_golden(logits.value(), file(), "logits", tolerance().logits);
  Variable loss = loss_of(logits);
  EXPECT_NEAR(loss.value().item(), file().get("loss").item(), tolerance().logits * 4);
  loss.backward();
  for (const auto& [name, parameter] : net_->named_parameters()) {
    expect_golden(parameter.grad(), file(), "grad/" + name, tolerance().gradient);
  }
}

TEST_P(GoldenMobileNet, RunningStatisticsAndEvaluation) {
  (*net_)(images_);
  if (!is_double()) {  // make_double leaves the registered buffers behind
    for (const auto& [name, statistic] : net_->named_buffers()) {
      expect_golden(statistic, file(), "after1/" + name, tolerance().statistics);
    }
  }
  net_->eval();
  expect_golden((*net_)(images_).value(), file(), "eval_logits", tolerance().logits * 2);
}

TEST_P(GoldenMobileNet, TenLosses) {
  const Tensor& hyper = file().get("hyper");
  optim::Momentum rule(net_->named_parameters(), {0.1, 0.9, 0, false});
  ASSERT_NEAR(hyper.at(0), 0.1, 1e-7);
  ASSERT_NEAR(hyper.at(1), 0.9, 1e-7);
  for (std::int64_t step = 0; step < 10; ++step) {
    rule.zero_grad();
    Variable loss = loss_of((*net_)(images_));
    const double expected = file().get("losses").at(step);
    EXPECT_NEAR(loss.value().item() / expected, 1, tolerance().losses) << "step " << step;
    loss.backward();
    rule.step();
  }
  for (const auto& [name, parameter] : net_->named_parameters()) {
    double squares = 0;
    for (std::int64_t i = 0; i < parameter.value().numel(); ++i)
      squares += parameter.value().at(i) * parameter.value().at(i);
    EXPECT_NEAR(std::sqrt(squares) / file().get("final_norm/" + name).item(), 1, tolerance().end) << name;
  }
  net_->eval();
  expect_golden((*net_)(images_).value(), file(), "final_logits", tolerance().end);
}

INSTANTIATE_TEST_SUITE_P(Types, GoldenMobileNet, testing::Values(DType::f32, DType::f64),
                         [](const auto& info) { return std::string(name_of(info.param)); });

}  // namespace
}  // namespace octet::test
