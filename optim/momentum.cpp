#include "optim/momentum.h"

#include <algorithm>
#include <cmath>
#include <map>
#include <set>

#include "core/gpu/gpu.h"
#include "core/parallel.h"
#include "core/profile.h"
#include "kernels/momentum/momentum.h"
#include "kernels/momentum_many/momentum_many.h"

namespace octet::optim {

Momentum::Momentum(nn::Module::NamedParameters parameters, const MomentumOptions& options)
    : Momentum(std::vector<Group>{{std::move(parameters), 1, options.weight_decay}}, options) {}

Momentum::Momentum(std::vector<Group> groups, const MomentumOptions& options)
    : options_(options), groups_(std::move(groups)) {
  OCTET_CHECK(std::isfinite(options.lr) && options.lr > 0, "momentum", "learning rate {} must be positive", options.lr);
  OCTET_CHECK(options.momentum >= 0 && options.momentum < 1, "momentum", "momentum {} is not in [0, 1)",
              options.momentum);
  std::set<const Node*> seen;
  for (const Group& group : groups_) {
    OCTET_CHECK(std::isfinite(group.lr_scale) && group.lr_scale >= 0, "momentum",
                "learning rate scale {} must not be negative", group.lr_scale);
    OCTET_CHECK(std::isfinite(group.weight_decay) && group.weight_decay >= 0, "momentum",
                "weight decay {} must not be negative", group.weight_decay);
    auto& velocities = velocities_.emplace_back();
    for (const auto& [name, parameter] : group.parameters) {
      OCTET_CHECK(seen.insert(parameter.node().get()).second, "momentum", "parameter '{}' is given twice", name);
      velocities.push_back(Tensor::zeros(parameter.shape(), parameter.value().dtype(), parameter.value().device()));
    }
  }
}

namespace {

/// Consecutive elements of one parameter: a task of the sweep.
struct Piece {
  const kernels::MomentumRow* row;
  kernels::MomentumProblem problem;
  kernels::MomentumPointers pointers;
};

/// Cuts a parameter into tasks that hide their start and stay in a core's cache.
void cut(const kernels::MomentumRow& row, kernels::MomentumProblem problem, const Tensor& gradient, Tensor& velocity,
         Tensor& weight, std::vector<Piece>& pieces) {
  constexpr std::int64_t kMost = 1 << 15;
  const std::size_t size = size_of(weight.dtype());
  const auto* g = static_cast<const char*>(gradient.raw());
  auto *v = static_cast<char*>(velocity.raw()), *w = static_cast<char*>(weight.raw());
  for (std::int64_t begin = 0, count = weight.numel(); begin < count; begin += kMost) {
    const std::size_t at = static_cast<std::size_t>(begin) * size;
    problem.count = std::min(kMost, count - begin);
    pieces.push_back({&row, problem, {g + at, v + at, w + at}});
  }
}

}  // namespace

/// The rate, and tables of all parameters' parts. A step takes the table of the step before when all lies where it did; a recorded
/// one has a table of its own for good.
class Momentum::There {
 public:
  There() : lr_({1}, DType::f64, Device::cuda) {}

  void step(std::vector<kernels::MomentumPart> parts, const MomentumOptions& options) {
    const kernels::MomentumManyProblem problem{static_cast<std::int64_t>(parts.size()), options.momentum,
                                               options.nesterov};
    const Tensor table = gpu::recording() ? recorded_.emplace_back(made(parts)) : current(std::move(parts));
    gpu::after_recording([this, lr = options.lr] { bring(lr); });
    kernels::dispatch(kernels::momentum_many_rows(), "momentum_many", "f32", problem,
                      kernels::MomentumManyPointers{static_cast<const kernels::MomentumPart*>(table.raw()),
                                                    static_cast<const double*>(lr_.raw())},
                      kernels::context_of(Device::cuda));
  }

  void bring(double lr) {
    if (lr == brought_lr_) return;
    gpu::copy_from_host(lr_.raw(), &lr, sizeof lr);
    brought_lr_ = lr;
  }

 private:
  static Tensor made(const std::vector<kernels::MomentumPart>& parts) {
    const gpu::OutsideGraph outside;
    Tensor table({static_cast<std::int64_t>(parts.size() * sizeof parts[0])}, DType::u8, Device::cuda);
    gpu::after_recording([table, parts]() mutable { gpu::copy_from_host(table.raw(), parts.data(), table.nbytes()); });
    return table;
  }

  Tensor current(std::vector<kernels::MomentumPart> parts) {
    if (parts != parts_) table_ = made(parts), parts_ = std::move(parts);
    return table_;
  }

