#include "kernels/pool/pool.h"

#include <limits>

#include "ops/common.h"
#include "ops/ops.h"

namespace octet::ops {
namespace {

using kernels::PoolPointers;
using kernels::PoolProblem;

PoolProblem checked_problem(const char* op, const Variable& src, const Pool2dArgs& args) {
  detail::check_float(op, "src", src);
  detail::check_rank(op, "src", src.value(), 4, "N,H,W,C");
  const PoolProblem problem = detail::checked_geometry(op, src.value(), args.window_h, args.window_w, args.stride_h,
                                                       args.stride_w, args.pad_h, args.pad_w);
  // Otherwise a window could lie in the padding alone and have nothing to pool.
  OCTET_CHECK(args.pad_h < args.window_h && args.pad_w < args.window_w, op,
              "padding {}x{} must be less than the window {}x{}", args.pad_h, args.pad_w, args.window_h, args.window_w);
  OCTET_CHECK(problem.h <= std::numeric_limits<std::int32_t>::max() / problem.w, op, "the map {}x{} is too large",
              problem.h, problem.w);
  return problem;
}

Tensor make_dst(const PoolProblem& problem, const Tensor& src, DType dtype) {
  return detail::empty_like(src, Shape{src.shape()[0], problem.out_h(), problem.out_w(), src.shape()[3]}, dtype);
}

Attributes pool_attributes(const Pool2dArgs& args) {
  return {{"window_h", args.window_h}, {"window_w", args.window_w}, {"stride_h", args.stride_h},
          {"stride_w", args.stride_w}, {"pad_h", args.pad_h},       {"pad_w", args.pad_w}};
}

Variable average(const char* op, const Variable& src, const PoolProblem& problem, Attributes attributes) {
  Tensor dst = make_dst(problem, src.value(), src.value().dtype());
  PoolPointers p;
  p.src = src.value().raw(), p.dst = dst.raw();
  kernels::dispatch(kernels::pool_rows(), "avg_pool_fwd", detail::row_of(dst), problem, p, detail::context_of(dst));
  return record(op, std::move(attributes), {src}, std::move(dst),
                [problem, shape = src.shape()](const Tensor& d_dst, const std::vector<bool>&) {
                  Tensor d_src = detail::empty_like(d_dst, shape);
                  PoolPointers p;
                  p.d_dst = d_dst.raw(), p.d_src = d_src.raw();
                  kernels::dispatch(kernels::pool_rows(), "avg_pool_bwd", detail::row_of(d_dst), problem, p,
                                    detail::context_of(d_dst));
                  return std::vector<Tensor>{d_src};
                });
}

}  // namespace

Variable max_pool(const Variable& src, const Pool2dArgs& args) {
  const PoolProblem problem = checked_problem("max_pool", src, args);
  Tensor dst = make_dst(problem, src.value(), src.value().dtype());
  Tensor argmax = make_dst(problem, src.value(), DType::s32);
  PoolPointers p;
  p.src = src.value().raw(), p.dst = dst.raw(), p.argmax = static_cast<std::int32_t*>(argmax.raw());
  kernels::dispatch(kernels::pool_rows(), "max_pool_fwd", detail::row_of(dst), problem, p, detail::context_of(dst));
  return record("max_pool", pool_attributes(args), {src}, std::move(dst),
                [problem, argmax, shape = src.shape()](const Tensor& d_dst, const std::vector<bool>&) {
                  Tensor d_src = detail::empty_like(d_dst, shape), winners = argmax;
                  PoolPointers p;
                  p.d_dst = d_dst.raw(), p.argmax = static_cast<std::int32_t*>(winners.raw()), p.d_src = d_src.raw();
                  kernels::dispatch(kernels::pool_rows(), "max_pool_bwd", detail::row_of(d_dst), problem, p,
                                    detail::context_of(d_dst));
                  return std::vector<Tensor>{d_src};
                });
}

Variable avg_pool(const Variable& src, const Pool2dArgs& args) {
  return average("avg_pool", src, checked_problem("avg_pool", src, args), pool_attributes(args));
}

Variable global_avg_pool(const Variable& src) {
  detail::check_float("global_avg_pool", "src", src);
  detail::check_rank("global_avg_pool", "src", src.value(), 4, "N,H,W,C");
  Pool2dArgs args;
  args.window_h = src.shape()[1], args.window_w = src.shape()[2];
  args.stride_h = args.stride_w = 1;
  return average("global_avg_pool", src, checked_problem("global_avg_pool", src, args), {});
}

}  // namespace octet::ops
