#include "ops/fake_quant.h"

#include <algorithm>
#include <cmath>

#include "ops/common.h"
#include "ops/ops.h"

namespace octet::ops {
namespace {

using kernels::FakeQuantPointers;
using kernels::FakeQuantProblem;

FakeQuantProblem make_problem(const char* op, const Tensor& src, std::size_t scales, const QuantParams& params) {
  OCTET_CHECK(params.lo < params.hi && params.lo <= params.zero_point && params.zero_point <= params.hi, op,
              "zero point {} and bounds [{}, {}] are no grid", params.zero_point, params.lo, params.hi);
  FakeQuantProblem problem;
  problem.channels = static_cast<std::int64_t>(scales);
  OCTET_CHECK(scales == 1 || (scales > 0 && src.shape().rank() > 0 && src.shape()[0] == problem.channels), op,
              "{} scales fit neither a tensor nor the outermost axis of {}", scales, src.shape().str());
  problem.inner = src.numel() / problem.channels;
  problem.zero_point = params.zero_point, problem.lo = params.lo, problem.hi = params.hi;
  problem.rule = params.rule;
  return problem;
}

Attributes grid_attributes(const FakeQuantProblem& problem) {
  return {{"zero_point", std::int64_t{problem.zero_point}},
          {"lo", std::int64_t{problem.lo}},
          {"hi", std::int64_t{problem.hi}},
          {"rule", std::string(problem.rule == QuantRule::paddle ? "paddle" : "onnx")},
          {"channels", problem.channels}};
}

/// Scales where the kernel reads them: as they are, or copied to a device.
class ScalesThere {
 public:
  ScalesThere(const std::vector<float>& scale, Device device) : here_(scale.data()) {
    if (device == Device::cuda) there_ = Tensor::from(Shape{static_cast<std::int64_t>(scale.size())}, scale).to(device);
  }
  const float* data() const { return there_.defined() ? static_cast<const float*>(there_.raw()) : here_; }

