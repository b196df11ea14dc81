// Recorded training steps beside those that run as they are made: equal bits, whatever is recorded, reported or resumed.
#include <cmath>
#include <functional>

#include "core/profile_data.h"
#include "kernels/momentum/momentum.h"
#include "ops/ops.h"
#include "optim/device_steps.h"
#include "optim/trainer.h"
#include "quant/prepare.h"
#include "quant/training/training_setup.h"
#include "tests/gpu/device.h"
#include "tests/optim/toy_problem.h"
#include "tests/support/expect_error.h"
#include "tests/support/temp_folder.h"
#include "tests/support/tensors.h"

namespace octet {
namespace {

using optim::DeviceSteps;
using optim::Progress;

class GpuGraphTraining : public test::OnDevice {};

/// A convolution, a depthwise one and a linear layer; dropout draws on the host.
std::shared_ptr<nn::Module> net(Device device = Device::cuda, bool with_dropout = false) {
  const nn::DeviceScope there(device);
  std::vector<std::shared_ptr<nn::Module>> layers{
      std::make_shared<nn::ConvBnAct>(nn::Conv2dOptions{3, 8, 3, 3, 4, 1, false, false}, ops::Activation::relu),
      std::make_shared<nn::ConvBnAct>(nn::Conv2dOptions{8, 8, 3, 3, 1, 1, false, true}, ops::Activation::relu),
      std::make_shared<nn::GlobalAvgPool>(), std::make_shared<nn::Flatten>()};
  if (with_dropout) layers.push_back(std::make_shared<nn::Dropout>(0.1, 5));
  layers.push_back(std::make_shared<nn::Linear>(8, 4));
  auto made = std::make_shared<nn::Sequential>(layers);
  nn::initialise(*made, nn::Init::he, 1);
  return made;
}

// 5 batches an epoch, the last one of 6 pictures.
const data::Dataset& pictures() {
  static const data::Dataset set = test::toy_pictures(38, 1);
  return set;
}

constexpr optim::MomentumOptions kMomentum{0.05, 0.9, 1e-4, true};
constexpr data::LoaderOptions kLoader{.batch_size = 8, .augment = data::Augment::crop_flip, .seed = 3};

std::uint32_t crc_of(const nn::Module& model) {
  nn::Module::NamedTensors here;
  for (const auto& [name, tensor] : model.state()) here.emplace_back(name, tensor.to(Device::cpu));
  return test::state_crc(here);
}

struct Outcome {
  std::uint32_t crc = 0;
  optim::FitResult result;
  std::vector<Progress> steps;
};

struct Recorder : optim::Callback {
  explicit Recorder(Outcome& to) : run(to) {}
  void on_step(const Progress& p) override {
    run.steps.push_back(p);
    if (p.step == stop_at) throw std::runtime_error("stopped");
  }
  Outcome& run;
  std::int64_t stop_at = 0;
};

optim::FitOptions options_of(std::int64_t epochs, std::int64_t report_every = 10) {
  optim::FitOptions options;
  options.epochs = epochs, options.loader = kLoader, options.report_every = report_every;
  return options;
}

Outcome fit(const std::shared_ptr<nn::Module>& model, const optim::FitOptions& options, std::int64_t stop_at = 0) {
  Outcome run;
  optim::Trainer trainer(model);
  trainer.prepare({kMomentum, optim::ScheduleKind::cosine, 0.05});
  Recorder recorder(run);
  recorder.stop_at = stop_at;
  try {
    run.result = trainer.fit(pictures(), options, &recorder);
  } catch (const std::runtime_error&) {
    EXPECT_NE(stop_at, 0);
  }
  run.crc = crc_of(*model);
  return run;
}

/// The update parameter by parameter, the rate in each launch.
class OneByOne {
 public:
  explicit OneByOne(const nn::Module& model) : parameters_(model.parameters()) {
    for (const Variable& p : parameters_)
      velocities_.push_back(Tensor::zeros(p.shape(), DType::f32, p.value().device()));
  }
  void step(double lr) {
    for (std::size_t i = 0; i < parameters_.size(); ++i) {
      Variable& p = parameters_[i];
      kernels::dispatch(kernels::momentum_rows(), "momentum", "f32",
                        kernels::MomentumProblem{p.value().numel(), lr, kMomentum.momentum, kMomentum.weight_decay,
                                                 kMomentum.nesterov},
                        kernels::MomentumPointers{p.grad().raw(), velocities_[i].raw(), p.value().raw()},
                        kernels::context_of(Device::cuda));
      p.zero_grad();
    }
  }

