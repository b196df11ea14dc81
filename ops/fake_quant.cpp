#include "ops/fake_quant.h"

#include <algorithm>
#include <cmath>

#include "core/diverged.h"
#include "kernels/quantizer/quantizer.h"
#include "ops/common.h"
#include "ops/ops.h"

namespace octet::ops {
namespace {

using kernels::FakeQuantPointers;
using kernels::FakeQuantProblem;

Attributes grid_attributes(const FakeQuantProblem& problem) {
  return {{"zero_point", std::int64_t{problem.zero_point}},
          {"lo", std::int64_t{problem.lo}},
          {"hi", std::int64_t{problem.hi}},
          {"rule", std::string(problem.rule == QuantRule::paddle ? "paddle" : "onnx")},
          {"channels", problem.channels}};
}

Tensor forward(const FakeQuantProblem& problem, const Tensor& src, const Tensor& scale) {
  Tensor dst = detail::empty_like(src);
  FakeQuantPointers p;
  p.src = src.raw(), p.scale = static_cast<const float*>(scale.raw()), p.dst = dst.raw();
  kernels::dispatch(kernels::fake_quant_rows(), "fake_quant_fwd", detail::row_of(src), problem, p,
                    detail::context_of(src));
  return dst;
}

/// {d_src, d_scale}; d_scale stays undefined unless asked for.
std::vector<Tensor> backward(const FakeQuantProblem& problem, const Tensor& src, const Tensor& scale,
                             const Tensor& d_dst, bool wants_scale) {
  std::vector<Tensor> grads{detail::empty_like(src), Tensor()};
  FakeQuantPointers p;
  p.src = src.raw(), p.scale = static_cast<const float*>(scale.raw()), p.d_dst = d_dst.raw(), p.d_src = grads[0].raw();
  if (wants_scale) {
    grads[1] = detail::empty_like(src, Shape{problem.channels});
    p.d_scale = grads[1].raw();
  }
  kernels::dispatch(kernels::fake_quant_rows(), "fake_quant_bwd", detail::row_of(src), problem, p,
                    detail::context_of(src));
  return grads;
}

/// Where src lies.
Tensor scales_there(const std::vector<float>& scale, const Tensor& src) {
  return Tensor::from(Shape{static_cast<std::int64_t>(scale.size())}, scale).to(src.device());
}

void check_scales(const char* op, const std::vector<float>& scale, QuantRule rule) {
  for (std::size_t i = 0; i < scale.size(); ++i) {
    // A threshold of 0 has a meaning under the paddle rule, a step of 0 has none.
    const bool fits = std::isfinite(scale[i]) && (rule == QuantRule::paddle ? scale[i] >= 0 : scale[i] > 0);
    if (!fits)
      diverged(op, fmt::format("scale {} is {}", i, scale[i]),
               "did the training diverge, or was the quantizer never shown data?");
  }
}

/// check_scales() of scales on the processor; those on a device are not waited for.
void check_scales(const char* op, const Tensor& scale, QuantRule rule) {
  if (scale.device() == Device::cpu) check_scales(op, {scale.data<float>(), scale.data<float>() + scale.numel()}, rule);
}

/// The steps as the kernel takes them: f32, at least kMinScale (an update may have driven one through zero).
Tensor steps_of(const char* op, const Tensor& step) {
  for (std::int64_t i = 0; step.device() == Device::cpu && i < step.numel(); ++i)
    if (!std::isfinite(step.at(i))) diverged(op, fmt::format("step {} is {}", i, step.at(i)));
  const Tensor floats = step.dtype() == DType::f32 ? step : step.to(DType::f32);
  Tensor steps = detail::empty_like(floats);
  kernels::QuantizerProblem problem;
  problem.count = floats.numel(), problem.least = static_cast<double>(kMinScale);
  kernels::QuantizerPointers p;
  p.src = floats.raw(), p.dst = steps.raw();
  kernels::dispatch(kernels::quantizer_rows(), "at_least", "f32", problem, p, detail::context_of(steps));
  return steps;
}

/// In place, in double.
void multiply(Tensor& values, double factor) {
  kernels::QuantizerProblem problem;
  problem.count = values.numel(), problem.factor = factor;
  kernels::QuantizerPointers p;
  p.src = values.raw(), p.dst = values.raw();
  kernels::dispatch(kernels::quantizer_rows(), "scaled", detail::row_of(values), problem, p,
                    detail::context_of(values));
}

constexpr const char* kPlain = "fake_quant";

Attributes plain_attributes(const FakeQuantProblem& problem, const Tensor& scale, bool masked) {
  Attributes attributes = grid_attributes(problem);
  attributes["masked"] = std::int64_t{masked};
  if (RecordGuard::active()) {
    const Tensor here = scale.to(Device::cpu);
    attributes["scale"] = detail::list_text({here.data<float>(), here.data<float>() + here.numel()});
  }
  return attributes;
}

/// The node of a straight-through quantizer that lets every gradient pass.
Variable record_unmasked(const FakeQuantProblem& problem, const Variable& src, Tensor dst, const Tensor& scale) {
  return record(kPlain, plain_attributes(problem, scale, false), {src}, std::move(dst),
                [](const Tensor& d_dst, const std::vector<bool>&) { return std::vector<Tensor>{d_dst}; });
}

Variable quantize(const FakeQuantProblem& problem, const Variable& src, const Tensor& scale, bool masked) {
  Tensor dst = forward(problem, src.value(), scale);
  if (!masked) return record_unmasked(problem, src, std::move(dst), scale);
  return record(kPlain, plain_attributes(problem, scale, true), {src}, std::move(dst),
                [problem, src = src.value(), scale](const Tensor& d_dst, const std::vector<bool>&) {
                  return std::vector<Tensor>{backward(problem, src, scale, d_dst, false)[0]};
                });
}

}  // namespace

FakeQuantProblem detail::grid_problem(const char* op, const Tensor& src, std::size_t scales,
                                      const QuantParams& params) {
  OCTET_CHECK(params.lo < params.hi && params.lo <= params.zero_point && params.zero_point <= params.hi, op,
              "zero point {} and bounds [{}, {}] are no grid", params.zero_point, params.lo, params.hi);
  constexpr std::int32_t kMostCodes = 1 << 22;  // which floats tell apart
  OCTET_CHECK(params.lo >= -kMostCodes && params.hi <= kMostCodes, op, "codes from {} to {} are beyond ±{}", params.lo,
              params.hi, kMostCodes);
  FakeQuantProblem problem;
  problem.channels = static_cast<std::int64_t>(scales);
  OCTET_CHECK(scales == 1 || (scales > 0 && src.shape().rank() > 0 && src.shape()[0] == problem.channels), op,
              "{} scales fit neither a tensor nor the outermost axis of {}", scales, src.shape().str());
  problem.inner = src.numel() / problem.channels;
  problem.zero_point = params.zero_point, problem.lo = params.lo, problem.hi = params.hi;
  problem.rule = params.rule;
  return problem;
}

FakeQuantProblem detail::checked_grid(const char* op, const Tensor& src, const QuantParams& params) {
  OCTET_CHECK(!params.per_channel() || params.axis == 0, op, "scales per channel must be along axis 0, not {}",
              params.axis);
  const FakeQuantProblem problem = detail::grid_problem(op, src, params.scale.size(), params);
  check_scales(op, params.scale, params.rule);
  return problem;
}

Variable fake_quant(const Variable& src, const QuantParams& params, bool masked) {
  detail::check_float(kPlain, "src", src);
  const FakeQuantProblem problem = detail::checked_grid(kPlain, src.value(), params);
  return quantize(problem, src, scales_there(params.scale, src.value()), masked);
}

Variable fake_quant(const Variable& src, const QuantParams& bounds, const Tensor& scale, bool masked) {
  detail::check_float(kPlain, "src", src);
  detail::check_device(kPlain, "scale", scale, src.value());
  const FakeQuantProblem problem =
      detail::grid_problem(kPlain, src.value(), static_cast<std::size_t>(scale.numel()), bounds);
  check_scales(kPlain, scale, bounds.rule);
  return quantize(problem, src, scale, masked);
}

Variable fake_quant_scaled(const Variable& src, const QuantParams& bounds, const Tensor& scale, bool masked,
                           double delta) {
  constexpr const char* kOp = "fake_quant_scaled";
  detail::check_float(kOp, "src", src);
  detail::check_device(kOp, "scale", scale, src.value());
  FakeQuantProblem problem = detail::grid_problem(kOp, src.value(), static_cast<std::size_t>(scale.numel()), bounds);
  check_scales(kOp, scale, bounds.rule);
  problem.masked = masked, problem.delta = delta;
  Attributes attributes = plain_attributes(problem, scale, masked);
  attributes["delta"] = delta;
  return record(kOp, std::move(attributes), {src}, forward(problem, src.value(), scale),
                [problem, src = src.value(), scale](const Tensor& d_dst, const std::vector<bool>&) {
                  return std::vector<Tensor>{backward(problem, src, scale, d_dst, false)[0]};
                });
}

QuantizedWeight fake_quant_weight(const Variable& src, const QuantParams& bounds) {
  detail::check_float(kPlain, "weight", src);
  OCTET_CHECK(src.value().dtype() == DType::f32 && src.shape().rank() > 0 && bounds.zero_point == 0, kPlain,
              "a weight must be f32 with an outermost axis, on a grid around 0 ({})", bounds.str());
  QuantizedWeight made{{}, {{}, bounds}, {}};
  QuantParams& params = made.codes.params;
  params.scale.clear();
  params.axis = src.shape()[0] > 1 ? 0 : -1;
  const FakeQuantProblem problem =
      detail::grid_problem(kPlain, src.value(), static_cast<std::size_t>(src.shape()[0]), params);
  Tensor dst = detail::empty_like(src.value());
  made.scale = detail::empty_like(dst, Shape{problem.channels});
  FakeQuantPointers p;
  p.src = src.value().raw(), p.dst = dst.raw(), p.out = made.scale.raw();
  // The codes are for integer products, which no row of a device takes.
  if (dst.device() == Device::cpu && params.rule == QuantRule::onnx && params.lo >= -128 && params.hi <= 127) {
    made.codes.codes = Tensor(src.shape(), DType::s8);
    p.codes = made.codes.codes.raw();
  }
  kernels::dispatch(kernels::fake_quant_rows(), "weight_quant_fwd", "f32", problem, p, detail::context_of(dst));
  check_scales(kPlain, made.scale, params.rule);
  if (dst.device() == Device::cpu)
    params.scale.assign(made.scale.data<float>(), made.scale.data<float>() + problem.channels);
  made.value = record_unmasked(problem, src, std::move(dst), made.scale);
  return made;
}

Variable quantized_already(const Variable& src, const QuantParams& bounds, const Tensor& scale, Tensor value) {
  detail::check_float(kPlain, "weight", src);
  OCTET_CHECK(value.shape() == src.shape() && value.device() == src.value().device(), kPlain, "{} is no value of {}",
              value.shape().str(), src.shape().str());
  const FakeQuantProblem problem =
      detail::grid_problem(kPlain, src.value(), static_cast<std::size_t>(scale.numel()), bounds);
  return record_unmasked(problem, src, std::move(value), scale);
}

namespace {

constexpr const char* kLearned = "fake_quant_learned";

FakeQuantProblem checked_learned(const Variable& src, const Variable& step, const QuantParams& params) {
  detail::check_float(kLearned, "src", src);
  detail::check_like(kLearned, "step", step, src.value());
  OCTET_CHECK(params.rule == QuantRule::onnx, kLearned, "a learned step follows the onnx rule");
  return detail::grid_problem(kLearned, src.value(), static_cast<std::size_t>(step.value().numel()), params);
}

Attributes learned_attributes(const FakeQuantProblem& problem, double gradient_scale) {
  Attributes attributes = grid_attributes(problem);
  attributes["gradient_scale"] = gradient_scale;
  return attributes;
}

/// Σ d_dst of what the grid clips: {1}.
Tensor clipped_sum(const FakeQuantProblem& problem, const Tensor& src, const Tensor& scale, const Tensor& d_dst) {
  Tensor sum = detail::empty_like(src, Shape{1});
  FakeQuantPointers p;
  p.src = src.raw(), p.scale = static_cast<const float*>(scale.raw()), p.d_dst = d_dst.raw(), p.out = sum.raw();
  kernels::dispatch(kernels::fake_quant_rows(), "clipped_sum", detail::row_of(src), problem, p,
                    detail::context_of(src));
  return sum;
}

/// a + factor·b
Tensor plus_scaled(const Tensor& a, const Tensor& b, double factor) {
  const NoGrad no_grad;
  Tensor scaled = b.clone();
  multiply(scaled, factor);
  return add(Variable(a), Variable(scaled)).value();
}

/// `offset`: undefined under LSQ.
Variable learned(const Variable& src, const Variable& step, const Variable& offset, const QuantParams& params,
                 double gradient_scale) {
  const FakeQuantProblem problem = checked_learned(src, step, params);
  const Tensor steps = steps_of(kLearned, step.value());
  std::vector<Variable> inputs{src, step};
  if (offset.defined()) inputs.push_back(offset);
  return record(kLearned, learned_attributes(problem, gradient_scale), inputs, forward(problem, src.value(), steps),
                [=, src = src.value(), shape = step.shape()](const Tensor& d_dst, const std::vector<bool>& needs) {
                  std::vector<Tensor> grads = backward(problem, src, steps, d_dst, needs[1]);
                  if (needs.size() > 2) {
                    grads.push_back(clipped_sum(problem, src, steps, d_dst));
                    // The row holds the zero point where the paper holds the offset.
                    if (needs[1]) grads[1] = plus_scaled(grads[1], grads[2], problem.zero_point);
                    if (!needs[2]) grads.pop_back();
                  }
                  for (std::size_t i = 1; i < grads.size(); ++i) {
                    if (!grads[i].defined()) continue;
                    multiply(grads[i], gradient_scale);
                    grads[i] = grads[i].reshape(shape);
                  }
                  grads.resize(needs.size());
                  return grads;
                });
}

}  // namespace

Variable fake_quant_learned(const Variable& src, const Variable& step, const QuantParams& params,
                            double gradient_scale) {
  return learned(src, step, {}, params, gradient_scale);
}

Variable fake_quant_learned(const Variable& src, const Variable& step, const Variable& offset,
                            const QuantParams& params, double gradient_scale) {
  detail::check_like(kLearned, "offset", offset, src.value());
  OCTET_CHECK(step.value().numel() == 1 && offset.shape() == step.shape(), kLearned,
              "an offset belongs to one step (step {}, offset {})", step.shape().str(), offset.shape().str());
  return learned(src, step, offset, params, gradient_scale);
}

}  // namespace octet::ops