 private:
  const float* here_;
  Tensor there_;
};

Tensor forward(const FakeQuantProblem& problem, const Tensor& src, const std::vector<float>& scale) {
  Tensor dst = detail::empty_like(src);
  const ScalesThere there(scale, src.device());
  FakeQuantPointers p;
  p.src = src.raw(), p.scale = there.data(), p.dst = dst.raw();
  kernels::dispatch(kernels::fake_quant_rows(), "fake_quant_fwd", detail::row_of(src), problem, p,
                    detail::context_of(src));
  return dst;
}

/// {d_src, d_scale}; d_scale stays undefined unless asked for.
std::vector<Tensor> backward(const FakeQuantProblem& problem, const Tensor& src, const std::vector<float>& scale,
                             const Tensor& d_dst, bool wants_scale) {
  std::vector<Tensor> grads{detail::empty_like(src), Tensor()};
  const ScalesThere there(scale, src.device());
  FakeQuantPointers p;
  p.src = src.raw(), p.scale = there.data(), p.d_dst = d_dst.raw(), p.d_src = grads[0].raw();
  if (wants_scale) {
    grads[1] = detail::empty_like(src, Shape{problem.channels});
    p.d_scale = grads[1].raw();
  }
  kernels::dispatch(kernels::fake_quant_rows(), "fake_quant_bwd", detail::row_of(src), problem, p,
                    detail::context_of(src));
  return grads;
}

void check_scales(const char* op, const std::vector<float>& scale, QuantRule rule) {
  for (std::size_t i = 0; i < scale.size(); ++i) {
    // A threshold of 0 has a meaning under the paddle rule, a step of 0 has none.
    const bool fits = std::isfinite(scale[i]) && (rule == QuantRule::paddle ? scale[i] >= 0 : scale[i] > 0);
    if (!fits)
      fail(op, fmt::format("scale {} is {}", i, scale[i]),
           "did the training diverge, or was the quantizer never shown data?");
  }
}

/// The steps as the kernel takes them: f32, at least kMinScale (an update may have driven one through zero).
std::vector<float> steps_of(const char* op, const Tensor& step) {
  std::vector<float> steps;
  for (std::int64_t i = 0; i < step.numel(); ++i) {
    const double s = step.at(i);
    OCTET_CHECK(std::isfinite(s), op, "step {} is {}", i, s);
    steps.push_back(std::max(static_cast<float>(s), kMinScale));
  }
  return steps;
}

constexpr const char* kPlain = "fake_quant";

Attributes plain_attributes(const FakeQuantProblem& problem, const std::vector<float>& scale, bool masked) {
  Attributes attributes = grid_attributes(problem);
  attributes["masked"] = std::int64_t{masked};
  if (RecordGuard::active()) attributes["scale"] = detail::list_text(scale);
  return attributes;
}

/// The node of a straight-through quantizer that lets every gradient pass.
Variable record_unmasked(const FakeQuantProblem& problem, const Variable& src, Tensor dst,
                         const std::vector<float>& scale) {
  return record(kPlain, plain_attributes(problem, scale, false), {src}, std::move(dst),
                [](const Tensor& d_dst, const std::vector<bool>&) { return std::vector<Tensor>{d_dst}; });
}

}  // namespace

FakeQuantProblem detail::checked_grid(const char* op, const Tensor& src, const QuantParams& params) {
  OCTET_CHECK(!params.per_channel() || params.axis == 0, op, "scales per channel must be along axis 0, not {}",
              params.axis);
  const FakeQuantProblem problem = make_problem(op, src, params.scale.size(), params);
  check_scales(op, params.scale, params.rule);
  return problem;
}

Variable fake_quant(const Variable& src, const QuantParams& params, bool masked) {
  detail::check_float(kPlain, "src", src);
  const FakeQuantProblem problem = detail::checked_grid(kPlain, src.value(), params);
  Tensor dst = forward(problem, src.value(), params.scale);
  if (!masked) return record_unmasked(problem, src, std::move(dst), params.scale);
  return record(kPlain, plain_attributes(problem, params.scale, true), {src}, std::move(dst),
                [problem, src = src.value(), scale = params.scale](const Tensor& d_dst, const std::vector<bool>&) {
                  return std::vector<Tensor>{backward(problem, src, scale, d_dst, false)[0]};
                });
}

QuantizedWeight fake_quant_weight(const Variable& src, const QuantParams& bounds) {
  detail::check_float(kPlain, "weight", src);
  OCTET_CHECK(src.value().dtype() == DType::f32 && src.shape().rank() > 0 && bounds.zero_point == 0, kPlain,
              "a weight must be f32 with an outermost axis, on a grid around 0 ({})", bounds.str());
  QuantizedWeight made{{}, {{}, bounds}};
  QuantParams& params = made.codes.params;
  params.scale.resize(static_cast<std::size_t>(src.shape()[0]));
  params.axis = params.per_channel() ? 0 : -1;
  const FakeQuantProblem problem = make_problem(kPlain, src.value(), params.scale.size(), params);
  Tensor dst = detail::empty_like(src.value());
  Tensor scales = detail::empty_like(dst, Shape{problem.channels});
  FakeQuantPointers p;
  p.src = src.value().raw(), p.dst = dst.raw(), p.out = scales.raw();
  // The codes are for integer products, which no row of a device takes.
  if (dst.device() == Device::cpu && params.rule == QuantRule::onnx && params.lo >= -128 && params.hi <= 127) {
    made.codes.codes = Tensor(src.shape(), DType::s8);
    p.codes = made.codes.codes.raw();
  }
  kernels::dispatch(kernels::fake_quant_rows(), "weight_quant_fwd", "f32", problem, p, detail::context_of(dst));
  scales = scales.to(Device::cpu);
  std::copy_n(scales.data<float>(), problem.channels, params.scale.begin());
  check_scales(kPlain, params.scale, params.rule);
  made.value = record_unmasked(problem, src, std::move(dst), params.scale);
  return made;
}

Variable fake_quant_learned(const Variable& src, const Variable& step, const QuantParams& params,
                            double gradient_scale) {
  constexpr const char* kOp = "fake_quant_learned";
  detail::check_float(kOp, "src", src);
  detail::check_like(kOp, "step", step, src.value());
  OCTET_CHECK(params.rule == QuantRule::onnx, kOp, "a learned step follows the onnx rule");
  const FakeQuantProblem problem =
      make_problem(kOp, src.value(), static_cast<std::size_t>(step.value().numel()), params);
  const std::vector<float> steps = steps_of(kOp, step.value());

  Attributes attributes = grid_attributes(problem);
  attributes["gradient_scale"] = gradient_scale;
  return record(kOp, std::move(attributes), {src, step}, forward(problem, src.value(), steps),
                [=, src = src.value(), step_shape = step.shape()](const Tensor& d_dst, const std::vector<bool>& needs) {
                  std::vector<Tensor> grads = backward(problem, src, steps, d_dst, needs[1]);
                  if (!needs[1]) return grads;
                  Tensor here = grads[1].to(Device::cpu);
                  detail::with_float(src, [&](auto zero) {
                    using T = decltype(zero);
                    for (T& d : here.span<T>()) d = static_cast<T>(static_cast<double>(d) * gradient_scale);
                  });
                  grads[1] = here.reshape(step_shape).to(src.device());
                  return grads;
                });
}

}  // namespace octet::ops
