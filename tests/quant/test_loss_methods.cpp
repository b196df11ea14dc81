// Methods that add to the loss: dampening, and distillation from the float net.
#include <gtest/gtest.h>

#include <cmath>

#include "nn/layers.h"
#include "ops/ops.h"
#include "quant/prepare.h"
#include "quant/quantizers/fake_quantizer.h"
#include "quant/training/dampening.h"
#include "quant/training/distillation.h"
#include "quant/training/training_setup.h"
#include "quant/training/weight_grids.h"
#include "tests/optim/toy_problem.h"
#include "tests/support/expect_error.h"
#include "tests/support/stop_after.h"
#include "tests/support/temp_folder.h"
#include "tests/support/tensors.h"

namespace octet::quant {
namespace {

const data::Dataset& toy_set() {
  static const data::Dataset set = test::toy_pictures(80, 1);  // 5 batches of 16
  return set;
}

std::shared_ptr<nn::Module> fit(const QuantConfig& config, optim::FitOptions options, std::int64_t stop_after = 0) {
  const auto net = test::toy_net(), teacher = test::toy_net(2);
  prepare(*net, {1, 32, 32, 3}, config);
  optim::Trainer trainer(net);
  optim::Trainer::Settings settings{{0.05, 0.9, 1e-4, false}, optim::ScheduleKind::constant, 0};
  training_setup(*net, config, teacher).add_to(settings);
  trainer.prepare(settings);
  options.loader = {.batch_size = 16, .seed = 3};
  test::StopAfter stop(stop_after);
  try {
    trainer.fit(toy_set(), options, stop_after > 0 ? &stop : nullptr);
  } catch (const test::Stop&) {
  }
  return net;
}

/// Mean distance of the weights from their codes, in steps.
double mean_distance(const nn::Module& net) {
  double sum = 0, count = 0;
  const NoGrad no_grad;
  for (const auto& [path, layer] : layers_with_weight_grids(net)) {
    const Tensor weight = nn::effective_weight_of(*layer).value();
    const QuantParams grid = quantizer_in(*layer, "weight_transform")->params_for(weight).value();
    const auto inner = static_cast<std::size_t>(weight.numel()) / grid.scale.size();
    for (std::size_t i = 0; i < static_cast<std::size_t>(weight.numel()); ++i) {
      const double position = weight.data<float>()[i] / grid.step(i / inner);
      sum += std::fabs(position - std::rint(position)), ++count;
    }
  }
  return sum / count;
}

/// All numbers of a net's state, one after the other.
Tensor all_of(const nn::Module& net) {
  std::vector<float> all;
  for (const auto& [name, tensor] : net.state())
    for (std::int64_t i = 0; i < tensor.numel(); ++i) all.push_back(static_cast<float>(tensor.at(i)));
  return Tensor::from(Shape{static_cast<std::int64_t>(all.size())}, all);
}

QuantConfig few_bits() {
  QuantConfig config;
  config.weight_bits = 3, config.activation_bits = 4;
  return config;
}

std::vector<QuantConfig> configurations(const QuantConfig& base) {
  std::vector<QuantConfig> all(5, base);
  all[1].weight_quantize_type = WeightQuantize::channel_wise_lsq,
  all[1].activation_quantize_type = ActivationQuantize::lsq;
  all[2].scheme = Scheme::paddle;
  all[3].batch_norm = BatchNormMode::folded, all[3].weight_quantize_type = WeightQuantize::abs_max;
  all[4].weight_preprocess_type = Preprocess::dorefa;
  return all;
}

/// A linear layer's term: λ·Σ (w − code·s)², and twice that slope.
TEST(Dampening, IsThePapersTerm) {
  auto fc = std::make_shared<nn::Linear>(4, 1, false);
  nn::Sequential net({fc});
  QuantConfig config;
  config.weight_bits = 4;
  prepare(net, {1, 4}, config);
  const float weights[] = {7, 2.25f, -3.4f, 0.5f};
  fc->weight.value().copy_from(Tensor::from(Shape{1, 4}, std::vector<float>(weights, weights + 4)));
  Dampening dampening(net, 0.5);
  dampening.begin_fit(10);
  dampening.begin_step(5);
  const Variable loss = dampening.loss(Variable(Tensor::full({1}, 2), true), {}, {});
  EXPECT_NEAR(loss.value().item(), 2 + 0.25 * (0.0625 + 0.16 + 0.25), 1e-6) << "half of the weight, half-way";
  loss.backward(Tensor::full({1}, 1));
  const double wanted[] = {0, 0.125, -0.2, 0.25};
  for (std::int64_t i = 0; i < 4; ++i) EXPECT_NEAR(fc->weight.grad().at(i), wanted[i], 1e-6) << i;
  dampening.begin_step(0);
  EXPECT_EQ(dampening.loss(Variable(Tensor::full({1}, 2)), {}, {}).value().item(), 2);
}

TEST(Dampening, WeightRisesByACosine) {
  EXPECT_EQ(Dampening::weight_at(0.3, 0, 100), 0);
  EXPECT_NEAR(Dampening::weight_at(0.3, 50, 100), 0.15, 1e-12);
  EXPECT_NEAR(Dampening::weight_at(0.3, 100, 100), 0.3, 1e-12);
}

TEST(Dampening, PullsWeightsToTheirCodes) {
  optim::FitOptions options;
  options.epochs = 12;
  for (const QuantConfig& plain : configurations(few_bits())) {
    QuantConfig damped = plain;
    damped.dampening = 0.5;
    EXPECT_LT(mean_distance(*fit(damped, options)), 0.7 * mean_distance(*fit(plain, options))) << to_json(plain);
  }
}

TEST(Dampening, NeedsQuantizedWeights) {
  EXPECT_ERROR(Dampening(*test::toy_net(), 1), "[dampening] the model has no quantized weights");
}

/// (1 − w)·CE + w·T²·KL, both of whose parts are known.
TEST(Distillation, MixesBothLosses) {
  const auto teacher = test::toy_net(2);
  const data::Loader loader(toy_set(), {.batch_size = 16, .seed = 3});
  const data::Batch batch = loader.make(0, 0);
  Distillation distillation(teacher, 0.3, 2.5);
  EXPECT_FALSE(teacher->is_training());
  const Variable logits(test::random_f32({16, 4}, 5), true), ce(Tensor::full({1}, 1.5), true);
  const Variable loss = distillation.loss(ce, batch, logits);
  const double kl = ops::softmax_kl(logits, (*teacher)(Variable(batch.images)).value(), 2.5).value().item();
  EXPECT_NEAR(loss.value().item(), 0.7 * 1.5 + 0.3 * kl, 1e-5);
  loss.backward(Tensor::full({1}, 1));
  EXPECT_FLOAT_EQ(static_cast<float>(ce.grad().item()), 0.7f);
  for (const Variable& parameter : teacher->parameters())
    EXPECT_FALSE(parameter.grad().defined()) << "the teacher learns nothing";
}

/// A teacher's pass keeps nothing for a backward pass.
TEST(Distillation, RecordsNoGradientsOfTheTeacher) {
  struct Watched : nn::Module {
    Variable forward(const Variable& src) override {
      const Variable logits = (*net)(src);
      records = logits.requires_grad();
      return logits;
    }
    std::string kind() const override { return "Watched"; }
    std::shared_ptr<nn::Module> net = test::toy_net(2);
    bool records = true;
  };
  const auto teacher = std::make_shared<Watched>();
  const data::Batch batch = data::Loader(toy_set(), {.batch_size = 16, .seed = 3}).make(0, 0);
  const Variable logits(test::random_f32({16, 4}, 5), true);
  Distillation(teacher, 0.3, 2.5).loss(Variable(Tensor::full({1}, 1.5), true), batch, logits);
  EXPECT_FALSE(teacher->records);
}

/// With the teacher's word alone, the student comes to agree with it, whatever the labels say.
TEST(Distillation, TheStudentTakesAfterItsTeacher) {
  const auto teacher = test::toy_net(2);
  optim::Trainer school(teacher);
  school.prepare({{0.1, 0.9, 0, false}, optim::ScheduleKind::constant, 0});
  optim::FitOptions options;
  options.epochs = 6, options.loader.batch_size = 16;
  school.fit(toy_set(), options);
  data::Dataset mislabelled = toy_set();
  mislabelled.labels = Tensor::zeros(mislabelled.labels.shape(), DType::s32);
  const auto student = test::toy_net(1);
  prepare(*student, {1, 32, 32, 3}, {});
  QuantConfig config;
  config.distill = 1, config.distill_temperature = 2;
  optim::Trainer trainer(student);
  optim::Trainer::Settings settings{{0.1, 0.9, 0, false}, optim::ScheduleKind::constant, 0};
  training_setup(*student, config, teacher).add_to(settings);
  trainer.prepare(settings);
  const Tensor before = all_of(*teacher);
  trainer.fit(mislabelled, options);
  EXPECT_TRUE(test::same_bits(all_of(*teacher), before)) << "the teacher stays as it is";
  EXPECT_GT(trainer.evaluate(toy_set()).top1(), 0.8);
}

TEST(Distillation, RefusesWhatIsNoTeaching) {
  EXPECT_ERROR(Distillation(nullptr, 0.5, 4), "[distill] there is no float net to learn from");
  EXPECT_ERROR(Distillation(test::toy_net(), 0, 4), "the teacher's weight is 0");
  EXPECT_ERROR(Distillation(test::toy_net(), 0.5, 0), "temperature 0 is not a positive number");
  QuantConfig config;
  config.distill = 0.5;
  const auto net = test::toy_net();
  prepare(*net, {1, 32, 32, 3}, config);
  EXPECT_ERROR(training_setup(*net, config), "no float net");
}

TEST(LossMethods, AResumedFitHasTheSameBits) {
  const test::TempFolder folder;
  QuantConfig both = few_bits();
  both.dampening = 0.1, both.distill = 0.5;
  int number = 0;
  for (const QuantConfig& config : configurations(both)) {
    SCOPED_TRACE(to_json(config));
    optim::FitOptions options;
    options.epochs = 3;
    const std::uint32_t whole = test::state_crc(fit(config, options)->state());
    options.checkpoint_path = folder / std::to_string(++number), options.tag = "t", options.checkpoint_every = 1;
    fit(config, options, 8);
    options.resume = true;
    EXPECT_EQ(test::state_crc(fit(config, options)->state()), whole);
  }
}

}  // namespace
}  // namespace octet::quant
