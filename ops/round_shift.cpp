#include <cmath>

#include "ops/common.h"
#include "ops/ops.h"

namespace octet::ops {
namespace {

/// `scale` is row 0 of an affine, or null for a layer's bias.
template <class T>
void round_to_step(const T* scale, T* shift, std::int64_t c, float s_x, const std::vector<float>& s_w) {
  constexpr double kMost = 1 << 30;
  for (std::int64_t i = 0; i < c; ++i) {
    const float weight_step = s_w[s_w.size() == 1 ? 0 : static_cast<std::size_t>(i)];
    const float folded = scale == nullptr ? weight_step : weight_step * std::fabs(static_cast<float>(scale[i]));
    const double step = static_cast<double>(s_x) * static_cast<double>(folded);
    if (!(step > 0) || !std::isfinite(step)) continue;
    const double code = std::rint(static_cast<double>(shift[i]) / step);
    if (!(std::fabs(code) <= kMost)) continue;
    shift[i] = static_cast<T>(code * step);
  }
}

}  // namespace

Variable round_shift(const Variable& affine, float s_x, const std::vector<float>& s_w) {
  constexpr const char* kOp = "round_shift";
  detail::check_float(kOp, "affine", affine);
  const Shape& shape = affine.shape();
  const bool is_bias = shape.rank() == 1;
  OCTET_CHECK(is_bias || (shape.rank() == 2 && shape[0] == 2), kOp, "affine must be 2,C, or a bias C; its shape is {}",
              shape.str());
  const std::int64_t c = shape[-1];
  OCTET_CHECK(s_w.size() == 1 || static_cast<std::int64_t>(s_w.size()) == c, kOp, "{} weight steps for {} channels",
              s_w.size(), c);
  OCTET_CHECK(s_x > 0 && std::isfinite(s_x), kOp, "the input's step {} is not a positive number", s_x);

  Tensor dst = affine.value().device() == Device::cpu ? affine.value().clone() : affine.value().to(Device::cpu);
  detail::with_float(dst, [&](auto zero) {
    using T = decltype(zero);
    T* data = dst.data<T>();
    round_to_step<T>(is_bias ? nullptr : data, is_bias ? data : data + c, c, s_x, s_w);
  });
  dst = dst.to(affine.value().device());
  Attributes attributes{{"s_x", static_cast<double>(s_x)}};
  if (RecordGuard::active()) attributes["s_w"] = detail::list_text(s_w);
  return record(kOp, std::move(attributes), {affine}, std::move(dst),
                [](const Tensor& d_dst, const std::vector<bool>&) { return std::vector<Tensor>{d_dst}; });
}

}  // namespace octet::ops
