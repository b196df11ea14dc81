// batchnorm: statistics, and the affine map with its ReLU, over every map of the net.
#include "kernels/batchnorm/batchnorm.h"
#include "benchmarks/bench.h"
#include "benchmarks/shapes.h"

namespace octet::bench {
namespace {

using kernels::BatchNormPointers;
using kernels::BatchNormProblem;
using BatchNormTask = Task<BatchNormProblem, BatchNormPointers>;

/// `maps`: how many whole maps the pass reads and writes.
BatchNormTask task_of(const char* pass, const Map& map, std::int64_t batch, double maps,
                      std::function<BatchNormPointers(Operands&, std::int64_t count, std::int64_t c)> bind) {
  const BatchNormProblem problem{map.pixels(batch), map.c, kernels::Activation::relu};
  const std::int64_t count = problem.pixels * problem.c;
  const Work work{0, maps * static_cast<double>(count) * sizeof(float)};
  return {"batchnorm", group_of(pass, map.name, batch),
          pass,        "f32",
          problem,     work,
          0,           [=](Operands& operands) { return bind(operands, count, problem.c); }};
}

BatchNormPointers bind_stats(Operands& operands, std::int64_t count, std::int64_t c) {
  BatchNormPointers io;
  io.src = operands.input(count);
  io.mean = operands.output(c);
  io.variance = operands.output(c);
  return io;
}

BatchNormPointers bind_affine(Operands& operands, std::int64_t count, std::int64_t c) {
  BatchNormPointers io;
  io.src = operands.input(count);
  io.scale = operands.input(c);
  io.shift = operands.input(c);
  return io;
}

BatchNormPointers bind_forward(Operands& operands, std::int64_t count, std::int64_t c) {
  BatchNormPointers io = bind_affine(operands, count, c);
  io.dst = operands.output(count);
  return io;
}

BatchNormPointers bind_backward(Operands& operands, std::int64_t count, std::int64_t c) {
  BatchNormPointers io = bind_affine(operands, count, c);
  io.d_dst = operands.input(count);
  io.d_src = operands.output(count);
  io.d_scale = operands.output(c);
  io.d_shift = operands.output(c);
  return io;
}

}  // namespace

void add_batchnorm(Suite& suite) {
  const auto rows = kernels::batchnorm_rows();
  const std::int64_t batch = suite.settings().batch;
  for (const Map& map : network().maps) {
    suite.add(rows, task_of("batchnorm_stats", map, batch, 1, bind_stats));
    suite.add(rows, task_of("affine_act_fwd", map, batch, 2, bind_forward));
    suite.add(rows, task_of("affine_act_bwd", map, batch, 3, bind_backward));
  }
  suite.require_all(rows);
}

}  // namespace octet::bench
