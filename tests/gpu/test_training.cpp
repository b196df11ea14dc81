// A net on the device beside the same net on the processor: losses, gradients, quantization-aware training,
// checkpoints.
#include <gtest/gtest.h>

#include <set>

#include "core/profile_data.h"
#include "data/dataset.h"
#include "nn/layers.h"
#include "nn/models.h"
#include "optim/trainer.h"
#include "quant/prepare.h"
#include "quant/quantizers/fake_quantizer.h"
#include "tests/gpu/device.h"
#include "tests/support/expect_error.h"
#include "tests/support/fusion_form.h"
#include "tests/support/temp_folder.h"
#include "tests/support/tensors.h"

namespace octet {
namespace {

class GpuTraining : public test::OnDevice {};

std::shared_ptr<nn::Module> small_net(Device device) {
  const nn::DeviceScope there(device);
  nn::MobileNetV1Options options;
  options.scale = 0.25;
  return nn::mobilenet_v1(options);
}

data::Dataset pictures(std::int64_t count) { return data::synthetic_shapes(5, count, 1).train; }

double largest_difference(const Tensor& a, const Tensor& b) {
  const Tensor x = a.to(Device::cpu), y = b.to(Device::cpu);
  double largest = 0;
  for (std::int64_t i = 0; i < x.numel(); ++i) largest = std::max(largest, std::fabs(x.at(i) - y.at(i)));
  return largest;
}

/// Loss of one batch in training mode, gradients left in the parameters.
double loss_of(nn::Module& net, const data::Dataset& set) {
  net.train();
  const Device device = net.device();
  const Variable logits = net(Variable(data::normalise(set.pictures).to(device)));
  const Variable loss = ops::softmax_cross_entropy(logits, set.labels.to(device));
  loss.backward();
  return loss.value().item();
}

// No DeviceScope is open where the bias is made.
TEST_F(GpuTraining, AFoldedBatchNormLeavesItsBiasOnTheDevice) {
  const auto net = small_net(Device::cuda);
  for (const auto& [path, module] : net->named_modules())
    if (auto* block = dynamic_cast<nn::ConvBnAct*>(module)) {
      block->bn->fold_into(*block->conv);
      EXPECT_EQ(block->conv->bias.value().device(), Device::cuda) << path;
    }
  net->eval();
  (*net)(Variable(Tensor::zeros({1, 32, 32, 3}).to(Device::cuda)));
}

TEST_F(GpuTraining, LossAndGradientsAreThoseOfTheProcessor) {
  const auto here = small_net(Device::cpu), there = small_net(Device::cuda);
  EXPECT_EQ(there->device(), Device::cuda);
  const data::Dataset set = pictures(6);
  EXPECT_NEAR(loss_of(*here, set), loss_of(*there, set), 1e-4);
  const auto a = here->named_parameters(), b = there->named_parameters();
  ASSERT_EQ(a.size(), b.size());
  for (std::size_t i = 0; i < a.size(); ++i) {
    double norm = 0;
    for (float g : a[i].second.grad().span<float>()) norm = std::max<double>(norm, std::fabs(g));
    EXPECT_LE(largest_difference(a[i].second.grad(), b[i].second.grad()), 5e-3 * norm + 1e-5) << a[i].first;
  }
}

optim::FitResult train(const std::shared_ptr<nn::Module>& net, const data::Dataset& set, const std::string& checkpoint,
                       std::int64_t epochs, std::int64_t batch, bool resume) {
  optim::Trainer trainer(net);
  trainer.prepare({{0.005, 0.9, 1e-4, false}, optim::ScheduleKind::constant, 0});
  optim::FitOptions fit;
  fit.epochs = epochs;
  fit.loader.batch_size = batch;
  fit.checkpoint_path = checkpoint, fit.tag = "t", fit.resume = resume;
  return trainer.fit(set, fit);
}

TEST_F(GpuTraining, AStepIsThatOfTheProcessor) {
  const test::TempFolder folder;
  const data::Dataset set = pictures(6);
  const auto here = small_net(Device::cpu), there = small_net(Device::cuda);
  const auto a = train(here, set, folder / "a", 1, 6, false), b = train(there, set, folder / "b", 1, 6, false);
  EXPECT_NEAR(a.epochs[0].loss(), b.epochs[0].loss(), 1e-4);
  const auto mine = here->state(), its = there->state();
  for (std::size_t i = 0; i < mine.size(); ++i)
    EXPECT_LE(largest_difference(mine[i].second, its[i].second), 1e-4) << mine[i].first;
  optim::Trainer trainer(there);
  EXPECT_EQ(trainer.evaluate(set, 4).pictures, 6);
}

TEST_F(GpuTraining, AResumedRunHasTheSameBits) {
  const test::TempFolder folder;
  const data::Dataset set = pictures(6);
  const auto whole = small_net(Device::cuda), parts = small_net(Device::cuda), again = small_net(Device::cuda);
  train(whole, set, folder / "whole", 2, 4, false);
  train(parts, set, folder / "parts", 1, 4, false);
  train(again, set, folder / "parts", 2, 4, true);
  const auto a = whole->state(), b = again->state();
  for (std::size_t i = 0; i < a.size(); ++i) EXPECT_EQ(largest_difference(a[i].second, b[i].second), 0) << a[i].first;
}

/// The kernels' passes that a step calls.
std::set<std::string> passes_of(nn::Module& net, const data::Dataset& set) {
  profile::start();
  loss_of(net, set);
  profile::stop();
  std::set<std::string> names;
  for (const profile::Total& total : profile::totals())
    if (total.kind == profile::Kind::kernel) names.insert(total.name);
  return names;
}

TEST_F(GpuTraining, NoPassOfBatchNormIsLeft) {
  const data::Dataset set = pictures(4);
  for (const bool quantized : {false, true}) {
    const auto net = small_net(Device::cuda);
    if (quantized) quant::prepare(*net, Shape{1, 32, 32, 3}, {});
    const std::set<std::string> fused = passes_of(*net, set);
    for (const char* pass : {"conv2d_bn_fwd", "conv2d_bn_bwd", "dwconv2d_bn_fwd", "dwconv2d_bn_bwd"})
      EXPECT_TRUE(fused.contains(pass)) << pass;
    for (const char* pass : {"conv2d_fwd", "conv2d_bwd_data", "conv2d_bwd_weight", "dwconv2d_fwd", "dwconv2d_bwd_data",
                             "batchnorm_stats", "channel_fma_fwd"})
      EXPECT_FALSE(fused.contains(pass)) << pass;
    const test::FusionForm apart(ops::Fusion::off);
    EXPECT_TRUE(passes_of(*net, set).contains("batchnorm_stats"));
  }
}

TEST_F(GpuTraining, FormsOfAStepAgree) {
  const data::Dataset set = pictures(6);
  const auto fused = small_net(Device::cuda), apart = small_net(Device::cuda);
  const double loss = loss_of(*fused, set);
  const test::FusionForm form(ops::Fusion::off);
  EXPECT_NEAR(loss_of(*apart, set), loss, 1e-4);
  const auto a = apart->named_parameters(), b = fused->named_parameters();
  ASSERT_EQ(a.size(), b.size());
  for (std::size_t i = 0; i < a.size(); ++i) {
    const Tensor wanted = a[i].second.grad().to(Device::cpu);
    double norm = 0;
    for (float g : wanted.span<float>()) norm = std::max<double>(norm, std::fabs(g));
    EXPECT_LE(largest_difference(wanted, b[i].second.grad()), 5e-3 * norm + 1e-5) << a[i].first;
  }
  const auto mine = apart->state(), its = fused->state();
  for (std::size_t i = 0; i < mine.size(); ++i)
    EXPECT_LE(largest_difference(mine[i].second, its[i].second), 1e-4) << mine[i].first;
}

TEST_F(GpuTraining, FormsOfAQuantizedStepAgree) {
  const data::Dataset set = pictures(6);
  const auto fused = small_net(Device::cuda), apart = small_net(Device::cuda);
  for (const auto& net : {fused, apart}) quant::prepare(*net, Shape{1, 32, 32, 3}, {});
  const double first = loss_of(*fused, set), second = loss_of(*fused, set);
  const test::FusionForm form(ops::Fusion::off);
  // Sums in another order put some values on the other side of a tie.
  EXPECT_NEAR(loss_of(*apart, set), first, 0.05);
  EXPECT_NEAR(loss_of(*apart, set), second, 0.05);
}

TEST_F(GpuTraining, QuantizedTrainingRunsThere) {
  // The device sums products of codes as floats; so does the processor in this form, else some codes fall on the other
  // side of a tie.
  const test::FusionForm floats(ops::Fusion::floats);
  const data::Dataset set = pictures(6);
  quant::QuantConfig pact, lsq, lsq_plus, folded;
  folded.batch_norm = quant::BatchNormMode::folded, folded.weight_quantize_type = quant::WeightQuantize::abs_max;
  lsq.weight_quantize_type = quant::WeightQuantize::channel_wise_lsq,
  lsq.activation_quantize_type = quant::ActivationQuantize::lsq;
  lsq_plus = lsq, lsq_plus.activation_affine = true;
  pact.weight_preprocess_type = pact.activation_preprocess_type = quant::Preprocess::pact;
  for (const quant::QuantConfig& config : {quant::QuantConfig{}, pact, lsq, lsq_plus, folded}) {
    const auto here = small_net(Device::cpu), there = small_net(Device::cuda);
    for (const auto& net : {here, there}) quant::prepare(*net, Shape{1, 32, 32, 3}, config);
    EXPECT_NEAR(loss_of(*here, set), loss_of(*there, set), 0.05);
    EXPECT_NEAR(loss_of(*here, set), loss_of(*there, set), 0.1) << "with ranges seen";
  }
}

TEST_F(GpuTraining, ThresholdsOfWeightsAreThoseOfTheProcessor) {
  const Tensor here = test::random_f32({5, 3, 3, 4}, 3);
  for (const quant::Clipping clipping : {quant::Clipping::percentile, quant::Clipping::mse}) {
    quant::Grid grid;
    grid.bits = 4, grid.narrow = true;
    quant::WeightQuantizer on_host(grid, {true, clipping, 90}), on_device(grid, {true, clipping, 90});
    const Tensor wanted = on_host.apply(Variable(here)).value();
    const Tensor got = on_device.apply(Variable(here.to(Device::cuda))).value();
    EXPECT_TRUE(test::same_bits(wanted, got.to(Device::cpu)));
    EXPECT_EQ(on_host.params(), on_device.params());
  }
}

TEST_F(GpuTraining, EqualizedNetsAreThoseOfTheProcessor) {
  const auto here = small_net(Device::cpu), there = small_net(Device::cuda);
  quant::QuantConfig config;
  config.equalize = quant::Equalize::cross_layer_absorb;
  for (const auto& net : {here, there}) quant::prepare(*net, Shape{1, 32, 32, 3}, config);
  const auto a = here->named_parameters(), b = there->named_parameters();
  ASSERT_EQ(a.size(), b.size());
  for (std::size_t i = 0; i < a.size(); ++i) {
    double largest = 0;
    for (const float w : a[i].second.value().span<float>()) largest = std::max<double>(largest, std::fabs(w));
    EXPECT_EQ(b[i].second.value().device(), Device::cuda);
    EXPECT_LE(largest_difference(a[i].second.value(), b[i].second.value()), 1e-4 * largest) << a[i].first;
  }
}

TEST_F(GpuTraining, OtherNetsRunThere) {
  const data::Dataset set = pictures(4);
  for (int which : {0, 1}) {
    const auto made = [&](Device device) {
      const nn::DeviceScope scope(device);
      return which == 0 ? nn::mobilenet_v2({.scale = 0.25}) : nn::small_resnet({});
    };
    EXPECT_NEAR(loss_of(*made(Device::cpu), set), loss_of(*made(Device::cuda), set), 1e-3);
  }
}

TEST_F(GpuTraining, OperandsOfTwoDevicesAreRefused) {
  const Variable here(Tensor::zeros({2, 3})), there(Tensor::zeros({2, 3}, DType::f32, Device::cuda));
  EXPECT_THROW(ops::add(here, there), Error);
  EXPECT_ERROR(ops::mul_constant(here, there.value()), "mul_constant");
  Variable leaf(Tensor::zeros({2, 3}), true);
  EXPECT_ERROR(ops::mul_constant(leaf, here.value()).backward(there.value()), "d_self lies on cuda");
}

}  // namespace
}  // namespace octet
