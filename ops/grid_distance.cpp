#include "kernels/grid_distance/grid_distance.h"

#include "ops/common.h"
#include "ops/fake_quant.h"
#include "ops/ops.h"

namespace octet::ops {

Variable grid_distance(const Variable& src, const QuantParams& bounds, const Tensor& scale) {
  constexpr const char* kOp = "grid_distance";
  detail::check_float(kOp, "src", src);
  OCTET_CHECK(scale.defined() && scale.dtype() == DType::f32, kOp, "scales must be f32");
  detail::check_device(kOp, "scale", scale, src.value());
  OCTET_CHECK(bounds.zero_point == 0, kOp, "the grid must be symmetric, its zero point is {}", bounds.zero_point);
  const kernels::FakeQuantProblem grid =
      detail::grid_problem(kOp, src.value(), static_cast<std::size_t>(scale.numel()), bounds);
  const kernels::GridDistanceProblem problem{grid.channels, grid.inner, grid.lo, grid.hi, grid.rule};
  Tensor sum = detail::empty_like(src.value(), Shape{1});
  kernels::GridDistancePointers p;
  p.src = src.value().raw(), p.scale = static_cast<const float*>(scale.raw()), p.sum = sum.raw();
  kernels::dispatch(kernels::grid_distance_rows(), "grid_distance_fwd", detail::row_of(sum), problem, p,
                    detail::context_of(sum));
  return record(kOp, {{"channels", problem.channels}, {"hi", std::int64_t{problem.hi}}}, {src}, std::move(sum),
                [problem, src = src.value(), scale](const Tensor& d_sum, const std::vector<bool>&) {
                  Tensor d_src = detail::empty_like(src);
                  kernels::GridDistancePointers p;
                  p.src = src.raw(), p.scale = static_cast<const float*>(scale.raw());
                  p.d_sum = d_sum.raw(), p.d_src = d_src.raw();
                  kernels::dispatch(kernels::grid_distance_rows(), "grid_distance_bwd", detail::row_of(src), problem, p,
                                    detail::context_of(src));
                  return std::vector<Tensor>{d_src};
                });
}

}  // namespace octet::ops
