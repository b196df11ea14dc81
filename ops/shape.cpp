// Ops that only move elements: concat and flatten.
#include "kernels/concat/concat.h"
#include "ops/common.h"
#include "ops/ops.h"

namespace octet::ops {
namespace {

/// Where part i lies in the whole.
using Places = std::vector<kernels::ConcatProblem>;

std::vector<Tensor> concat_backward(const Places& places, const std::vector<Shape>& shapes, const Tensor& d_dst,
                                    const std::vector<bool>& needs) {
  std::vector<Tensor> grads(shapes.size());
  for (std::size_t i = 0; i < shapes.size(); ++i) {
    if (!needs[i]) continue;
    grads[i] = detail::empty_like(d_dst, shapes[i]);
    kernels::dispatch(kernels::concat_rows(), "concat_take", detail::row_of(d_dst), places[i],
                      {d_dst.raw(), grads[i].raw()}, detail::context_of(d_dst));
  }
  return grads;
}

}  // namespace

Variable concat(const std::vector<Variable>& parts) {
  constexpr const char* kOp = "concat";
  OCTET_CHECK(!parts.empty(), kOp, "there is nothing to join");
  detail::check_float(kOp, "part 0", parts[0]);
  const Tensor& first = parts[0].value();
  OCTET_CHECK(first.shape().rank() >= 1, kOp, "parts must have channels innermost, the shape is {}",
              first.shape().str());
  const std::int64_t rows = first.numel() / first.shape()[-1];
  std::int64_t channels = 0;
  Places places;
  std::vector<Shape> shapes;
  for (std::size_t i = 0; i < parts.size(); ++i) {
    detail::check_like(kOp, fmt::format("part {}", i).c_str(), parts[i], first);
    const Shape& shape = parts[i].shape();
    OCTET_CHECK(shape.rank() == first.shape().rank() && shape.with(-1, 1) == first.shape().with(-1, 1), kOp,
                "part {} has shape {}, part 0 {}: all but the channels must agree", i, shape.str(),
                first.shape().str());
    places.push_back({rows, 0, shape[-1], channels});
    shapes.push_back(shape);
    channels += shape[-1];
  }
  Tensor dst = detail::empty_like(first, first.shape().with(-1, channels));
  for (std::size_t i = 0; i < parts.size(); ++i) {
    places[i].width = channels;
    kernels::dispatch(kernels::concat_rows(), "concat_put", detail::row_of(dst), places[i],
                      {parts[i].value().raw(), dst.raw()}, detail::context_of(dst));
  }
  return record(kOp, {}, parts, std::move(dst), [=](const Tensor& d_dst, const std::vector<bool>& needs) {
    return concat_backward(places, shapes, d_dst, needs);
  });
}

Variable flatten(const Variable& src) {
  detail::check_float("flatten", "src", src);
  const Shape shape = src.shape();
  OCTET_CHECK(shape.rank() >= 1, "flatten", "src must have pictures outermost, its shape is {}", shape.str());
  return record(
      "flatten", {}, {src}, src.value().reshape(Shape{shape[0], shape.numel() / shape[0]}),
      [shape](const Tensor& d_dst, const std::vector<bool>&) { return std::vector<Tensor>{d_dst.reshape(shape)}; });
}

}  // namespace octet::ops
