// The Momentum update over vectors; included by avx2.cpp and avx512.cpp after their vector types.
#include "kernels/momentum/momentum.h"
#include "kernels/vector_loop.h"

namespace octet::kernels {
namespace {

template <bool nesterov>
void update(const MomentumProblem& p, const MomentumPointers& x) {
  const float* gradient = floats(x.gradient);
  float *velocity = floats(x.velocity), *weight = floats(x.weight);
  const VecF step = VecF::set1(static_cast<float>(-p.lr)), mu = VecF::set1(static_cast<float>(p.momentum));
  const VecF decay = VecF::set1(static_cast<float>(p.weight_decay));
  for_elements(p.count, [=](std::int64_t i, auto part) {
    const VecF w = load(weight + i, part);
    const VecF g = fma(decay, w, load(gradient + i, part));
    const VecF v = fma(mu, load(velocity + i, part), g);
    store(v, velocity + i, part);
    store(fma(step, nesterov ? fma(mu, v, g) : v, w), weight + i, part);
  });
}

void momentum(const MomentumProblem& p, const MomentumPointers& x) {
  if (p.nesterov) return update<true>(p, x);
  update<false>(p, x);
}

}  // namespace

OCTET_VECTOR_ROW(MomentumProblem, MomentumPointers, momentum, f32, takes_all, momentum)

}  // namespace octet::kernels
