#include "quant/calibration/adaround.h"

#include <algorithm>
#include <cmath>

#include "core/error.h"
#include "quant/analysis/slot_probes.h"
#include "quant/calibration/products.h"
#include "quant/calibration/single_layers.h"
#include "quant/quantizers/fake_quantizer.h"
#include "quant/quantizers/quantizer_switches.h"

namespace octet::quant {
namespace {

constexpr const char* kWhere = "adaround";

/// A layer of the net, and its weights before any was rounded.
struct Target {
  const PlanNode* node;
  Variable weight;  ///< the parameter
  Tensor original;
};

std::vector<Target> targets_of(const Drafts& drafts) {
  std::vector<Target> targets;
  for (const PlanNode* node : single_layers(drafts)) {
    const Variable weight = nn::weight_of(*node->layer);
    targets.push_back({node, weight, weight.value().clone()});
  }
  return targets;
}

/// While one lives, the net is the float net: weights as they were, nothing rounded.
class FloatNet {
 public:
  FloatNet(std::vector<Target>& targets, QuantizerSwitches& switches) : targets_(targets), switches_(switches) {
    switches_.set(false);
    for (Target& target : targets) {
      now_.push_back(target.weight.value().clone());
      target.weight.value().copy_from(target.original);
    }
  }
  ~FloatNet() {
    for (std::size_t i = 0; i < now_.size(); ++i) targets_[i].weight.value().copy_from(now_[i]);
    switches_.set(true);
  }
  FloatNet(const FloatNet&) = delete;

 private:
  std::vector<Target>& targets_;
  QuantizerSwitches& switches_;
  std::vector<Tensor> now_;
};

std::size_t channel_of(std::int64_t i, const Tensor& weight, const QuantParams& grid) {
  return grid.per_channel() ? static_cast<std::size_t>(i / (weight.numel() / weight.shape()[0])) : 0;
}

/// The weights that a step follows from: the largest of each grid.
std::vector<bool> that_set_steps(const Tensor& weight, const QuantParams& grid) {
  const std::vector<float> tops = values_of(abs_max(weight, grid.per_channel() ? weight.shape()[0] : 1));
  std::vector<bool> all;
  for (std::int64_t i = 0; i < weight.numel(); ++i)
    all.push_back(std::fabs(weight.data<float>()[i]) == tops[channel_of(i, weight, grid)]);
  return all;
}

const FakeQuantizer& quantizer_of(const PlanNode& node) { return *quantizer_in(*node.layer, "weight_transform"); }

/// Does the layer quantize what it has now to the codes of these weights?
bool has_codes_of(const PlanNode& node, const QuantParams& grid, const Tensor& rounded) {
  const Tensor weight = nn::effective_weight_of(*node.layer).value();
  if (quantizer_of(node).params_for(weight) != grid) return false;
  for (std::int64_t i = 0; i < rounded.numel(); ++i) {
    const std::size_t c = channel_of(i, rounded, grid);
    if (grid.quantize(weight.data<float>()[i], c) != grid.quantize(rounded.data<float>()[i], c)) return false;
  }
  return true;
}

/// Puts rounded weights into the parameter, those that a step follows from excepted.
void write(const Target& target, const RoundingProblem& problem, const Tensor& rounded) {
  // The last code times the step, or what a batch norm makes of it, may come out above the weight that the step is of.
  constexpr float kBelow = 1 - 1e-4f;
  const Tensor factor = nn::folded_factor_of(*target.node->layer);
  const std::int64_t inner = rounded.numel() / rounded.shape()[0];
  float* w = Variable(target.weight).value().data<float>();
  for (std::int64_t i = 0; i < rounded.numel(); ++i) {
    const bool is_switched_off = factor.defined() && factor.data<float>()[i / inner] == 0;  // by its batch norm
    if (problem.fixed[static_cast<std::size_t>(i)] || is_switched_off) continue;
    const float end = kBelow * problem.grid.dequantize(problem.grid.hi, channel_of(i, rounded, problem.grid));
    w[i] = std::clamp(rounded.data<float>()[i], -end, end);
    if (factor.defined()) w[i] /= factor.data<float>()[i / inner];
  }
  if (!has_codes_of(*target.node, problem.grid, rounded))
    fail(kWhere, fmt::format("the steps of {} do not follow from its largest weights alone", target.node->name),
         "choose weight_quantize_type abs_max or channel_wise_abs_max");
}

class Rounder {
 public:
  Rounder(nn::Module& model, const Drafts& drafts, const data::Dataset& dataset, const CalibrateOptions& pictures)
      : model_(model),
        dataset_(dataset),
        pictures_(pictures),
        targets_(targets_of(drafts)),
        switches_(quantized_layers(model, kWhere)) {
    switches_.set(true);
  }
  std::size_t size() const { return targets_.size(); }

