#include "quant/calibration/ptq.h"

#include "core/error.h"
#include "quant/calibration/adaround.h"
#include "quant/calibration/bias_correction.h"
#include "quant/prepare.h"
#include "quant/quantizers/learned_step.h"
#include "quant/quantizers/pact.h"

namespace octet::quant {
namespace {

constexpr const char* kWhere = "calibrate";
constexpr const char* kLearns = "fine-tune with quantizers in place (qat), or choose quantizers that observe";

}  // namespace

Calibrating::Calibrating(nn::Module& model) {
  for (const auto& [name, module] : model.named_modules()) {
    if (dynamic_cast<LearnedStepQuantizer*>(module) != nullptr)
      fail(kWhere, fmt::format("the step of {} is learned (lsq)", name), kLearns);
    if (dynamic_cast<Pact*>(module) != nullptr)
      fail(kWhere, fmt::format("the threshold of {} is learned (PACT)", name), kLearns);
    if (auto* quantizer = dynamic_cast<FakeQuantizer*>(module)) quantizers_.push_back(quantizer);
  }
  OCTET_CHECK(!quantizers_.empty(), kWhere, "the model has no quantizers ---> HINT prepare() it first");
  set(true);
}

Calibrating::~Calibrating() { set(false); }

void Calibrating::set(bool on) {
  for (FakeQuantizer* quantizer : quantizers_) quantizer->set_calibrating(on);
}

void require_calibratable(const QuantConfig& config) {
  const auto learns = [](const char* key, const char* value) {
    fail(kWhere, fmt::format("{} {} is learned by training", key, value), kLearns);
  };
  for (const auto& [key, type] : {std::pair("weight_preprocess_type", config.weight_preprocess_type),
                                  std::pair("activation_preprocess_type", config.activation_preprocess_type)})
    if (type != Preprocess::none) fail(kWhere, fmt::format("{} {} wants training", key, name_of(type)), kLearns);
  if (is_learned(config.activation_quantize_type))
    learns("activation_quantize_type", name_of(config.activation_quantize_type));
  if (is_learned(config.weight_quantize_type)) learns("weight_quantize_type", name_of(config.weight_quantize_type));
}

void calibrate(nn::Module& model, const data::Dataset& dataset, const CalibrateOptions& options,
               const CalibrateProgress& progress) {
  model.eval();
  const NoGrad no_grad;
  const Calibrating calibrating(model);
  for_calibration_batches(dataset, options, [&](const Tensor& images, std::int64_t done, std::int64_t total) {
    model(Variable(images));
    if (progress) progress(done, total);
  });
}

void ptq(nn::Module& model, const Shape& shape, const QuantConfig& config, const data::Dataset& dataset,
         const CalibrateOptions& options, const PtqProgress& progress) {
  const auto stage = [&](const char* name) {
    return [&progress, name](std::int64_t done, std::int64_t total) {
      if (progress) progress(name, done, total);
    };
  };
  require_calibratable(config);
  ChannelNormals normals;
  prepare(model, shape, config, &normals);
  calibrate(model, dataset, options, stage("calibrate"));
  if (config.adaround_steps > 0) {
    const RoundingOptions rounding{.steps = config.adaround_steps, .seed = options.seed};
    adaround(model, shape, dataset, options, rounding, stage("adaround"));
  }
  if (config.bias_correction == BiasCorrection::empirical)
    correct_biases(model, shape, dataset, options, stage("correct biases"));
  if (config.bias_correction == BiasCorrection::analytic) correct_biases(model, shape, normals);
}

}  // namespace octet::quant
