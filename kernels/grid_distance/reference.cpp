#include <fmt/format.h>

#include <algorithm>
#include <vector>

#include "core/parallel.h"
#include "kernels/grid_distance/element.h"

namespace octet::kernels {
namespace {

constexpr std::int64_t kRun = 1 << 14;

/// body(run, i, d of element i).
template <class T, class Body>
void for_distances(const GridDistanceProblem& p, const GridDistancePointers& x, Body&& body) {
  const Grid grid = grid_of(p);
  const T* src = static_cast<const T*>(x.src);
  const std::int64_t count = p.channels * p.inner;
  parallel_for((count + kRun - 1) / kRun, [&](std::int64_t run) {
    for (std::int64_t i = run * kRun; i < std::min(count, (run + 1) * kRun); ++i)
      body(run, i, distance(grid, src[i], x.scale[i / p.inner]));
  });
}

template <class T>
void forward(const GridDistanceProblem& p, const GridDistancePointers& x) {
  std::vector<double> sums(static_cast<std::size_t>((p.channels * p.inner + kRun - 1) / kRun), 0.0);
  for_distances<T>(p, x, [&](std::int64_t run, std::int64_t, T d) {
    sums[static_cast<std::size_t>(run)] += static_cast<double>(d) * static_cast<double>(d);
  });
  double sum = 0;
  for (const double one : sums) sum += one;
  *static_cast<T*>(x.sum) = static_cast<T>(sum);
}

template <class T>
void backward(const GridDistanceProblem& p, const GridDistancePointers& x) {
  const T twice = 2 * *static_cast<const T*>(x.d_sum);
  T* d_src = static_cast<T*>(x.d_src);
  for_distances<T>(p, x, [&](std::int64_t, std::int64_t i, T d) { d_src[i] = twice * d; });
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
