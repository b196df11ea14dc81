#include "gradcheck.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>

namespace octet::test {
namespace {

/// Σ r·t in double.
double dot(const Tensor& r, const Tensor& t) {
  double sum = 0;
  for (std::int64_t i = 0; i < t.numel(); ++i) sum += r.at(i) * t.at(i);
  return sum;
}

/// One forward and backward pass in `dtype` from the numbers of `inputs`: the result, then a gradient per input.
std::vector<Tensor> run_in(DType dtype, const Function& f, const std::vector<Variable>& inputs) {
  std::vector<Variable> leaves;
  for (const Variable& v : inputs) leaves.emplace_back(v.value().to(DType::f32).to(dtype), v.requires_grad());
  Variable dst = f(leaves);
  dst.backward(random_tensor(dst.shape(), 99).to(DType::f32).to(dtype));
  std::vector<Tensor> out{dst.value()};
  for (const Variable& v : leaves) out.push_back(v.requires_grad() ? v.grad() : Tensor());
  return out;
}

}  // namespace

Tensor random_tensor(const Shape& shape, std::uint64_t seed, DType dtype, double scale,
                     const std::vector<double>& kinks, double gap) {
  Random random(seed, Purpose::test);
  Tensor t(shape, DType::f64);
  for (double& x : t.span<double>()) {
    const auto close = [&](double kink) { return std::abs(x - kink) < gap; };
    do x = scale * random.normal();
    while (std::any_of(kinks.begin(), kinks.end(), close));
  }
  return t.to(dtype);
}

std::string gradient_error(const Function& f, std::vector<Variable> inputs) {
  constexpr double kStep = 1e-6;
  Variable dst = f(inputs);
  const Tensor r = random_tensor(dst.shape(), 77);
  for (Variable& v : inputs) v.zero_grad();
  dst.backward(r);
  NoGrad no_grad;
  for (std::size_t which = 0; which < inputs.size(); ++which) {
    if (!inputs[which].requires_grad()) continue;
    double* x = inputs[which].value().data<double>();
    const Tensor grad = inputs[which].grad();
    for (std::int64_t i = 0; i < inputs[which].value().numel(); ++i) {
      const double before = x[i];
      x[i] = before + kStep;
      const double above = dot(r, f(inputs).value());
      x[i] = before - kStep;
      const double below = dot(r, f(inputs).value());
      x[i] = before;
      const double numeric = (above - below) / (2 * kStep);
      const double analytic = grad.defined() ? grad.at(i) : 0.0;
      if (!(std::abs(analytic - numeric) <= 1e-5 + 1e-3 * std::abs(numeric))) {
        return fmt::format("input {} ({}) element {}: backward says {}, differences {}", which,
                           inputs[which].shape().str(), i, analytic, numeric);
      }
    }
  }
  return "";
}

std::string f32_error(const Function& f, const std::vector<Variable>& inputs, double tolerance) {
  const std::vector<Tensor> exact = run_in(DType::f64, f, inputs), fast = run_in(DType::f32, f, inputs);
  for (std::size_t which = 0; which < exact.size(); ++which) {
    if (exact[which].defined() != fast[which].defined())
      return fmt::format("gradient {} is defined in one dtype only", which);
    if (!exact[which].defined()) continue;
    double largest = 0;
    for (std::int64_t i = 0; i < exact[which].numel(); ++i) largest = std::max(largest, std::abs(exact[which].at(i)));
    for (std::int64_t i = 0; i < exact[which].numel(); ++i) {
      const double a = fast[which].at(i), b = exact[which].at(i);
      if (!(std::abs(a - b) <= tolerance * (1 + largest))) {
        return fmt::format("{} element {}: f32 {} f64 {}",
                           which == 0 ? "result" : fmt::format("gradient {}", which - 1), i, a, b);
      }
    }
  }
  return "";
}

std::string error_of(const std::function<void()>& f) {
  try {
    f();
  } catch (const Error& e) {
    return e.what();
  }
  return "no error";
}

}  // namespace octet::test
