#include "kernels/round_shift/round_shift.h"

#include <cmath>

#include "ops/common.h"
#include "ops/ops.h"

namespace octet::ops {
namespace {

constexpr const char* kOp = "round_shift";

void check_step(const char* name, const Tensor& scale, const Tensor& like) {
  OCTET_CHECK(scale.defined() && scale.dtype() == DType::f32 && scale.numel() > 0, kOp, "{} must hold f32 steps", name);
  detail::check_device(kOp, name, scale, like);
}

}  // namespace

Variable round_shift(const Variable& affine, const Tensor& s_x, const Tensor& s_w) {
  detail::check_float(kOp, "affine", affine);
  const Tensor& src = affine.value();
  const Shape& shape = affine.shape();
  const bool is_bias = shape.rank() == 1;
  OCTET_CHECK(is_bias || (shape.rank() == 2 && shape[0] == 2), kOp, "affine must be 2,C, or a bias C; its shape is {}",
              shape.str());
  const std::int64_t c = shape[-1];
  check_step("s_x", s_x, src);
  check_step("s_w", s_w, src);
  OCTET_CHECK(s_x.numel() == 1 && (s_w.numel() == 1 || s_w.numel() == c), kOp, "{} weight steps for {} channels",
              s_w.numel(), c);
  if (s_x.device() == Device::cpu) {
    const float step = *s_x.data<float>();
    OCTET_CHECK(step > 0 && std::isfinite(step), kOp, "the input's step {} is not a positive number", step);
  }

  Tensor dst = src.clone();
  const auto row = [&](const Tensor& t, std::int64_t i) {
    return static_cast<char*>(const_cast<void*>(t.raw())) + static_cast<std::size_t>(i * c) * size_of(t.dtype());
  };
  kernels::RoundShiftPointers p;
  p.scale = is_bias ? nullptr : src.raw();
  p.shift = row(src, is_bias ? 0 : 1), p.dst = row(dst, is_bias ? 0 : 1);
  p.s_x = static_cast<const float*>(s_x.raw()), p.s_w = static_cast<const float*>(s_w.raw());
  kernels::dispatch(kernels::round_shift_rows(), kOp, detail::row_of(src),
                    kernels::RoundShiftProblem{c, s_w.numel() > 1}, p, detail::context_of(src));
  Attributes attributes;
  if (RecordGuard::active()) {
    const Tensor x = s_x.to(Device::cpu), w = s_w.to(Device::cpu);
    attributes = {{"s_x", static_cast<double>(*x.data<float>())},
                  {"s_w", detail::list_text({w.data<float>(), w.data<float>() + w.numel()})}};
  }
  return record(kOp, std::move(attributes), {affine}, std::move(dst),
                [](const Tensor& d_dst, const std::vector<bool>&) { return std::vector<Tensor>{d_dst}; });
}

}  // namespace octet::ops
