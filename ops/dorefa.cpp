#include "kernels/dorefa/dorefa.h"

#include "ops/common.h"
#include "ops/ops.h"

namespace octet::ops {
namespace {

constexpr const char* kOp = "dorefa";

void run(const char* pass, const Tensor& src, const Tensor& top, kernels::DorefaPointers p) {
  p.src = src.raw(), p.top = top.raw();
  const kernels::DorefaProblem problem{src.numel()};
  kernels::dispatch(kernels::dorefa_rows(), pass, detail::row_of(src), problem, p, detail::context_of(src));
}

}  // namespace

Variable dorefa(const Variable& src, const Tensor& top) {
  detail::check_float(kOp, "src", src);
  detail::check_like(kOp, "top", Variable(top), src.value());
  OCTET_CHECK(top.numel() == 1, kOp, "top must be one number, its shape is {}", top.shape().str());
  Tensor dst = detail::empty_like(src.value());
  kernels::DorefaPointers p;
  p.dst = dst.raw();
  run("dorefa_fwd", src.value(), top, p);
  return record(kOp, {}, {src}, std::move(dst),
                [src = src.value(), top](const Tensor& d_dst, const std::vector<bool>&) {
                  Tensor d_src = detail::empty_like(src);
                  kernels::DorefaPointers p;
                  p.d_dst = d_dst.raw(), p.d_src = d_src.raw();
                  run("dorefa_bwd", src, top, p);
                  return std::vector<Tensor>{d_src};
                });
}

}  // namespace octet::ops