  RoundedLayer run(std::size_t which, const RoundingOptions& options,
                   const std::function<void(std::int64_t)>& progress) {
    const Target& target = targets_[which];
    const RoundingProblem problem = problem_of(*target.node);
    const LearnedRounding learned = learn_rounding(problem, options, progress);
    const NoGrad no_grad;
    write(target, problem, learned.weight);
    return {target.node->name, learned.weight.numel(), learned.changed, learned.nearest, learned.learned};
  }

 private:
  RoundingProblem problem_of(const PlanNode& node) {
    const NoGrad no_grad;
    RoundingProblem problem;
    problem.layer = node.layer;
    problem.weight = nn::effective_weight_of(*node.layer).value().clone();
    problem.grid = quantizer_of(node).params_for(problem.weight).value();
    problem.fixed = that_set_steps(problem.weight, problem.grid);
    problem.affine = affine_behind(node), problem.act = node.act;
    problem.src = collected(node, [](const Tensor& x) { return x; });
    const FloatNet floats(targets_, switches_);
    problem.dst = collected(node, [&](const Tensor& x) {
      const Variable products = products_of(*node.layer, Variable(x), Variable(problem.weight));
      return ops::affine_act(products, Variable(problem.affine), problem.act).value();
    });
    return problem;
  }

  /// f(what enters the layer) for all pictures.
  template <class F>
  Tensor collected(const PlanNode& node, F f) {
    SlotProbes probe;
    probe.add(*node.layer, "input_transform");
    Tensor all;
    for_calibration_batches(dataset_, pictures_, [&](const Tensor& images, std::int64_t done, std::int64_t total) {
      model_(Variable(images));
      const Tensor part = f(probe.came_out(0).value());
      if (!all.defined()) all = Tensor(part.shape().with(0, total));
      all.slice(done - part.shape()[0], done).copy_from(part);
    });
    return all;
  }

  nn::Module& model_;
  const data::Dataset& dataset_;
  const CalibrateOptions& pictures_;
  std::vector<Target> targets_;
  QuantizerSwitches switches_;
};

}  // namespace

std::vector<RoundedLayer> adaround(nn::Module& model, const Shape& shape, const data::Dataset& dataset,
                                   const CalibrateOptions& pictures, const RoundingOptions& options,
                                   const std::function<void(std::int64_t, std::int64_t)>& progress) {
  OCTET_CHECK(model.device() == Device::cpu, kWhere, "the net lies on a device ---> HINT move it to the host first");
  const Drafts drafts = draft(nn::trace(model, shape));
  const nn::EvaluationMode evaluation(model);
  Rounder rounder(model, drafts, dataset, pictures);
  const std::int64_t total = options.steps * static_cast<std::int64_t>(rounder.size());
  std::vector<RoundedLayer> layers;
  for (std::size_t i = 0; i < rounder.size(); ++i) {
    RoundingOptions own = options;
    own.stream = i;
    const std::int64_t before = options.steps * static_cast<std::int64_t>(i);
    layers.push_back(rounder.run(i, own, [&](std::int64_t step) {
      if (progress) progress(before + step, total);
    }));
  }
  return layers;
}

}  // namespace octet::quant
