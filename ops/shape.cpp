// Ops that only move elements: concat and flatten.
#include <algorithm>
#include <cstring>

#include "core/parallel.h"
#include "ops/common.h"
#include "ops/ops.h"

namespace octet::ops {
namespace {

/// Bytes of one pixel of each part, in order.
using Widths = std::vector<std::size_t>;

/// Copies between an interleaved tensor of `pixels` rows and its parts, rows of widths[i] bytes; body(part, row of the
/// whole, row of the part, bytes).
template <class Body>
void for_rows(std::int64_t pixels, const Widths& widths, Body&& body) {
  constexpr std::int64_t kRows = 512;
  parallel_for((pixels + kRows - 1) / kRows, [&](std::int64_t task) {
    const std::int64_t end = std::min(pixels, (task + 1) * kRows);
    std::size_t total = 0;
    for (const std::size_t width : widths) total += width;
    for (std::int64_t row = task * kRows; row < end; ++row) {
      std::size_t at = static_cast<std::size_t>(row) * total;
      for (std::size_t part = 0; part < widths.size(); ++part) {
        body(part, at, static_cast<std::size_t>(row) * widths[part], widths[part]);
        at += widths[part];
      }
    }
  });
}

std::vector<Tensor> concat_backward(std::int64_t pixels, const Widths& widths, const std::vector<Shape>& shapes,
                                    const Tensor& gradient, const std::vector<bool>& needs) {
  const Tensor d_dst = gradient.to(Device::cpu);
  std::vector<Tensor> grads(shapes.size());
  std::vector<char*> to(shapes.size(), nullptr);
  for (std::size_t i = 0; i < shapes.size(); ++i) {
    if (!needs[i]) continue;
    grads[i] = Tensor(shapes[i], d_dst.dtype());
    to[i] = static_cast<char*>(grads[i].raw());
  }
  const char* from = static_cast<const char*>(d_dst.raw());
  for_rows(pixels, widths, [&](std::size_t part, std::size_t whole_at, std::size_t part_at, std::size_t bytes) {
    if (to[part] != nullptr) std::memcpy(to[part] + part_at, from + whole_at, bytes);
  });
  for (Tensor& grad : grads) grad = grad.to(gradient.device());
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
  std::int64_t channels = 0;
  Widths widths;
  std::vector<Shape> shapes;
  std::vector<Tensor> here;
  std::vector<const char*> from;
  for (std::size_t i = 0; i < parts.size(); ++i) {
    detail::check_like(kOp, fmt::format("part {}", i).c_str(), parts[i], first);
    const Shape& shape = parts[i].shape();
    OCTET_CHECK(shape.rank() == first.shape().rank() && shape.with(-1, 1) == first.shape().with(-1, 1), kOp,
                "part {} has shape {}, part 0 {}: all but the channels must agree", i, shape.str(),
                first.shape().str());
    channels += shape[-1];
    widths.push_back(static_cast<std::size_t>(shape[-1]) * size_of(first.dtype()));
    shapes.push_back(shape);
    here.push_back(parts[i].value().to(Device::cpu));
    from.push_back(static_cast<const char*>(here.back().raw()));
  }
  const std::int64_t pixels = first.numel() / first.shape()[-1];
  Tensor dst(first.shape().with(-1, channels), first.dtype());
  char* to = static_cast<char*>(dst.raw());
  for_rows(pixels, widths, [&](std::size_t part, std::size_t whole_at, std::size_t part_at, std::size_t bytes) {
    std::memcpy(to + whole_at, from[part] + part_at, bytes);
  });
  return record(kOp, {}, parts, dst.to(first.device()), [=](const Tensor& d_dst, const std::vector<bool>& needs) {
    return concat_backward(pixels, widths, shapes, d_dst, needs);
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
