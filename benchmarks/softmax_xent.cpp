// softmax_xent: the loss over the net's classes, and over ImageNet's.
#include "kernels/softmax_xent/softmax_xent.h"

#include "benchmarks/bench.h"
#include "benchmarks/shapes.h"

namespace octet::bench {
namespace {

using kernels::SoftmaxXentPointers;
using kernels::SoftmaxXentProblem;

void add_loss(Suite& suite, const char* pass, std::int64_t classes, bool backward) {
  const std::int64_t batch = suite.settings().batch, count = batch * classes;
  const SoftmaxXentProblem problem{batch, classes, 0.1};
  const Work work{0, 2.0 * sizeof(float) * static_cast<double>(count)};
  suite.add(kernels::softmax_xent_rows(),
            Task<SoftmaxXentProblem, SoftmaxXentPointers>{
                "softmax_xent", group_of(pass, std::to_string(classes) + "classes", batch), pass, "f32", problem, work,
                0, [=](Operands& operands) {
                  SoftmaxXentPointers io;
                  io.labels = operands.integers(batch, 0, static_cast<std::int32_t>(classes - 1));
                  if (backward) {
                    io.probabilities = operands.input(count, 0, 1);
                    io.d_loss = operands.input(1);
                    io.d_logits = operands.output(count);
                  } else {
                    io.logits = operands.input(count, -4, 4);
                    io.probabilities = operands.output(count);
                    io.loss = operands.output(1);
                  }
                  return io;
                }});
}

}  // namespace

void add_softmax_xent(Suite& suite) {
  for (const std::int64_t classes : {network().classes, std::int64_t{1000}}) {
    add_loss(suite, "softmax_xent_fwd", classes, false);
    add_loss(suite, "softmax_xent_bwd", classes, true);
  }
  suite.require_all(kernels::softmax_xent_rows());
}

}  // namespace octet::bench
