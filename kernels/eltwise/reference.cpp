// The definition of the element-wise passes, in f32 and f64.
#include <cmath>

#include "kernels/activation.h"
#include "kernels/eltwise/eltwise.h"

namespace octet::kernels {
namespace {

template <class T>
void add_fwd(const EltwiseProblem& p, const EltwisePointers& x) {
  const T* a = static_cast<const T*>(x.a);
  const T* b = static_cast<const T*>(x.b);
  T* dst = static_cast<T*>(x.dst);
  for (std::int64_t i = 0; i < p.count; ++i) dst[i] = a[i] + b[i];
}

template <class T>
void mul_fwd(const EltwiseProblem& p, const EltwisePointers& x) {
  const T* a = static_cast<const T*>(x.a);
  const T* b = static_cast<const T*>(x.b);
  T* dst = static_cast<T*>(x.dst);
  for (std::int64_t i = 0; i < p.count; ++i) dst[i] = a[i] * b[i];
}

template <class T>
void act_fwd(const EltwiseProblem& p, const EltwisePointers& x) {
  const T* a = static_cast<const T*>(x.a);
  T* dst = static_cast<T*>(x.dst);
  for (std::int64_t i = 0; i < p.count; ++i) dst[i] = activate(a[i], p.act);
}

template <class T>
void act_bwd(const EltwiseProblem& p, const EltwisePointers& x) {
  const T* gradient = static_cast<const T*>(x.a);
  const T* src = static_cast<const T*>(x.b);
  T* dst = static_cast<T*>(x.dst);
  for (std::int64_t i = 0; i < p.count; ++i) dst[i] = passes(src[i], p.act) ? gradient[i] : T(0);
}

template <class T>
void channel_fma_fwd(const EltwiseProblem& p, const EltwisePointers& x) {
  const T* a = static_cast<const T*>(x.a);
  const T* b = static_cast<const T*>(x.b);
  const T* scale = static_cast<const T*>(x.scale);
  const T* shift = static_cast<const T*>(x.shift);
  T* dst = static_cast<T*>(x.dst);
  for (std::int64_t i = 0; i < p.count; ++i) {
    const std::int64_t c = i % p.c;
    dst[i] = std::fma(a[i], scale[c], b == nullptr ? shift[c] : b[i] + shift[c]);
  }
}

}  // namespace

#define ROW(pass, dtypes, T)                                                                 \
  const char* pass##_##dtypes##_reference_why_not(const EltwiseProblem&) { return nullptr; } \
  void pass##_##dtypes##_reference(const EltwiseProblem& p, const EltwisePointers& x, const Context&) { pass<T>(p, x); }
ROW(add_fwd, f32, float)
ROW(add_fwd, f64, double)
ROW(act_fwd, f32, float)
ROW(act_fwd, f64, double)
ROW(act_bwd, f32, float)
ROW(act_bwd, f64, double)
ROW(mul_fwd, f32, float)
ROW(mul_fwd, f64, double)
ROW(channel_fma_fwd, f32, float)
ROW(channel_fma_fwd, f64, double)
#undef ROW

}  // namespace octet::kernels
