#include <fmt/format.h>

#include "kernels/block_sums.h"
#include "kernels/pact/pact.h"

namespace octet::kernels {
namespace {

template <class T>
void forward(const PactProblem& p, const PactPointers& io) {
  const T* x = static_cast<const T*>(io.src);
  const T alpha = *static_cast<const T*>(io.alpha);
  T* y = static_cast<T*>(io.dst);
  for_blocks(p.count, [&](std::int64_t begin, std::int64_t end) {
    for (std::int64_t i = begin; i < end; ++i) y[i] = pact_value(x[i], alpha);
  });
}

template <class T>
void backward(const PactProblem& p, const PactPointers& io) {
  const T *x = static_cast<const T*>(io.src), *g = static_cast<const T*>(io.d_dst);
  const T alpha = *static_cast<const T*>(io.alpha);
  T* to = static_cast<T*>(io.d_src);
  const double total = sum_of_blocks(p.count, [&](std::int64_t begin, std::int64_t end) {
    double sum = 0;
    for (std::int64_t i = begin; i < end; ++i) {
      to[i] = g[i] * static_cast<T>(pact_passes(x[i], alpha));
      sum += static_cast<double>(g[i]) * pact_side(x[i], alpha);
    }
    return sum;
  });
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
