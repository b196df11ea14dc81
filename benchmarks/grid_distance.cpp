// grid_distance: the term of the loss that dampens oscillations, over the dense layers' weights.
#include "kernels/grid_distance/grid_distance.h"

#include "benchmarks/quant_tasks.h"

namespace octet::bench {
namespace {

using kernels::GridDistancePointers;
using kernels::GridDistanceProblem;

void add_pass(Suite& suite, const char* pass, const QuantCase& quant, bool backward) {
  const std::int64_t count = quant.count(), channels = quant.problem.channels;
  const GridDistanceProblem problem{channels, quant.problem.inner, quant.problem.lo, quant.problem.hi};
  const Work work{0, (backward ? 2.0 : 1.0) * sizeof(float) * static_cast<double>(count)};
  suite.add(kernels::grid_distance_rows(),
            Task<GridDistanceProblem, GridDistancePointers>{"grid_distance", std::string(pass) + "/" + quant.shape,
                                                            pass, "f32", problem, work, 0, [=](Operands& operands) {
                                                              GridDistancePointers io;
                                                              io.src = operands.input(count);
                                                              io.scale = operands.input(channels, 0.004, 0.008);
                                                              if (backward) {
                                                                io.d_sum = operands.input(1);
                                                                io.d_src = operands.output(count);
                                                              } else {
                                                                io.sum = operands.output(1);
                                                              }
                                                              return io;
                                                            }});
}

}  // namespace

void add_grid_distance(Suite& suite) {
  for (const QuantCase& quant : quant_cases(suite.settings().batch)) {
    if (quant.problem.channels == 1) continue;  // of weights only
    add_pass(suite, "grid_distance_fwd", quant, false);
    add_pass(suite, "grid_distance_bwd", quant, true);
  }
  suite.require_all(kernels::grid_distance_rows());
}

}  // namespace octet::bench
