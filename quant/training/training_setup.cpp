#include "quant/training/training_setup.h"

#include "quant/quantizers/pact.h"
#include "quant/training/batch_norm_statistics.h"
#include "quant/training/dampening.h"
#include "quant/training/distillation.h"

namespace octet::quant {
namespace {

/// Weight decays of PACT's thresholds, by the names that the model gives them.
std::map<std::string, double> threshold_decays(const nn::Module& model, double decay) {
  std::map<std::string, double> all;
  for (const auto& [path, module] : model.named_modules())
    if (dynamic_cast<const Pact*>(module) != nullptr) all[path + ".alpha"] = decay;
  return all;
}

}  // namespace

void TrainingSetup::add_to(optim::Trainer::Settings& settings) const {
  settings.methods.insert(settings.methods.end(), methods.begin(), methods.end());
  settings.weight_decays.insert(weight_decays.begin(), weight_decays.end());
}

TrainingSetup training_setup(nn::Module& model, const QuantConfig& config, std::shared_ptr<nn::Module> teacher) {
  TrainingSetup setup;
  if (config.distill > 0)
    setup.methods.push_back(
        std::make_shared<Distillation>(std::move(teacher), config.distill, config.distill_temperature));
  if (config.dampening > 0) setup.methods.push_back(std::make_shared<Dampening>(model, config.dampening));
  if (config.batch_norm_freeze_epoch >= 0)
    setup.methods.push_back(std::make_shared<FrozenStatistics>(model, config.batch_norm_freeze_epoch));
  if (config.oscillation_threshold > 0) {
    const double end = config.oscillation_threshold_end.value_or(config.oscillation_threshold);
    setup.freezing = std::make_shared<OscillationFreezing>(
        model, FreezingOptions{config.oscillation_threshold, end, config.oscillation_momentum});
    setup.methods.push_back(setup.freezing);
  }
  if (config.pact_decay) setup.weight_decays = threshold_decays(model, *config.pact_decay);
  return setup;
}

}  // namespace octet::quant
