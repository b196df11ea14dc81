#include "quant/calibration/learned_rounding.h"

#include <algorithm>
#include <cmath>
#include <cstring>

#include "core/error.h"
#include "core/random.h"
#include "optim/adam.h"
#include "quant/calibration/products.h"

namespace octet::quant {
namespace {

constexpr const char* kWhere = "adaround";
constexpr std::int64_t kErrorBatch = 64;

/// Σ (made − wanted)² / rows, rows the pictures and pixels: one element.
Variable squared_error(const Variable& made, const Tensor& wanted) {
  const Tensor value = made.value();
  const double rows = static_cast<double>(value.numel() / value.shape()[-1]);
  double sum = 0;
  Tensor slope(value.shape());
  for (std::int64_t i = 0; i < value.numel(); ++i) {
    const double apart = static_cast<double>(value.data<float>()[i]) - wanted.data<float>()[i];
    sum += apart * apart;
    slope.data<float>()[i] = static_cast<float>(2 * apart / rows);
  }
  return record("squared_error", {}, {made}, Tensor::full({1}, sum / rows),
                [slope](const Tensor& d_dst, const std::vector<bool>&) {
                  Tensor d = slope.clone();
                  for (float& x : d.span<float>()) x *= d_dst.data<float>()[0];
                  return std::vector<Tensor>{d};
                });
}

/// rounding_error() of some pictures, as something to derive.
Variable error_of(const RoundingProblem& problem, const Variable& weight, const Tensor& src, const Tensor& dst) {
  const Variable products = products_of(*problem.layer, Variable(src), weight);
  return squared_error(ops::affine_act(products, Variable(problem.affine), problem.act), dst);
}

/// The pictures of these numbers, one behind another.
Tensor gathered(const Tensor& from, const std::vector<std::int64_t>& pictures) {
  Tensor to(from.shape().with(0, static_cast<std::int64_t>(pictures.size())));
  const std::size_t bytes = from.nbytes() / static_cast<std::size_t>(from.shape()[0]);
  for (std::size_t i = 0; i < pictures.size(); ++i)
    std::memcpy(static_cast<char*>(to.raw()) + i * bytes,
                static_cast<const char*>(from.raw()) + static_cast<std::size_t>(pictures[i]) * bytes, bytes);
  return to;
}

/// The codes below and above each weight, as values, and where it lies in between. Both are one where there is no
/// choice: for fixed weights, those at a code, and those beyond the grid.
class Choices {
 public:
  explicit Choices(const RoundingProblem& problem)
      : problem_(problem),
        low_(problem.weight.shape()),
        high_(problem.weight.shape()),
        width_(problem.weight.shape()),
        start_(problem.weight.shape()) {
    const std::int64_t inner = problem.weight.numel() / problem.weight.shape()[0];
    nearest_up_.resize(static_cast<std::size_t>(problem.weight.numel()));
    for (std::int64_t i = 0; i < problem.weight.numel(); ++i)
      add(i, problem.grid.per_channel() ? static_cast<std::size_t>(i / inner) : 0);
  }

  const Tensor& low() const { return low_; }
  const Tensor& width() const { return width_; }  ///< from the lower to the upper one
  const Tensor& start() const { return start_; }  ///< the v that stands for where the weight lies
  const std::vector<bool>& nearest_up() const { return nearest_up_; }
  bool is_free(std::int64_t i) const { return width_.data<float>()[i] != 0; }
  std::int64_t free_count() const {
    std::int64_t count = 0;
    for (std::int64_t i = 0; i < low_.numel(); ++i) count += is_free(i);
    return count;
  }
  Tensor rounded(const std::vector<bool>& up) const {
    Tensor weight = low_.clone();
    for (std::int64_t i = 0; i < weight.numel(); ++i)
      if (up[static_cast<std::size_t>(i)]) weight.data<float>()[i] = high_.data<float>()[i];
    return weight;
  }
  /// Fixed weights as they were, not as their code has them.
  Tensor with_fixed(Tensor weight) const {
    for (std::size_t i = 0; i < problem_.fixed.size(); ++i)
      if (problem_.fixed[i]) weight.data<float>()[i] = problem_.weight.data<float>()[i];
    return weight;
  }