  Tensor lr_;
  double brought_lr_ = -1;  // never a rate
  std::vector<kernels::MomentumPart> parts_;
  Tensor table_;
  std::vector<Tensor> recorded_;
};

namespace {

/// Has the update leave what the weight's quantizer will want.
void aim(kernels::MomentumPart& part, const Tensor& weight, nn::Transform& quantizer) {
  auto target = quantizer.weight_target(weight);
  if (!target) return;
  part.quantized = static_cast<float*>(target->value.raw()), part.scale = static_cast<float*>(target->scale.raw());
  part.inner = weight.numel() / weight.shape()[0];
  part.lo = target->bounds.lo, part.hi = target->bounds.hi, part.rule = target->bounds.rule;
  quantizer.set_target_filled(true);
}

}  // namespace

// One sweep over all parameters: most are so small that a parallel call, or a launch, each would cost more than the work.
void Momentum::step() {
  std::vector<Piece> pieces;
  std::vector<kernels::MomentumPart> parts;
  for (std::size_t g = 0; g < groups_.size(); ++g) {
    const Group& group = groups_[g];
    for (std::size_t i = 0; i < group.parameters.size(); ++i) {
      Variable parameter = group.parameters[i].second;
      if (!parameter.grad().defined()) continue;
      Tensor &weight = parameter.value(), &velocity = velocities_[g][i];
      if (weight.device() == Device::cuda) {
        OCTET_CHECK(weight.dtype() == DType::f32, "momentum", "'{}' is {}, a device updates f32",
                    group.parameters[i].first, name_of(weight.dtype()));
        kernels::MomentumPart part{static_cast<const float*>(parameter.grad().raw()),
                                   static_cast<float*>(velocity.raw()),
                                   static_cast<float*>(weight.raw()),
                                   weight.numel(),
                                   group.lr_scale,
                                   group.weight_decay};
        if (const auto quantizer = quantizers_.find(parameter.node().get()); quantizer != quantizers_.end())
          aim(part, weight, *quantizer->second);
        kernels::cut_into_parts(part, parts);
        continue;
      }
      const kernels::MomentumProblem problem{weight.numel(), options_.lr * group.lr_scale, options_.momentum,
                                             group.weight_decay, options_.nesterov};
      cut(kernels::select(kernels::momentum_rows(), "momentum", name_of(weight.dtype()), problem), problem,
          parameter.grad(), velocity, weight, pieces);
    }
  }
  if (!parts.empty()) {
    if (!there_) {
      const gpu::OutsideGraph outside;
      there_ = std::make_shared<There>();
    }
    there_->step(std::move(parts), options_);
  }
  if (pieces.empty()) return;
  const profile::Span span(profile::Kind::kernel, "momentum");
  parallel_for(static_cast<std::int64_t>(pieces.size()), [&](std::int64_t i) {
    const Piece& piece = pieces[static_cast<std::size_t>(i)];
    piece.row->run(piece.problem, piece.pointers, {});
  });
}

void Momentum::bring() {
  if (there_) there_->bring(options_.lr);
}

void Momentum::begin_quantizing(nn::Module& model) {
  for (const auto& [path, module] : model.named_modules()) {
    const auto quantizer = module->slot("weight_transform");
    if (quantizer == nullptr) continue;
    for (const auto& [name, parameter] : module->named_parameters())
      if (name == "weight") quantizers_[parameter.node().get()] = quantizer;
  }
}

void Momentum::end_quantizing() {
  for (const auto& [parameter, quantizer] : quantizers_) quantizer->set_target_filled(false);
  quantizers_.clear();
}

void Momentum::zero_grad() {
  for (const Group& group : groups_)
    for (const auto& [name, parameter] : group.parameters) Variable(parameter).zero_grad();
}

nn::Module::NamedTensors Momentum::state() const {
  nn::Module::NamedTensors all;
  for (std::size_t g = 0; g < groups_.size(); ++g)
    for (std::size_t i = 0; i < groups_[g].parameters.size(); ++i)
      all.emplace_back("velocity." + groups_[g].parameters[i].first, velocities_[g][i]);
  return all;
}

void Momentum::load_state(const nn::Module::NamedTensors& given) {
  std::map<std::string, Tensor> by_name(given.begin(), given.end());
  auto own = state();
  OCTET_CHECK(by_name.size() == own.size(), "momentum", "{} velocities given, {} expected", by_name.size(), own.size());
  for (const auto& [name, tensor] : own) {
    const auto at = by_name.find(name);
    OCTET_CHECK(at != by_name.end(), "momentum", "'{}' is missing", name);
    OCTET_CHECK(at->second.shape() == tensor.shape() && at->second.dtype() == tensor.dtype(), "momentum",
                "'{}' is {}, expected {}", name, at->second.shape().str(), tensor.shape().str());
  }
  for (auto& [name, tensor] : own) tensor.copy_from(by_name[name]);
}

}  // namespace octet::optim