 private:
  std::vector<Variable> parameters_;
  std::vector<Tensor> velocities_;
};

/// The same fit, step by step: batches from the loader, scores counted and everything run on the host's word.
Outcome by_hand(const std::shared_ptr<nn::Module>& model, std::int64_t epochs) {
  Outcome run;
  const data::Loader loader(pictures(), kLoader);
  OneByOne optimizer(*model);
  const optim::Schedule schedule{optim::ScheduleKind::cosine, kMomentum.lr};
  const std::int64_t batches = loader.batches_per_epoch();
  for (std::int64_t epoch = 0; epoch < epochs; ++epoch) {
    optim::Scores scores;
    for (std::int64_t i = 0; i < batches; ++i) {
      const data::Batch batch = loader.make(static_cast<std::uint64_t>(epoch), i);
      const Tensor labels = batch.labels.to(model->device());
      const Variable logits = (*model)(Variable(batch.images.to(model->device())));
      const Variable loss = ops::softmax_cross_entropy(logits, labels, 0.05);
      scores.add(logits.value(), labels, loss.value().item());
      loss.backward();
      optimizer.step(schedule.at(epoch * batches + i, epochs * batches));
    }
    run.result.epochs.push_back(scores);
  }
  run.crc = crc_of(*model);
  return run;
}

void expect_equal(const optim::Scores& a, const optim::Scores& b) {
  EXPECT_EQ(a.loss_sum, b.loss_sum);
  EXPECT_EQ(a.pictures, b.pictures);
  EXPECT_EQ(a.top1_hits, b.top1_hits);
  EXPECT_EQ(a.top5_hits, b.top5_hits);
}

TEST_F(GpuGraphTraining, RecordedStepsHaveTheBitsOfStepsByHand) {
  for (const bool with_dropout : {false, true}) {
    const Outcome wanted = by_hand(net(Device::cuda, with_dropout), 3),
                  got = fit(net(Device::cuda, with_dropout), options_of(3));
    EXPECT_EQ(wanted.crc, got.crc) << with_dropout;
    ASSERT_EQ(got.result.epochs.size(), 3u);
    for (std::size_t i = 0; i < 3; ++i) expect_equal(wanted.result.epochs[i], got.result.epochs[i]);
    EXPECT_EQ(got.result.step_ms.size(), 15u);
  }
}

TEST_F(GpuGraphTraining, ReportsChangeNothing) {
  const Outcome often = fit(net(), options_of(2, 1)), seldom = fit(net(), options_of(2, 1000));
  EXPECT_EQ(often.crc, seldom.crc);
  ASSERT_EQ(often.steps.size(), 10u);
  ASSERT_EQ(seldom.steps.size(), 10u);
  for (std::size_t i = 0; i < 10; ++i) {
    EXPECT_EQ(seldom.steps[i].batch, static_cast<std::int64_t>(i % 5) + 1);
    const std::size_t reported = i < 4 ? 0 : i < 9 ? 4 : 9;  // the first step's, the epochs' ends
    if (i != 5 && i != 6 && i != 7 && i != 8) expect_equal(seldom.steps[i].scores, often.steps[reported].scores);
    EXPECT_EQ(seldom.steps[i].batch_loss, often.steps[reported].batch_loss) << i;
    EXPECT_EQ(seldom.steps[i].lr, often.steps[i].lr);
    EXPECT_GT(seldom.steps[i].step_ms, 0);
  }
  for (std::size_t i = 5; i < 9; ++i)
    EXPECT_EQ(seldom.steps[i].scores.pictures, 0) << "nothing is known of the new epoch yet";
}

TEST_F(GpuGraphTraining, AResumedRunHasTheSameBits) {
  const test::TempFolder folder;
  const Outcome whole = fit(net(), options_of(3));
  for (const std::int64_t stop_at : {4, 7, 9}) {
    optim::FitOptions options = options_of(3);
    options.checkpoint_path = folder / std::to_string(stop_at), options.tag = "t", options.checkpoint_every = 3;
    fit(net(), options, stop_at);
    options.resume = true;
    const Outcome rest = fit(net(), options);
    EXPECT_EQ(rest.crc, whole.crc) << stop_at;
    EXPECT_LT(rest.steps.size(), 15u);
    ASSERT_FALSE(rest.result.epochs.empty());
    expect_equal(rest.result.epochs.back(), whole.result.epochs.back());
  }
}

/// Steps outside of a fit, to see what was recorded.
std::int64_t launches_of(nn::Module& model, std::int64_t epochs) {
  optim::Momentum optimizer(model.named_parameters(), kMomentum);
  optim::Method none;
  DeviceSteps steps(model, optimizer, none, pictures(), kLoader, 0);
  for (std::int64_t epoch = 0; epoch < epochs; ++epoch) {
    steps.start(static_cast<std::uint64_t>(epoch), 0, {});
    for (std::int64_t i = 0; i < 5; ++i) steps.run(i);
    EXPECT_EQ(steps.report().scores.pictures, 38);
  }
  return steps.launches();
}

TEST_F(GpuGraphTraining, AllButTheFirstStepOfASizeAreRecorded) { EXPECT_EQ(launches_of(*net(), 3), 3 + 5 + 5); }

TEST_F(GpuGraphTraining, AModelThatReadsOnTheHostStaysEager) { EXPECT_EQ(launches_of(*net(Device::cuda, true), 2), 0); }

std::shared_ptr<nn::Module> quantized_net(const quant::QuantConfig& config) {
  const auto model = net();
  quant::prepare(*model, Shape{1, 32, 32, 3}, config);
  return model;
}

/// Everything that training with quantizers may do on a device without the host.
std::vector<quant::QuantConfig> quantizers() {
  using quant::ActivationQuantize;
  using quant::WeightQuantize;
  std::vector<quant::QuantConfig> all(13);
  all[1].scheme = quant::Scheme::paddle;
  all[2].weight_preprocess_type = all[2].activation_preprocess_type = quant::Preprocess::pact;
  all[3].weight_quantize_type = WeightQuantize::channel_wise_lsq,
  all[3].activation_quantize_type = ActivationQuantize::lsq;
  all[4].weight_quantize_type = WeightQuantize::abs_max,
  all[4].activation_quantize_type = ActivationQuantize::range_abs_max, all[4].window_size = 3;
  all[5].activation_quantize_type = ActivationQuantize::abs_max, all[5].weight_bits = 4, all[5].activation_bits = 3;
  all[6].weight_quantize_type = WeightQuantize::channel_wise_percentile, all[6].weight_percentile = 90;
  all[6].ste = quant::Ste::plain;
  all[7].batch_norm = all[8].batch_norm = quant::BatchNormMode::folded;
  all[8].weight_quantize_type = WeightQuantize::abs_max;
  all[9].activation_quantize_type = ActivationQuantize::percentile, all[9].scheme = quant::Scheme::paddle;
  all[10].activation_quantize_type = ActivationQuantize::mse, all[10].activation_bits = 4;
  all[11].weight_quantize_type = WeightQuantize::sawb, all[11].ste = quant::Ste::ewgs;
  all[11].weight_power_of_two = all[11].activation_power_of_two = true;
  all[12].weight_preprocess_type = quant::Preprocess::dorefa,
  all[12].activation_quantize_type = ActivationQuantize::dorefa;
  return all;
}

TEST_F(GpuGraphTraining, QuantizedStepsAreRecordedToo) {
  for (const quant::QuantConfig& config : quantizers()) {
    SCOPED_TRACE(quant::to_json(config));
    const Outcome wanted = by_hand(quantized_net(config), 3), got = fit(quantized_net(config), options_of(3));
    EXPECT_EQ(wanted.crc, got.crc);
    ASSERT_EQ(got.result.epochs.size(), 3u);
    for (std::size_t i = 0; i < 3; ++i) expect_equal(wanted.result.epochs[i], got.result.epochs[i]);
  }
}

/// A fit of a quantized net with the methods that its configuration asks for.
std::shared_ptr<nn::Module> fit_with_methods(const quant::QuantConfig& config, const optim::FitOptions& options,
                                             optim::ScheduleKind schedule, std::int64_t stop_at = 0,
                                             Outcome* outcome = nullptr) {
  const auto model = quantized_net(config);
  optim::Trainer trainer(model);
  optim::Trainer::Settings settings{kMomentum, schedule, 0.05};
  quant::training_setup(*model, config, net()).add_to(settings);
  trainer.prepare(settings);
  Outcome own;
  Recorder recorder(outcome != nullptr ? *outcome : own);
  recorder.stop_at = stop_at;
  try {
    trainer.fit(pictures(), options, &recorder);
  } catch (const std::runtime_error&) {
    EXPECT_NE(stop_at, 0);
  }
  return model;
}

/// Methods with a hand in every step.
std::vector<quant::QuantConfig> methods() {
  std::vector<quant::QuantConfig> all(3);
  for (quant::QuantConfig& config : all) {
    config.weight_bits = 3, config.activation_bits = 4;
    config.oscillation_threshold = 0.05, config.oscillation_threshold_end = 0.02, config.oscillation_momentum = 0.1;
  }
  all[1].weight_quantize_type = quant::WeightQuantize::channel_wise_lsq,
  all[1].activation_quantize_type = quant::ActivationQuantize::lsq;
  all[2].batch_norm = quant::BatchNormMode::folded, all[2].weight_quantize_type = quant::WeightQuantize::abs_max;
  all[2].dampening = 0.1, all[2].distill = 0.5;
  return all;
}

/// Recorded or not (a profile keeps steps apart), stopped and resumed or not: the same bits.
TEST_F(GpuGraphTraining, MethodsAreRecordedWithTheirSteps) {
  const test::TempFolder folder;
  int number = 0;
  for (const quant::QuantConfig& config : methods()) {
    SCOPED_TRACE(quant::to_json(config));
    const std::uint32_t whole = crc_of(*fit_with_methods(config, options_of(4), optim::ScheduleKind::cosine));
    EXPECT_NE(whole, crc_of(*fit_with_methods(
                         [&] {
                           quant::QuantConfig without = config;
                           without.oscillation_threshold = 0, without.oscillation_threshold_end.reset();
                           return without;
                         }(),
                         options_of(4), optim::ScheduleKind::cosine)));
    profile::start();
    EXPECT_EQ(whole, crc_of(*fit_with_methods(config, options_of(4), optim::ScheduleKind::cosine)));
    profile::stop();
    optim::FitOptions options = options_of(4);
    options.checkpoint_path = folder / std::to_string(++number), options.tag = "t", options.checkpoint_every = 3;
    fit_with_methods(config, options, optim::ScheduleKind::cosine, 8);
    options.resume = true;
    EXPECT_EQ(whole, crc_of(*fit_with_methods(config, options, optim::ScheduleKind::cosine)));
  }
}

/// What was recorded before statistics froze is not launched behind it.
TEST_F(GpuGraphTraining, FrozenStatisticsAreRecordedAnew) {
  quant::QuantConfig config;
  config.batch_norm_freeze_epoch = 1;
  const auto fit_for = [&](std::int64_t epochs, bool freezes) {
    quant::QuantConfig own = config;
    if (!freezes) own.batch_norm_freeze_epoch = -1;
    return fit_with_methods(own, options_of(epochs), optim::ScheduleKind::constant);
  };
  const auto statistics = [](const nn::Module& model) {
    std::vector<float> all;
    for (const auto& [name, tensor] : model.named_buffers()) {
      const Tensor here = tensor.to(Device::cpu);
      for (std::int64_t i = 0; name.find("running") != std::string::npos && i < here.numel(); ++i)
        all.push_back(static_cast<float>(here.at(i)));
    }
    return all;
  };
  const auto frozen = fit_for(3, true);
  EXPECT_EQ(statistics(*frozen), statistics(*fit_for(1, false)));
  EXPECT_NE(statistics(*frozen), statistics(*fit_for(3, false)));
  EXPECT_NE(crc_of(*frozen), crc_of(*fit_for(1, false))) << "weights go on learning";
}

/// The update knows nothing of frozen weights: what it would leave for the quantizers is not what they are.
TEST_F(GpuGraphTraining, FreezingLeavesQuantizingToTheForwardPass) {
  const quant::QuantConfig config = methods()[0];
  const auto model = quantized_net(config);
  const auto& conv = *model->named_modules()[2].second;
  const auto has_target = [&] {
    return conv.slot("weight_transform")->weight_target(nn::weight_of(conv).value()).has_value();
  };
  struct Watcher : optim::Callback {
    explicit Watcher(std::function<bool()> look) : has_target(std::move(look)) {}
    void on_step(const Progress&) override { EXPECT_FALSE(has_target()); }
    std::function<bool()> has_target;
  } watcher(has_target);
  optim::Trainer trainer(model);
  optim::Trainer::Settings settings{kMomentum, optim::ScheduleKind::cosine, 0.05};
  quant::training_setup(*model, config).add_to(settings);
  trainer.prepare(settings);
  EXPECT_TRUE(has_target());
  trainer.fit(pictures(), options_of(1), &watcher);
  EXPECT_TRUE(has_target()) << "as before";
}

TEST_F(GpuGraphTraining, AWarmQuantizedStepCopiesNothing) {
  for (const quant::QuantConfig& config : quantizers()) {
    SCOPED_TRACE(quant::to_json(config));
    const auto model = quantized_net(config);
    optim::Momentum optimizer(model->named_parameters(), kMomentum);
    optim::Method none;
    DeviceSteps steps(*model, optimizer, none, pictures(), kLoader, 0);
    std::size_t warm = 0;
    for (std::int64_t epoch = 0; epoch < 3; ++epoch) {
      steps.start(static_cast<std::uint64_t>(epoch), 0, {});
      if (epoch == 2) warm = gpu::host_copies();
      for (std::int64_t i = 0; i < 5; ++i) steps.run(i);
    }
    EXPECT_EQ(gpu::host_copies(), warm);
    EXPECT_GE(steps.launches(), 3 + 5 + 5 - 3) << "a first step may start thresholds";
  }
}

/// Neither the teacher's logits nor the distances of weights from their codes come to the host.
TEST_F(GpuGraphTraining, AWarmStepOfLossMethodsCopiesNothing) {
  quant::QuantConfig config;
  config.dampening = 0.1, config.distill = 0.5;
  const auto model = quantized_net(config);
  optim::Momentum optimizer(model->named_parameters(), kMomentum);
  optim::Methods methods(quant::training_setup(*model, config, net()).methods);
  methods.begin_fit(15);
  DeviceSteps steps(*model, optimizer, methods, pictures(), kLoader, 0);
  for (std::int64_t epoch = 0; epoch < 3; ++epoch) {
    steps.start(static_cast<std::uint64_t>(epoch), 0, {});
    for (std::int64_t i = 0; i < 5; ++i) {
      methods.begin_step(5 * epoch + i);
      const std::size_t before = gpu::host_copies();
      steps.run(i);
      if (epoch == 2) {
        EXPECT_EQ(gpu::host_copies(), before) << i;
      }
    }
  }
  EXPECT_GE(steps.launches(), 2 + 5 + 5)
      << "the first step of a size is not recorded, nor one behind observers that start";
}

/// What an update left for the quantizers is theirs alone while the steps live.
TEST_F(GpuGraphTraining, WeightsAreQuantizedByTheUpdate) {
  const auto model = quantized_net({});
  const auto& conv = *model->named_modules()[2].second;
  ASSERT_EQ(conv.kind(), "Conv2d");
  const auto quantizer = conv.slot("weight_transform");
  const Variable weight = conv.named_parameters()[0].second;
  {
    optim::Momentum optimizer(model->named_parameters(), kMomentum);
    optim::Method none;
    DeviceSteps steps(*model, optimizer, none, pictures(), kLoader, 0);
    steps.start(0, 0, {});
    steps.run(0);
    model->train();
    const auto target = quantizer->weight_target(weight.value());
    ASSERT_TRUE(target.has_value());
    EXPECT_EQ(quantizer->apply(weight).value().raw(), target->value.raw()) << "no launch of its own";
    const Tensor left = target->value.to(Device::cpu);
    model->eval();  // which does the work itself
    const Tensor made = quantizer->apply(weight).value().to(Device::cpu);
    for (std::int64_t i = 0; i < left.numel(); ++i) ASSERT_EQ(left.at(i), made.at(i)) << i;
  }
  model->train();
  EXPECT_NE(quantizer->apply(weight).value().raw(), quantizer->weight_target(weight.value())->value.raw());
}

TEST_F(GpuGraphTraining, AffineGridsReadTheirRangeAndStayEager) {
  quant::QuantConfig observed, learned;
  observed.activation_quantize_type = quant::ActivationQuantize::min_max;
  learned.activation_quantize_type = quant::ActivationQuantize::lsq, learned.activation_affine = true;
  for (const quant::QuantConfig& config : {observed, learned}) {
    EXPECT_EQ(launches_of(*quantized_net(config), 2), 0);
    EXPECT_EQ(by_hand(quantized_net(config), 2).crc, fit(quantized_net(config), options_of(2)).crc);
  }
}

TEST_F(GpuGraphTraining, EvaluationBetweenStepsDisturbsNothing) {
  struct Evaluating : optim::Callback {
    explicit Evaluating(optim::Trainer& to) : trainer(to) {}
    void on_step(const Progress&) override { trainer.evaluate(pictures().first(9), 4); }
    optim::Trainer& trainer;
  };
  const auto model = net();
  optim::Trainer trainer(model);
  trainer.prepare({kMomentum, optim::ScheduleKind::cosine, 0.05});
  Evaluating callback(trainer);
  trainer.fit(pictures(), options_of(2), &callback);
  EXPECT_EQ(crc_of(*model), fit(net(), options_of(2)).crc);
}

TEST_F(GpuGraphTraining, ALostLossIsToldWithItsStep) {
  const auto model = net();
  optim::Trainer trainer(model);
  trainer.prepare({{1e39, 0.9, 0, false}, optim::ScheduleKind::constant, 0});
  EXPECT_ERROR(trainer.fit(pictures(), options_of(2)), "at epoch 1, step 2 ---> HINT lower --lr");
}

TEST_F(GpuGraphTraining, LabelsThatTheNetHasNotAreRefused) {
  data::Dataset set = pictures();
  set.labels = set.labels.clone();
  set.labels.data<std::int32_t>()[30] = 4;
  optim::Trainer trainer(net());
  EXPECT_ERROR(trainer.fit(set, options_of(1)), "label 4 of picture 30 is outside [0, 4)");
}

}  // namespace
}  // namespace octet
