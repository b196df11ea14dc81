#include "optim/momentum.h"

#include <algorithm>
#include <cmath>
#include <map>
#include <set>

#include "core/parallel.h"
#include "core/profile.h"
#include "kernels/momentum/momentum.h"

namespace octet::optim {

Momentum::Momentum(nn::Module::NamedParameters parameters, const MomentumOptions& options)
    : Momentum(std::vector<Group>{{std::move(parameters), 1, options.weight_decay}}, options) {}

Momentum::Momentum(std::vector<Group> groups, const MomentumOptions& options) : options_(options), groups_(std::move(groups)) {
  OCTET_CHECK(std::isfinite(options.lr) && options.lr > 0, "momentum", "learning rate {} must be positive", options.lr);
  OCTET_CHECK(options.momentum >= 0 && options.momentum < 1, "momentum", "momentum {} is not in [0, 1)", options.momentum);
  std::set<const Node*> seen;
  for (const Group& group : groups_) {
    OCTET_CHECK(std::isfinite(group.lr_scale) && group.lr_scale >= 0, "momentum", "learning rate scale {} must not be negative", group.lr_scale);
    OCTET_CHECK(std::isfinite(group.weight_decay) && group.weight_decay >= 0, "momentum", "weight decay {} must not be negative",
                group.weight_decay);
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

// On the processor one sweep over all parameters: most are so small that a parallel call each would cost more than the work.
void Momentum::step() {
  std::vector<Piece> pieces;
  for (std::size_t g = 0; g < groups_.size(); ++g) {
    const Group& group = groups_[g];
    for (std::size_t i = 0; i < group.parameters.size(); ++i) {
      Variable parameter = group.parameters[i].second;
      if (!parameter.grad().defined()) continue;
      Tensor& weight = parameter.value();
      const kernels::MomentumProblem problem{weight.numel(), options_.lr * group.lr_scale, options_.momentum, group.weight_decay,
                                             options_.nesterov};
      const Device device = weight.device();
      const auto& row = kernels::select(kernels::momentum_rows(), "momentum", name_of(weight.dtype()), problem, device);
      if (device == Device::cuda)
        kernels::run_row(row, problem,
                         kernels::MomentumPointers{parameter.grad().raw(), velocities_[g][i].raw(), weight.raw()}, kernels::context_of(device));
      else
        cut(row, problem, parameter.grad(), velocities_[g][i], weight, pieces);
    }
  }
  if (pieces.empty()) return;
  const profile::Span span(profile::Kind::kernel, "momentum");
  parallel_for(static_cast<std::int64_t>(pieces.size()), [&](std::int64_t i) {
    const Piece& piece = pieces[static_cast<std::size_t>(i)];
    piece.row->run(piece.problem, piece.pointers, {});
  });
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
    OCTET_CHECK(at->second.shape() == tensor.shape() && at->second.dtype() == tensor.dtype(), "momentum", "'{}' is {}, expected {}", name,
                at->second.shape().str(), tensor.shape().str());
  }
  for (auto& [name, tensor] : own) tensor.copy_from(by_name[name]);
}

}  // namespace octet::optim
