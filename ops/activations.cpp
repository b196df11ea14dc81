#include "kernels/eltwise/eltwise.h"
#include "ops/common.h"
#include "ops/ops.h"

namespace octet::ops {

Variable activation(const Variable& src, Activation act) {
  detail::check_float(kernels::name_of(act), "src", src);
  if (act == Activation::none) return src;
  kernels::EltwiseProblem problem;
  problem.count = src.value().numel(), problem.act = act;
  Tensor dst = detail::empty_like(src.value());
  kernels::EltwisePointers p;
  p.a = src.value().raw(), p.dst = dst.raw();
  kernels::dispatch(kernels::eltwise_rows(), "act_fwd", detail::row_of(dst), problem, p, detail::context_of(dst));
  return record(kernels::name_of(act), {}, {src}, std::move(dst),
                [problem, src = src.value()](const Tensor& d_dst, const std::vector<bool>&) {
                  Tensor d_src = detail::empty_like(src);
                  kernels::EltwisePointers p;
                  p.a = d_dst.raw(), p.b = src.raw(), p.dst = d_src.raw();
                  kernels::dispatch(kernels::eltwise_rows(), "act_bwd", detail::row_of(src), problem, p,
                                    detail::context_of(src));
                  return std::vector<Tensor>{d_src};
                });
}

Variable relu(const Variable& src) { return activation(src, Activation::relu); }
Variable relu6(const Variable& src) { return activation(src, Activation::relu6); }

}  // namespace octet::ops
