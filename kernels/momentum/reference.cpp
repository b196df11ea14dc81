// The definition of the Momentum update, in f32 and f64.
#include <cmath>

#include "kernels/momentum/momentum.h"

namespace octet::kernels {
namespace {

template <class T>
void momentum(const MomentumProblem& p, const MomentumPointers& x) {
  const T* gradient = static_cast<const T*>(x.gradient);
  T* velocity = static_cast<T*>(x.velocity);
  T* weight = static_cast<T*>(x.weight);
  const T step = static_cast<T>(-p.lr), mu = static_cast<T>(p.momentum), decay = static_cast<T>(p.weight_decay);
  for (std::int64_t i = 0; i < p.count; ++i) {
    const T g = std::fma(decay, weight[i], gradient[i]);
    const T v = std::fma(mu, velocity[i], g);
    velocity[i] = v;
    weight[i] = std::fma(step, p.nesterov ? std::fma(mu, v, g) : v, weight[i]);
  }
}

}  // namespace

#define ROW(dtypes, T)                                                                                      \
  const char* momentum_##dtypes##_reference_why_not(const MomentumProblem&) { return nullptr; }             \
  void momentum_##dtypes##_reference(const MomentumProblem& p, const MomentumPointers& x, const Context&) { \
    momentum<T>(p, x);                                                                                      \
  }
ROW(f32, float)
ROW(f64, double)
#undef ROW

}  // namespace octet::kernels
