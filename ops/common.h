// What every op checks about its arguments, and the dtype text that picks its kernel rows.
#pragma once
#include <string>

#include "core/autograd.h"
#include "kernels/problem.h"
#include "kernels/select.h"

namespace octet::ops {

struct Conv2dArgs;

namespace detail {

/// "src 8x16x16x32": for messages.
std::string describe(const char* name, const Tensor& t);

/// Throws Error unless `v` is defined, f32 or f64, and has at least one element.
void check_float(const char* where, const char* name, const Variable& v);
void check_float(const char* where, const char* name, const Tensor& t);
/// check_float(), and `t` has dtype and device of `like`.
void check_like(const char* where, const char* name, const Variable& v, const Tensor& like);
/// check_like(), and the shape is exactly `shape`.
void check_like(const char* where, const char* name, const Variable& v, const Tensor& like, const Shape& shape);
void check_device(const char* where, const char* name, const Tensor& t, const Tensor& like);
void check_rank(const char* where, const char* name, const Tensor& t, int rank, const char* axes);

/// The dtype as kernel rows name it: "f32" or "f64".
inline const char* row_of(const Tensor& t) { return name_of(t.dtype()); }
/// Where kernels that work on this tensor run.
inline kernels::Context context_of(const Tensor& t) { return kernels::context_of(t.device()); }
/// Memory for a result of the same shape and dtype, on the same device; of another shape, of another dtype.
inline Tensor empty_like(const Tensor& t) { return Tensor(t.shape(), t.dtype(), t.device()); }
inline Tensor empty_like(const Tensor& t, const Shape& shape) { return Tensor(shape, t.dtype(), t.device()); }
inline Tensor empty_like(const Tensor& t, const Shape& shape, DType dtype) { return Tensor(shape, dtype, t.device()); }

/// A window that slides over N,H,W,C: fills the geometry's src, window, stride and padding after checking that strides
/// are positive, padding is not negative, and at least one window fits. geometry.k is left at c.
kernels::ConvGeometry checked_geometry(const char* where, const Tensor& src, std::int64_t window_h,
                                       std::int64_t window_w, std::int64_t stride_h, std::int64_t stride_w,
                                       std::int64_t pad_h, std::int64_t pad_w);
/// Strides, padding and has_bias, as a convolution records them.
Attributes conv_attributes(const Conv2dArgs& args, bool has_bias);

/// Calls f with a float or a double: the C++ type behind the dtype of `t`, which check_float() has passed.
template <class F>
decltype(auto) with_float(const Tensor& t, F&& f) {
  if (t.dtype() == DType::f64) return f(double{});
  return f(float{});
}

/// "0.5 0.25 …", each number exact: how an attribute holds a list.
std::string list_text(const std::vector<float>& values);

}  // namespace detail
}  // namespace octet::ops
