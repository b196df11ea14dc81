// Layers of one op each. Layouts: activations N,H,W,C or N,C; weights K,R,S,C, depthwise C,R,S,1, linear out,in.
// Every layer's slots are named at its class; prepare (quant/) fills them.
#pragma once
#include <cstdint>
#include <memory>
#include <vector>

#include "nn/module.h"
#include "ops/ops.h"

namespace octet::nn {

struct Conv2dOptions {
  std::int64_t in_channels = 0, out_channels = 0;
  std::int64_t kernel_h = 1, kernel_w = 1;
  std::int64_t stride = 1, padding = 0;
  bool bias = true;
  bool depthwise = false;  ///< in_channels == out_channels, one filter per channel
};
/// γ/√(running_var + ε) of a batch norm, from its own tensors.
struct FoldedScale {
  Variable gamma;
  ops::BatchNormState state;
  bool on = true;
};

/// Slots of a Conv2d or Linear. The weight goes through its parametrization, then through its transform.
std::vector<std::string> layer_slot_names();

/// Slots: layer_slot_names(). Parameters: weight, bias.
class Conv2d : public Module {
 public:
  explicit Conv2d(const Conv2dOptions& options);
  std::string kind() const override { return options_.depthwise ? "DepthwiseConv2d" : "Conv2d"; }
  Variable forward(const Variable& src) override;
  std::vector<std::string> slot_names() const override { return layer_slot_names(); }
  const Conv2dOptions& options() const { return options_; }
  /// Of the windows from now on; weights do not depend on it. Throws Error unless it is positive.
  void set_stride(std::int64_t stride);
  ops::Conv2dArgs args() const;
  /// Input and weight after their transforms: what forward() convolves.
  Variable transformed_input(const Variable& src) const { return through_slot("input_transform", src); }
  Variable transformed_weight() const { return through_slot("weight_transform", effective_weight()); }
  /// What the transforms are given: the parameters, with the scale of a batch norm that folds (BatchNorm2d::fold_while_training); the
  /// weight behind its parametrization.
  Variable effective_weight() const { return through_slot("weight_parametrization", folded(weight)); }
  Variable folded_bias() const { return folded(bias); }
  /// The numbers that folding multiplies by, one per filter; undefined where nothing folds.
  Tensor folded_factor() const;
  /// Gives a convolution without bias one (a batch norm folded into it).
  void add_bias(Tensor value);
  Variable weight, bias;  ///< bias undefined without one

 private:
  friend class BatchNorm2d;
  bool folds() const;
  Variable folded(const Variable& parameter) const;
  Conv2dOptions options_;
  std::shared_ptr<const FoldedScale> folded_scale_;  ///< null: none
};

/// Slots: layer_slot_names(). Parameters: weight {out, in}, bias {out}.
class Linear : public Module {
 public:
  Linear(std::int64_t in_features, std::int64_t out_features, bool bias = true);
  std::string kind() const override { return "Linear"; }
  Variable forward(const Variable& src) override;
  std::vector<std::string> slot_names() const override { return layer_slot_names(); }
  /// As the weight's transform is given it.
  Variable effective_weight() const { return through_slot("weight_parametrization", weight); }
  Variable weight, bias;
};

/// The weight of a Conv2d or Linear, and its bias, undefined where it has none. Throw Error for other modules.
const Variable& weight_of(const Module& layer);
const Variable& bias_of(const Module& layer);
/// The same as their transforms are given them: Conv2d::effective_weight(), folded_bias().
Variable effective_weight_of(const Module& layer);
Variable folded_bias_of(const Module& layer);
/// Conv2d::folded_factor(); undefined for a Linear.
Tensor folded_factor_of(const Module& layer);

/// Slot: affine_transform (applied to the affine {2, c}). Parameters gamma, beta; buffers running_mean, running_var.
class BatchNorm2d : public Module {
 public:
  explicit BatchNorm2d(std::int64_t channels, double momentum = 0.9, double epsilon = 1e-5);
  std::string kind() const override { return "BatchNorm2d"; }
  Variable forward(const Variable& src) override;
  std::vector<std::string> slot_names() const override { return {"affine_transform"}; }
  /// The affine after its transform; in training from the statistics of z, which are folded into the running ones.
  Variable affine(const Variable& z);
  Variable transformed_affine(const Variable& affine) const;
  /// Running statistics stay as they are, also in training (evaluation formula), when on.
  void freeze_statistics(bool on) { frozen_ = on; }
  bool statistics_frozen() const { return frozen_; }
  /// From now on the convolution multiplies its weight and bias by γ/√(running_var + ε) on their way to their transforms
  /// (ops::fold_batchnorm), and the affine counts on it: weights are quantized as deployment will have them. Both keep
  /// their parameters. The convolution must feed this batch norm alone, which must be fed by it alone.
  void fold_while_training(Conv2d& conv);
  void stop_folding();
  /// Not while slots are bypassed.
  bool folds_while_training() const;
  /// Scales the convolution's weights by γ/√(running_var + ε), gives it the shift as bias, and from then on is the identity
  /// without parameters. The convolution must feed this batch norm alone.
  void fold_into(Conv2d& conv);
  bool folded() const { return folded_; }
  Variable gamma, beta;
  ops::BatchNormState state;

