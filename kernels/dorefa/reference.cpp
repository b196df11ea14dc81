#include <fmt/format.h>

#include "kernels/blocks.h"
#include "kernels/dorefa/dorefa.h"
#include "kernels/dorefa/element.h"

namespace octet::kernels {
namespace {

/// element(i) of every weight.
template <class Element>
void for_weights(std::int64_t count, Element element) {
  for_blocks(count, [&](std::int64_t begin, std::int64_t end) {
    for (std::int64_t i = begin; i < end; ++i) element(i);
  });
}

template <class T>
void forward(const DorefaProblem& p, const DorefaPointers& io) {
  const T* x = static_cast<const T*>(io.src);
  const T ratio = dorefa_ratio(*static_cast<const T*>(io.top));
  T* y = static_cast<T*>(io.dst);
  for_weights(p.count, [=](std::int64_t i) { y[i] = ratio * tanh_of(x[i]); });
}

template <class T>
void backward(const DorefaProblem& p, const DorefaPointers& io) {
  const T *x = static_cast<const T*>(io.src), *g = static_cast<const T*>(io.d_dst);
  const T ratio = dorefa_ratio(*static_cast<const T*>(io.top));
  T* to = static_cast<T*>(io.d_src);
  for_weights(p.count, [=](std::int64_t i) { to[i] = g[i] * dorefa_slope(x[i], ratio); });
}

}  // namespace

std::string DorefaProblem::str() const { return fmt::format("count{}", count); }

#define OCTET_REFERENCE_ROW(pass, dtypes, run)                                              \
  const char* pass##_##dtypes##_reference_why_not(const DorefaProblem&) { return nullptr; } \
  void pass##_##dtypes##_reference(const DorefaProblem& p, const DorefaPointers& io, const Context&) { run(p, io); }
OCTET_REFERENCE_ROW(dorefa_fwd, f32, forward<float>)
OCTET_REFERENCE_ROW(dorefa_fwd, f64, forward<double>)
OCTET_REFERENCE_ROW(dorefa_bwd, f32, backward<float>)
OCTET_REFERENCE_ROW(dorefa_bwd, f64, backward<double>)
#undef OCTET_REFERENCE_ROW

}  // namespace octet::kernels
