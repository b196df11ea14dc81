#include <fmt/format.h>

#include <algorithm>
#include <vector>

#include "core/parallel.h"
#include "kernels/pact/pact.h"

namespace octet::kernels {
namespace {

constexpr std::int64_t kRun = 1 << 14;

template <class Body>
void for_runs(std::int64_t count, Body&& body) {
  parallel_for((count + kRun - 1) / kRun,
               [&](std::int64_t run) { body(run, run * kRun, std::min(count, (run + 1) * kRun)); });
}

template <class T>
void forward(const PactProblem& p, const PactPointers& io) {
  const T* x = static_cast<const T*>(io.src);
  const T alpha = *static_cast<const T*>(io.alpha);
  T* y = static_cast<T*>(io.dst);
  for_runs(p.count, [&](std::int64_t, std::int64_t begin, std::int64_t end) {
    for (std::int64_t i = begin; i < end; ++i) y[i] = pact_value(x[i], alpha);
  });
}

template <class T>
void backward(const PactProblem& p, const PactPointers& io) {
  const T *x = static_cast<const T*>(io.src), *g = static_cast<const T*>(io.d_dst);
  const T alpha = *static_cast<const T*>(io.alpha);
  T* to = static_cast<T*>(io.d_src);
  std::vector<double> sums(static_cast<std::size_t>((p.count + kRun - 1) / kRun), 0.0);
  for_runs(p.count, [&](std::int64_t run, std::int64_t begin, std::int64_t end) {
    double sum = 0;
    for (std::int64_t i = begin; i < end; ++i) {
      to[i] = g[i] * static_cast<T>(pact_passes(x[i], alpha));
      sum += static_cast<double>(g[i]) * pact_side(x[i], alpha);
    }
    sums[static_cast<std::size_t>(run)] = sum;
  });
  double total = 0;
  for (const double sum : sums) total += sum;
  *static_cast<T*>(io.d_alpha) = static_cast<T>(total);
}

}  // namespace

std::string PactProblem::str() const { return fmt::format("count{}", count); }

#define OCTET_REFERENCE_ROW(pass, dtypes, run)                                            \
  const char* pass##_##dtypes##_reference_why_not(const PactProblem&) { return nullptr; } \
  void pass##_##dtypes##_reference(const PactProblem& p, const PactPointers& io, const Context&) { run(p, io); }
OCTET_REFERENCE_ROW(pact_fwd, f32, forward<float>)
OCTET_REFERENCE_ROW(pact_fwd, f64, forward<double>)
OCTET_REFERENCE_ROW(pact_bwd, f32, backward<float>)
OCTET_REFERENCE_ROW(pact_bwd, f64, backward<double>)
#undef OCTET_REFERENCE_ROW

}  // namespace octet::kernels
