#include "quant/ptq.h"

#include <algorithm>

#include "core/error.h"
#include "data/loader.h"
#include "quant/learned_step.h"
#include "quant/pact.h"

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
  if (config.weight_preprocess_type == Preprocess::pact) learns("weight_preprocess_type", "PACT");
  if (config.activation_preprocess_type == Preprocess::pact) learns("activation_preprocess_type", "PACT");
  if (is_learned(config.activation_quantize_type))
    learns("activation_quantize_type", name_of(config.activation_quantize_type));
  if (is_learned(config.weight_quantize_type))
    learns("weight_quantize_type", name_of(config.weight_quantize_type));
}

void calibrate(nn::Module& model, const data::Dataset& dataset, const CalibrateOptions& options,
               const CalibrateProgress& progress) {
  OCTET_CHECK(options.pictures >= 1, kWhere, "{} pictures to calibrate on must be positive", options.pictures);
  const std::int64_t total = std::min(options.pictures, dataset.size());
  data::Loader loader(dataset,
                      {std::min(options.batch_size, options.pictures), true, data::Augment::none, options.seed});
  model.eval();
  const NoGrad no_grad;
  const Calibrating calibrating(model);
  std::int64_t done = 0;
  for (std::int64_t batch = 0; done < total; ++batch) {
    const Tensor images = loader.make(0, batch).images;
    const std::int64_t wanted = std::min(images.shape()[0], total - done);
    model(Variable(images.slice(0, wanted)));
    done += wanted;
    if (progress) progress(done, total);
  }
}

}  // namespace octet::quant
