#include "core/error.h"
#include "kernels/dwconv2d_int8/dwconv2d_int8.h"

namespace octet::kernels {

IntConvPlan plan_dwconv2d_int8(const IntConvProblem& problem, const IntConvWeights& weights, Device device) {
  check_int_conv("dwconv2d_int8", problem, weights);
  OCTET_CHECK(problem.geometry.k == problem.geometry.c, "dwconv2d_int8", "{} filters for {} channels ({})",
              problem.geometry.k, problem.geometry.c, problem.str());
  const char* dtypes = problem.src == DType::s8 ? "s8s8" : "u8s8";
  return {select(dwconv2d_int8_rows(), "dwconv2d_int8_fwd", dtypes, problem, device), problem, weights};
}

}  // namespace octet::kernels
