#include "ops/common.h"

#include <fmt/format.h>

#include "ops/ops.h"

namespace octet::ops::detail {

std::string describe(const char* name, const Tensor& t) { return fmt::format("{} {}", name, t.shape().str()); }

void check_float(const char* where, const char* name, const Tensor& t) {
  OCTET_CHECK(t.defined(), where, "{} is undefined", name);
  OCTET_CHECK(t.dtype() == DType::f32 || t.dtype() == DType::f64, where, "{} must be f32 or f64, it is {} ({})", name,
              name_of(t.dtype()), describe(name, t));
  OCTET_CHECK(t.numel() > 0, where, "{} has no elements ({})", name, describe(name, t));
}

void check_float(const char* where, const char* name, const Variable& v) {
  OCTET_CHECK(v.defined(), where, "{} is undefined", name);
  check_float(where, name, v.value());
}

void check_device(const char* where, const char* name, const Tensor& t, const Tensor& like) {
  OCTET_CHECK(t.device() == like.device(), where,
              "{} lies on {}, the other operands on {} ---> HINT to(Device) copies it", name, name_of(t.device()),
              name_of(like.device()));
}

void check_like(const char* where, const char* name, const Variable& v, const Tensor& like) {
  check_float(where, name, v);
  OCTET_CHECK(v.value().dtype() == like.dtype(), where, "{} is {}, the other operands are {}", name,
              name_of(v.value().dtype()), name_of(like.dtype()));
  check_device(where, name, v.value(), like);
}

void check_like(const char* where, const char* name, const Variable& v, const Tensor& like, const Shape& shape) {
  check_like(where, name, v, like);
  OCTET_CHECK(v.shape() == shape, where, "{} must have shape {}, it has {}", name, shape.str(), v.shape().str());
}

void check_rank(const char* where, const char* name, const Tensor& t, int rank, const char* axes) {
  OCTET_CHECK(t.shape().rank() == rank, where, "{} must be {}, it has shape {}", name, axes, t.shape().str());
}

kernels::ConvGeometry checked_geometry(const char* where, const Tensor& src, std::int64_t window_h,
                                       std::int64_t window_w, std::int64_t stride_h, std::int64_t stride_w,
                                       std::int64_t pad_h, std::int64_t pad_w) {
  constexpr std::int64_t kMost = 1 << 24;  // far from any overflow, far beyond any picture
  const Shape& s = src.shape();
  OCTET_CHECK(window_h >= 1 && window_w >= 1 && window_h <= kMost && window_w <= kMost, where,
              "window {}x{} is out of range", window_h, window_w);
  OCTET_CHECK(stride_h >= 1 && stride_w >= 1 && stride_h <= kMost && stride_w <= kMost, where,
              "stride {}x{} is out of range", stride_h, stride_w);
  OCTET_CHECK(pad_h >= 0 && pad_w >= 0 && pad_h <= kMost && pad_w <= kMost, where, "padding {}x{} is out of range",
              pad_h, pad_w);
  OCTET_CHECK(s[1] + 2 * pad_h >= window_h && s[2] + 2 * pad_w >= window_w, where,
              "window {}x{} does not fit the padded map {}x{} (src {}, padding {}x{})", window_h, window_w,
              s[1] + 2 * pad_h, s[2] + 2 * pad_w, s.str(), pad_h, pad_w);
  kernels::ConvGeometry g;
  g.n = s[0], g.h = s[1], g.w = s[2], g.c = s[3], g.k = s[3];
  g.r = window_h, g.s = window_w;
  g.stride_h = stride_h, g.stride_w = stride_w, g.pad_h = pad_h, g.pad_w = pad_w;
  return g;
}

Attributes conv_attributes(const Conv2dArgs& args, bool has_bias) {
  return {{"stride_h", args.stride_h},
          {"stride_w", args.stride_w},
          {"pad_h", args.pad_h},
          {"pad_w", args.pad_w},
          {"has_bias", std::int64_t{has_bias}}};
}

std::string list_text(const std::vector<float>& values) { return fmt::format("{}", fmt::join(values, " ")); }

}  // namespace octet::ops::detail