 private:
  void add(std::int64_t i, std::size_t channel) {
    const QuantParams& grid = problem_.grid;
    const float w = problem_.weight.data<float>()[i];
    const float v = std::clamp(w / grid.step(channel), static_cast<float>(grid.lo), static_cast<float>(grid.hi));
    const bool is_fixed = !problem_.fixed.empty() && problem_.fixed[static_cast<std::size_t>(i)];
    const std::int32_t nearest = grid.quantize(w, channel);
    const bool is_free = !is_fixed && v != std::floor(v);
    const std::int32_t low = is_free ? static_cast<std::int32_t>(std::floor(v)) : nearest, high = low + is_free;
    low_.data<float>()[i] = grid.dequantize(low, channel);
    high_.data<float>()[i] = grid.dequantize(high, channel);
    width_.data<float>()[i] = high_.data<float>()[i] - low_.data<float>()[i];
    start_.data<float>()[i] = static_cast<float>(ops::inverse_rectified_sigmoid(is_free ? v - std::floor(v) : 0.0));
    nearest_up_[static_cast<std::size_t>(i)] = is_free && nearest == high;
  }

  const RoundingProblem& problem_;
  Tensor low_, high_, width_, start_;
  std::vector<bool> nearest_up_;
};

/// β at a step; 0 while the regulariser waits.
double beta_at(std::int64_t step, const RoundingOptions& options) {
  const double begin = options.free_share * static_cast<double>(options.steps), now = static_cast<double>(step);
  if (now < begin) return 0;
  const double share = (now - begin) / std::max(1.0, static_cast<double>(options.steps) - begin);
  return options.beta_begin + (options.beta_end - options.beta_begin) * share;
}

/// Numbers of the pictures that a step looks at, out of `count`.
std::vector<std::int64_t> draw(std::int64_t step, std::int64_t count, const RoundingOptions& options) {
  Random random(options.seed, Purpose::rounding, options.stream, static_cast<std::uint64_t>(step));
  std::vector<std::int64_t> pictures(static_cast<std::size_t>(std::min(options.batch_size, count)));
  for (std::int64_t& picture : pictures)
    picture = static_cast<std::int64_t>(random.below(static_cast<std::uint64_t>(count)));
  return pictures;
}

/// Which weights are rounded up in the end; `nearest`: the error of the nearest codes.
std::vector<bool> optimised(const RoundingProblem& problem, const Choices& choices, double nearest,
                            const RoundingOptions& options, const std::function<void(std::int64_t)>& progress) {
  Variable v(choices.start().clone(), true);
  optim::Adam adam(v, {.lr = options.travel / static_cast<double>(options.steps)});
  const Variable low(choices.low());
  const double per_weight = nearest / static_cast<double>(std::max<std::int64_t>(choices.free_count(), 1));
  const Tensor lambda = Tensor::full({1}, options.penalty * per_weight);
  for (std::int64_t step = 0; step < options.steps; ++step) {
    const std::vector<std::int64_t> pictures = draw(step, problem.src.shape()[0], options);
    const Variable h = ops::rectified_sigmoid(v);
    const Variable weight = ops::add(low, ops::mul_constant(h, choices.width()));
    Variable loss = error_of(problem, weight, gathered(problem.src, pictures), gathered(problem.dst, pictures));
    if (const double beta = beta_at(step, options); beta > 0)
      loss = ops::add(loss, ops::mul_constant(ops::rounding_penalty(h, beta), lambda));
    loss.backward();
    adam.step();
    if (progress) progress(step + 1);
  }
  std::vector<bool> up;
  for (const float x : v.value().span<float>()) up.push_back(x >= 0);  // where h is 0.5
  return up;
}

}  // namespace

double rounding_error(const RoundingProblem& problem, const Tensor& weight) {
  const NoGrad no_grad;
  const std::int64_t count = problem.src.shape()[0];
  double sum = 0;
  for (std::int64_t begin = 0; begin < count; begin += kErrorBatch) {
    const std::int64_t end = std::min(count, begin + kErrorBatch);
    const Variable error =
        error_of(problem, Variable(weight), problem.src.slice(begin, end), problem.dst.slice(begin, end));
    sum += error.value().item() * static_cast<double>(end - begin);
  }
  return sum / static_cast<double>(count);
}

LearnedRounding learn_rounding(const RoundingProblem& problem, const RoundingOptions& options,
                               const std::function<void(std::int64_t)>& progress) {
  OCTET_CHECK(options.steps >= 1 && options.batch_size >= 1, kWhere, "{} steps of {} pictures must be positive",
              options.steps, options.batch_size);
  const Choices choices(problem);
  LearnedRounding result;
  result.nearest = rounding_error(problem, choices.rounded(choices.nearest_up()));
  std::vector<bool> up = optimised(problem, choices, result.nearest, options, progress);
  result.learned = rounding_error(problem, choices.rounded(up));
  if (!(result.learned <= result.nearest)) up = choices.nearest_up(), result.learned = result.nearest;
  result.weight = choices.with_fixed(choices.rounded(up));
  for (std::int64_t i = 0; i < result.weight.numel(); ++i) {
    const auto at = static_cast<std::size_t>(i);
    result.changed += choices.is_free(i) && up[at] != choices.nearest_up()[at];
  }
  return result;
}

}  // namespace octet::quant
