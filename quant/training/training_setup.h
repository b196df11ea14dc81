// What a quantization configuration asks of the Trainer that fine-tunes.
#pragma once
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "nn/module.h"
#include "optim/trainer.h"
#include "quant/config.h"
#include "quant/training/oscillation_freezing.h"

namespace octet::quant {

/// The parts of Trainer::Settings that follow from the configuration.
struct TrainingSetup {
  std::vector<std::shared_ptr<optim::Method>> methods;
  std::map<std::string, double> weight_decays;
  std::shared_ptr<OscillationFreezing> freezing;  ///< the one among the methods, null without
  void add_to(optim::Trainer::Settings& settings) const;
};

/// For a prepared model, which must outlive what is returned:
///   batch_norm_freeze_epoch: FrozenStatistics
///   oscillation_threshold: OscillationFreezing
///   dampening: Dampening
///   distill: Distillation by `teacher`, the pre-trained float net where the model lies, which nothing else needs; Error without it
///   pact_decay: a weight decay of its own for every PACT threshold, so that its loss has pact_decay/2 · α² (Choi et
///   al. 2018, section 4)
TrainingSetup training_setup(nn::Module& model, const QuantConfig& config,
                             std::shared_ptr<nn::Module> teacher = nullptr);

}  // namespace octet::quant
