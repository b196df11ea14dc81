// Batch norm in quantization-aware training: folded into the weights, with frozen statistics, with statistics taken
// anew.
#include <gtest/gtest.h>

#include <cmath>

#include "nn/init.h"
#include "ops/ops.h"
#include "optim/trainer.h"
#include "quant/prepare.h"
#include "quant/quantizers/fake_quantizer.h"
#include "quant/training/batch_norm_statistics.h"
#include "quant/training/training_setup.h"
#include "tests/optim/toy_problem.h"
#include "tests/support/expect_error.h"
#include "tests/support/stop_after.h"
#include "tests/support/temp_folder.h"
#include "tests/support/tensors.h"

namespace octet::quant {
namespace {

using test::Stop;
using test::StopAfter;

using test::toy_pictures;

const data::Dataset& toy_set() {
  static const data::Dataset set = toy_pictures(38, 1);  // 3 batches of 16 an epoch, the last one of 6
  return set;
}

std::shared_ptr<nn::Module> net_of(const QuantConfig& config) {
  auto net = test::toy_net();
  prepare(*net, {1, 32, 32, 3}, config);
  return net;
}

QuantConfig folded_per_tensor() {
  QuantConfig config;
  config.batch_norm = BatchNormMode::folded;
  config.weight_quantize_type = WeightQuantize::abs_max;
  return config;
}

std::vector<nn::ConvBnAct*> blocks_of(const nn::Module& net) {
  std::vector<nn::ConvBnAct*> all;
  for (const auto& [name, module] : net.named_modules())
    if (auto* block = dynamic_cast<nn::ConvBnAct*>(module)) all.push_back(block);
  return all;
}

optim::FitOptions options_of(std::int64_t epochs) {
  optim::FitOptions options;
  options.epochs = epochs;
  options.loader = {.batch_size = 16, .augment = data::Augment::crop_flip, .seed = 3};
  return options;
}

std::shared_ptr<nn::Module> fit(const QuantConfig& config, const optim::FitOptions& options,
                                optim::Callback* callback = nullptr) {
  const auto net = net_of(config);
  optim::Trainer trainer(net);
  optim::Trainer::Settings settings{{0.05, 0.9, 0, false}, optim::ScheduleKind::cosine, 0};
  training_setup(*net, config).add_to(settings);
  trainer.prepare(settings);
  try {
    trainer.fit(toy_set(), options, callback);
  } catch (const Stop&) {
  }
  return net;
}

TEST(FoldedWhileTraining, QuantizesTheWeightThatIsDeployed) {
  const auto net = net_of(folded_per_tensor());
  nn::ConvBnAct& block = *blocks_of(*net)[0];
  block.bn->gamma.value().data<float>()[0] = 20;
  block.bn->gamma.value().data<float>()[1] = -3;
  const NoGrad no_grad;
  const Tensor folded = block.conv->transformed_weight().value(), weight = block.conv->weight.value();
  float top = 0;
  std::vector<float> wanted;
  const std::int64_t inner = weight.numel() / 8;
  for (std::int64_t i = 0; i < weight.numel(); ++i) {
    const auto c = static_cast<std::size_t>(i / inner);
    const float factor = static_cast<float>(block.bn->gamma.value().data<float>()[c] /
                                            std::sqrt(block.bn->state.running_var.data<float>()[c] + 1e-5));
    wanted.push_back(weight.data<float>()[i] * factor);
    top = std::max(top, std::fabs(wanted.back()));
  }
  const float step = top / 127;
  for (std::int64_t i = 0; i < weight.numel(); ++i) {
    const auto at = static_cast<std::size_t>(i);
    ASSERT_EQ(folded.data<float>()[i], std::rint(wanted[at] / step) * step) << i;
    ASSERT_EQ(nn::effective_weight_of(*block.conv).value().data<float>()[i], wanted[at]) << i;
  }
  const nn::TransformBypass bypass;
  EXPECT_EQ(block.conv->transformed_weight().node(), block.conv->weight.node()) << "the float net has its weight";
}

TEST(FoldedWhileTraining, EndsWithTheQuantizers) {
  const auto net = net_of(folded_per_tensor());
  nn::ConvBnAct& block = *blocks_of(*net)[0];
  EXPECT_TRUE(block.bn->folds_while_training());
  remove_quantizers(*net);
  EXPECT_FALSE(block.bn->folds_while_training());
  EXPECT_EQ(block.conv->transformed_weight().node(), block.conv->weight.node());
  prepare(*net, {1, 32, 32, 3}, folded_per_tensor());
  EXPECT_TRUE(block.bn->folds_while_training());
}

TEST(FoldedWhileTraining, LeavesLayersWithoutQuantizersAlone) {
  QuantConfig config = folded_per_tensor();
  config.quantizable_layer_type = {"DepthwiseConv2D", "Linear"};
  const auto blocks = blocks_of(*net_of(config));
  EXPECT_FALSE(blocks[0]->bn->folds_while_training());
  EXPECT_TRUE(blocks[1]->bn->folds_while_training());
}

TEST(FoldedWhileTraining, NeedsABatchNormOfItsOwn) {
  auto conv = std::make_shared<nn::Conv2d>(nn::Conv2dOptions{3, 4, 1, 1, 1, 0, false, false});
  auto bn = std::make_shared<nn::BatchNorm2d>(4);
  struct Twice : nn::Module {
    std::string kind() const override { return "Twice"; }
    Variable forward(const Variable& src) override {
      const Variable z = (*conv)(src);
      return ops::add((*bn)(z), ops::relu(z));
    }
    std::shared_ptr<nn::Conv2d> conv;
    std::shared_ptr<nn::BatchNorm2d> bn;
    Twice(std::shared_ptr<nn::Conv2d> c, std::shared_ptr<nn::BatchNorm2d> b)
        : conv(register_module("conv", c)), bn(register_module("bn", b)) {}
  } net(conv, bn);
  EXPECT_ERROR(prepare(net, {1, 4, 4, 3}, folded_per_tensor()),
               "the batch norm behind conv cannot be folded into it ---> HINT batch_norm folded needs");
}

TEST(FoldedWhileTraining, LearnsAndResumesBitForBit) {
  const test::TempFolder folder;
  for (const WeightQuantize type :
       {WeightQuantize::channel_wise_abs_max, WeightQuantize::abs_max, WeightQuantize::lsq}) {
    QuantConfig config = folded_per_tensor();
    config.weight_quantize_type = type;
    const std::uint32_t whole = test::state_crc(fit(config, options_of(3))->state());
    optim::FitOptions options = options_of(3);
    options.checkpoint_path = folder / name_of(type), options.tag = "t", options.checkpoint_every = 2;
    StopAfter stop(5);
    fit(config, options, &stop);
    options.resume = true;
    EXPECT_EQ(test::state_crc(fit(config, options)->state()), whole) << name_of(type);
  }
}

struct Watcher : optim::Callback {
  explicit Watcher(std::vector<Tensor>& to) : means(to) {}
  void on_step(const optim::Progress&) override { means.push_back(blocks_of(*net)[0]->bn->state.running_mean.clone()); }
  std::vector<Tensor>& means;
  nn::Module* net = nullptr;
};

TEST(FrozenStatistics, StayFromTheirEpochOn) {
  for (const BatchNormMode mode : {BatchNormMode::kept, BatchNormMode::folded}) {
    QuantConfig config;
    config.batch_norm = mode, config.batch_norm_freeze_epoch = 1;
    const auto net = net_of(config);
    optim::Trainer trainer(net);
    optim::Trainer::Settings settings{{0.05, 0.9, 0, false}, optim::ScheduleKind::constant, 0};
    training_setup(*net, config).add_to(settings);
    trainer.prepare(settings);
    std::vector<Tensor> means;
    Watcher watcher(means);
    watcher.net = net.get();
    const Variable gamma = blocks_of(*net)[0]->bn->gamma;
    trainer.fit(toy_set(), options_of(2), &watcher);
    ASSERT_EQ(means.size(), 6u);
    EXPECT_FALSE(test::same_bits(means[1], means[2]));
    for (std::size_t i = 3; i < 6; ++i) EXPECT_TRUE(test::same_bits(means[i], means[2])) << i;
    EXPECT_NE(gamma.value().at(0), 1) << "scales go on learning";
    EXPECT_FALSE(blocks_of(*net)[0]->bn->statistics_frozen()) << "behind the fit they are as before";
  }
}

TEST(FrozenStatistics, AResumedFitHasTheSameBits) {
  const test::TempFolder folder;
  QuantConfig config;
  config.batch_norm_freeze_epoch = 1;
  const std::uint32_t whole = test::state_crc(fit(config, options_of(3))->state());
  for (const std::int64_t stop_after : {2, 4, 7}) {
    optim::FitOptions options = options_of(3);
    options.checkpoint_path = folder / std::to_string(stop_after), options.tag = "t", options.checkpoint_every = 1;
    StopAfter stop(stop_after);
    fit(config, options, &stop);
    options.resume = true;
    EXPECT_EQ(test::state_crc(fit(config, options)->state()), whole) << stop_after;
  }
}

/// Mean and biased variance over all pixels of all batches, as the first batch norm sees them.
TEST(ReestimatedStatistics, AreThoseOfAllValues) {
  for (const BatchNormMode mode : {BatchNormMode::kept, BatchNormMode::folded}) {
    QuantConfig config = folded_per_tensor();  // whose codes depend on the factor, so that it must stay the same
    config.batch_norm = mode, config.weight_bits = 4;
    const auto net = fit(config, options_of(1));
    const std::uint32_t parameters = test::state_crc([&] {
      nn::Module::NamedTensors all;
      for (const auto& [name, variable] : net->named_parameters()) all.emplace_back(name, variable.value());
      return all;
    }());
    nn::ConvBnAct& block = *blocks_of(*net)[0];
    ReestimateOptions options;
    options.batches = 100, options.loader = options_of(1).loader, options.epoch = 7;

    net->eval();
    const NoGrad no_grad;
    const Tensor weight = block.conv->transformed_weight().value().clone();
    const auto map = [&](std::size_t c) {
      return mode == BatchNormMode::kept
                 ? 1.0f
                 : static_cast<float>(block.bn->gamma.value().data<float>()[c] /
                                      std::sqrt(block.bn->state.running_var.data<float>()[c] + 1e-5));
    };
    std::vector<float> factors;
    for (std::size_t c = 0; c < 8; ++c) factors.push_back(map(c));
    std::vector<double> sum(8), squares(8);
    double count = 0;
    const data::Loader loader(toy_set(), options.loader);
    for (std::int64_t i = 0; i < 3; ++i) {
      const Variable x = block.conv->transformed_input(Variable(loader.make(7, i).images));
      const Tensor z = ops::conv2d(x, Variable(weight), {}, block.conv->args()).value();
      for (std::int64_t k = 0; k < z.numel(); ++k) {
        const double value = z.data<float>()[k] / factors[static_cast<std::size_t>(k % 8)];
        sum[static_cast<std::size_t>(k % 8)] += value, squares[static_cast<std::size_t>(k % 8)] += value * value;
      }
      count += static_cast<double>(z.numel()) / 8;
    }

    int told = 0;
    reestimate_statistics(*net, toy_set(), options, [&](std::int64_t done, std::int64_t total) {
      EXPECT_EQ(done, ++told);
      EXPECT_EQ(total, 3);
    });
    EXPECT_EQ(told, 3);
    for (std::size_t c = 0; c < 8; ++c) {
      const double mean = sum[c] / count, variance = squares[c] / count - mean * mean;
      EXPECT_NEAR(block.bn->state.running_mean.data<float>()[c], mean, 1e-5 * (1 + std::fabs(mean)));
      EXPECT_NEAR(block.bn->state.running_var.data<float>()[c], variance, 1e-4 * variance + 1e-7);
    }
    EXPECT_EQ(block.bn->state.momentum, 0.9);
    EXPECT_FALSE(net->is_training());
    nn::Module::NamedTensors after;
    for (const auto& [name, variable] : net->named_parameters()) after.emplace_back(name, variable.value());
    EXPECT_EQ(test::state_crc(after), parameters);
  }
}

TEST(ReestimatedStatistics, LeaveObserversAlone) {
  const auto net = fit({}, options_of(1));
  const auto buffers = [&] {
    std::vector<Tensor> all;
    for (const auto& [name, tensor] : net->named_buffers())
      if (name.find("running") == std::string::npos) all.push_back(tensor.clone());
    return all;
  };
  const std::vector<Tensor> before = buffers();
  reestimate_statistics(*net, toy_set(), {.batches = 2});
  const std::vector<Tensor> after = buffers();
  ASSERT_FALSE(before.empty());
  ASSERT_EQ(before.size(), after.size());
  for (std::size_t i = 0; i < before.size(); ++i) EXPECT_TRUE(test::same_bits(before[i], after[i])) << i;
}

TEST(ReestimatedStatistics, RefuseWhatGivesNone) {
  const auto net = net_of({});
  EXPECT_ERROR(reestimate_statistics(*net, toy_set(), {.batches = 0}), "0 batches give no statistics");
  QuantConfig fused;
  fused.fuse_conv_bn = true;
  EXPECT_ERROR(reestimate_statistics(*net_of(fused), toy_set(), {}), "has no batch norms");
  blocks_of(*net)[1]->conv->weight.value().fill(INFINITY);
  const Tensor mean = blocks_of(*net)[0]->bn->state.running_mean.clone();
  EXPECT_THROW(reestimate_statistics(*net, toy_set(), {.batches = 2}), Error);
  EXPECT_TRUE(test::same_bits(blocks_of(*net)[0]->bn->state.running_mean, mean)) << "nothing has changed";
}

}  // namespace
}  // namespace octet::quant
