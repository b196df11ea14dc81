// The Momentum optimizer over named parameters.
#pragma once
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "nn/transform.h"

namespace octet::optim {

struct MomentumOptions {
  double lr = 0.1;
  double momentum = 0.9;
  double weight_decay = 0;  ///< L2, added to the gradient
  bool nesterov = false;
};

/// v ← momentum·v + g + weight_decay·w;  w ← w − lr·v (Polyak 1964; kernels/momentum/momentum.h has the exact order).
class Momentum {
 public:
  /// Settings of a group of parameters that differ from the rest, for example PACT thresholds with another rate.
  struct Group {
    nn::Module::NamedParameters parameters;
    double lr_scale = 1;
    double weight_decay = 0;
  };

  /// All parameters as one group with the options' weight decay. Throws Error on options out of range, and on a parameter given
  /// twice.
  Momentum(nn::Module::NamedParameters parameters, const MomentumOptions& options);
  Momentum(std::vector<Group> groups, const MomentumOptions& options);

  /// Updates every parameter that has a gradient. May be recorded on a device (core/gpu/gpu.h), see bring().
  void step();
  /// Brings the rate to the device, where recorded steps read it: before the launch of one, when it has changed.
  void bring();
  void zero_grad();
  /// From now on an update on a device also makes what the quantizers of the model's weights will want (nn::WeightTarget). Until end():
  /// nobody else may change these weights meanwhile.
  void begin_quantizing(nn::Module& model);
  void end_quantizing();
  void set_lr(double lr) { options_.lr = lr; }
  double lr() const { return options_.lr; }
  /// "velocity.<parameter>" each, sharing memory.
  nn::Module::NamedTensors state() const;
  /// Throws Error when names or shapes do not match, and then changes nothing.
  void load_state(const nn::Module::NamedTensors& state);

 private:
  class There;  // on the device
  MomentumOptions options_;
  std::vector<Group> groups_;
  std::vector<std::vector<Tensor>> velocities_;  // as groups_
  std::shared_ptr<There> there_;                 // undefined until a parameter of a device is updated
  std::map<const Node*, std::shared_ptr<nn::Transform>> quantizers_;  // of weights, by parameter
};

}  // namespace octet::optim
