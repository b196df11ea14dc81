#include "kernels/fake_quant/fake_quant.h"
#include "kernels/momentum/momentum.h"
#include "kernels/momentum_many/momentum_many.h"

namespace octet::kernels {

const char* momentum_many_f32_reference_why_not(const MomentumManyProblem&) { return nullptr; }
void momentum_many_f32_reference(const MomentumManyProblem& p, const MomentumManyPointers& x, const Context& context) {
  for (std::int64_t i = 0; i < p.parts; ++i) {
    const MomentumPart& part = x.parts[i];
    momentum_f32_reference({part.count, *x.lr * part.lr_scale, p.momentum, part.weight_decay, p.nesterov},
                           {part.gradient, part.velocity, part.weight}, context);
    if (part.quantized == nullptr) continue;
    FakeQuantProblem grid;
    grid.channels = part.count / part.inner, grid.inner = part.inner, grid.lo = part.lo, grid.hi = part.hi,
    grid.rule = part.rule;
    weight_quant_fwd_f32_reference(grid, {.src = part.weight, .dst = part.quantized, .out = part.scale}, context);
  }
}

}  // namespace octet::kernels
