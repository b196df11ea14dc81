#include "kernels/momentum/momentum.h"
#include "kernels/momentum_many/momentum_many.h"

namespace octet::kernels {

const char* momentum_many_f32_reference_why_not(const MomentumManyProblem&) { return nullptr; }
void momentum_many_f32_reference(const MomentumManyProblem& p, const MomentumManyPointers& x, const Context& context) {
  for (std::int64_t i = 0; i < p.parts; ++i) {
    const MomentumPart& part = x.parts[i];
    momentum_f32_reference({part.count, *x.lr * part.lr_scale, p.momentum, part.weight_decay, p.nesterov},
                           {part.gradient, part.velocity, part.weight}, context);
  }
}

}  // namespace octet::kernels
