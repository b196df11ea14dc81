#include <fmt/format.h>

#include "kernels/block_sums.h"
#include "kernels/grid_distance/element.h"

namespace octet::kernels {
namespace {

template <class T>
void forward(const GridDistanceProblem& p, const GridDistancePointers& x) {
  const Grid grid(p.lo, p.hi, p.rule);
  const T* src = static_cast<const T*>(x.src);
  const double sum = sum_of_blocks(p.channels * p.inner, [&](std::int64_t begin, std::int64_t end) {
    double squares = 0;
    for (std::int64_t i = begin; i < end; ++i) {
      const double d = distance(grid, src[i], x.scale[i / p.inner]);
      squares += d * d;
    }
    return squares;
  });
  *static_cast<T*>(x.sum) = static_cast<T>(sum);
}

template <class T>
void backward(const GridDistanceProblem& p, const GridDistancePointers& x) {
  const Grid grid(p.lo, p.hi, p.rule);
  const T* src = static_cast<const T*>(x.src);
  const T twice = 2 * *static_cast<const T*>(x.d_sum);
  T* d_src = static_cast<T*>(x.d_src);
  for_blocks(p.channels * p.inner, [&](std::int64_t begin, std::int64_t end) {
    for (std::int64_t i = begin; i < end; ++i) d_src[i] = twice * distance(grid, src[i], x.scale[i / p.inner]);
  });
}

}  // namespace

std::string GridDistanceProblem::str() const {
  return fmt::format("channels{} inner{} [{}, {}]{}", channels, inner, lo, hi,
                     rule == QuantRule::paddle ? " paddle" : "");
}

#define OCTET_REFERENCE_ROW(pass, dtypes, run)                                                                    \
  const char* pass##_##dtypes##_reference_why_not(const GridDistanceProblem&) { return nullptr; }                 \
  void pass##_##dtypes##_reference(const GridDistanceProblem& p, const GridDistancePointers& x, const Context&) { \
    run(p, x);                                                                                                    \
  }
OCTET_REFERENCE_ROW(grid_distance_fwd, f32, forward<float>)
OCTET_REFERENCE_ROW(grid_distance_fwd, f64, forward<double>)
OCTET_REFERENCE_ROW(grid_distance_bwd, f32, backward<float>)
OCTET_REFERENCE_ROW(grid_distance_bwd, f64, backward<double>)
#undef OCTET_REFERENCE_ROW

}  // namespace octet::kernels
