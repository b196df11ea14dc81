// softmax_kl: distillation over the net's classes, and over ImageNet's.
#include "kernels/softmax_kl/softmax_kl.h"

#include "benchmarks/bench.h"
#include "benchmarks/shapes.h"

namespace octet::bench {
namespace {

using kernels::SoftmaxKlPointers;
using kernels::SoftmaxKlProblem;

void add_pass(Suite& suite, const char* pass, std::int64_t classes, bool backward) {
  const std::int64_t batch = suite.settings().batch, count = batch * classes;
  const SoftmaxKlProblem problem{batch, classes, 4};
  const Work work{0, (backward ? 2.0 : 3.0) * sizeof(float) * static_cast<double>(count)};
  suite.add(kernels::softmax_kl_rows(), Task<SoftmaxKlProblem, SoftmaxKlPointers>{
                                            "softmax_kl", group_of(pass, std::to_string(classes) + "classes", batch),
                                            pass, "f32", problem, work, 0, [=](Operands& operands) {
                                              SoftmaxKlPointers io;
                                              if (backward) {
                                                io.difference = operands.input(count, -1, 1);
                                                io.d_loss = operands.input(1);
                                                io.d_logits = operands.output(count);
                                              } else {
                                                io.logits = operands.input(count, -4, 4);
                                                io.teacher = operands.input(count, -4, 4);
                                                io.difference = operands.output(count);
                                                io.loss = operands.output(1);
                                              }
                                              return io;
                                            }});
}

}  // namespace

void add_softmax_kl(Suite& suite) {
  for (const std::int64_t classes : {network().classes, std::int64_t{1000}}) {
    add_pass(suite, "softmax_kl_fwd", classes, false);
    add_pass(suite, "softmax_kl_bwd", classes, true);
  }
  suite.require_all(kernels::softmax_kl_rows());
}

}  // namespace octet::bench
