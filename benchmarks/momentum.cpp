// momentum: the update of the whole net's parameters, and of one layer's.
#include "kernels/momentum/momentum.h"

#include "benchmarks/bench.h"
#include "benchmarks/shapes.h"

namespace octet::bench {
namespace {

using kernels::MomentumPointers;
using kernels::MomentumProblem;

void add_update(Suite& suite, const std::string& shape, std::int64_t count, bool nesterov) {
  const MomentumProblem problem{count, 0.1, 0.9, 4e-5, nesterov};
  const double tensors = 5;  // gradient, velocity and weight in; velocity and weight out
  const std::string group = std::string(nesterov ? "momentum_nesterov/" : "momentum/") + shape;
  suite.add(kernels::momentum_rows(), Task<MomentumProblem, MomentumPointers>{
                                          "momentum",
                                          group,
                                          "momentum",
                                          "f32",
                                          problem,
                                          {0, tensors * sizeof(float) * static_cast<double>(count)},
                                          0,
                                          [count](Operands& operands) {
                                            const float* gradient = operands.input(count);
                                            float* velocity = operands.state(count);
                                            return MomentumPointers{gradient, velocity, operands.state(count)};
                                          }});
}

}  // namespace

void add_momentum(Suite& suite) {
  const Layer pointwise = layers_of(LayerKind::conv, 1).at(1);
  for (const bool nesterov : {false, true}) {
    add_update(suite, pointwise.name, pointwise.geometry.k * pointwise.geometry.c, nesterov);
    add_update(suite, "net", network().parameters, nesterov);
  }
  suite.require_all(kernels::momentum_rows());
}

}  // namespace octet::bench