 private:
  bool frozen_ = false;
  std::shared_ptr<FoldedScale> folded_scale_;  ///< null: none
  bool folded_ = false;
};

class Activation : public Module {
 public:
  explicit Activation(ops::Activation act) : act_(act) {}
  std::string kind() const override;
  Variable forward(const Variable& src) override { return ops::activation(src, act_); }
  ops::Activation act() const { return act_; }

 private:
  ops::Activation act_;
};
std::shared_ptr<Activation> relu();
std::shared_ptr<Activation> relu6();

/// Slots: lhs_transform, rhs_transform (on its two inputs).
class Add : public Module {
 public:
  std::string kind() const override { return "Add"; }
  Variable operator()(const Variable& a, const Variable& b);
  std::vector<std::string> slot_names() const override { return {"lhs_transform", "rhs_transform"}; }
};

/// Joins along channels. No slot: its output shares its inputs' quantizer.
class Concat : public Module {
 public:
  std::string kind() const override { return "Concat"; }
  Variable operator()(const std::vector<Variable>& parts);
};

class MaxPool2d : public Module {
 public:
  explicit MaxPool2d(const ops::Pool2dArgs& args) : args_(args) {}
  std::string kind() const override { return "MaxPool2d"; }
  Variable forward(const Variable& src) override { return ops::max_pool(src, args_); }

 private:
  ops::Pool2dArgs args_;
};

/// Slot: input_transform.
class AvgPool2d : public Module {
 public:
  explicit AvgPool2d(const ops::Pool2dArgs& args) : args_(args) {}
  std::string kind() const override { return "AvgPool2d"; }
  Variable forward(const Variable& src) override;
  std::vector<std::string> slot_names() const override { return {"input_transform"}; }

 private:
  ops::Pool2dArgs args_;
};

/// N,H,W,C → N,1,1,C. Slot: input_transform.
class GlobalAvgPool : public Module {
 public:
  std::string kind() const override { return "GlobalAvgPool"; }
  Variable forward(const Variable& src) override;
  std::vector<std::string> slot_names() const override { return {"input_transform"}; }
};

class Flatten : public Module {
 public:
  std::string kind() const override { return "Flatten"; }
  Variable forward(const Variable& src) override { return ops::flatten(src); }
};

/// Active in training only; give each of a model's a seed of its own. Numbers follow from (seed, number of forward passes so far), a buffer of which is saved.
class Dropout : public Module {
 public:
  explicit Dropout(double probability, std::uint64_t seed = 0);
  std::string kind() const override { return "Dropout"; }
  Variable forward(const Variable& src) override;

 private:
  double probability_;
  std::uint64_t seed_;
  Tensor step_;  ///< buffer "step", one s32
};

/// Runs modules one after the other; children are named "0", "1", ….
class Sequential : public Module {
 public:
  explicit Sequential(std::vector<std::shared_ptr<Module>> modules);
  std::string kind() const override { return "Sequential"; }
  Variable forward(const Variable& src) override;
};

/// Convolution without bias, batch norm, activation: children "conv" and "bn" (slots are theirs). The block through which fusion goes: its
/// deferred form leaves batch norm and activation to the consumer.
class ConvBnAct : public Module {
 public:
  ConvBnAct(Conv2dOptions options, ops::Activation act);
  std::string kind() const override { return "ConvBnAct"; }
  using Module::operator();
  Variable forward(const Variable& src) override;
  /// As forward(), with batch norm and activation of either side left to the consumer.
  ops::Deferred operator()(const ops::Deferred& src);
  std::shared_ptr<Conv2d> conv;
  std::shared_ptr<BatchNorm2d> bn;
  ops::Activation act() const { return act_; }

 private:
  /// src behind the input slot: its quantizer left to the convolution where it can be, applied where it cannot.
  ops::Deferred quantized_input(const ops::Deferred& src) const;
  ops::Activation act_;
};

}  // namespace octet::nn
