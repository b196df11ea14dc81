// eltwise: one pass over a map or two; int8 beside fp32 where both exist.
#include "kernels/eltwise/eltwise.h"

#include "benchmarks/bench.h"
#include "benchmarks/shapes.h"
#include "kernels/eltwise_int8/eltwise_int8.h"

namespace octet::bench {
namespace {

using kernels::EltwiseInt8Pointers;
using kernels::EltwiseInt8Problem;
using kernels::EltwisePointers;
using kernels::EltwiseProblem;

void add_float(Suite& suite, const char* pass, const Map& map, std::int64_t batch, bool two_sources, bool per_channel) {
  const EltwiseProblem problem{map.pixels(batch) * map.c, map.c, kernels::Activation::relu};
  const Work work{0, (two_sources ? 3.0 : 2.0) * sizeof(float) * static_cast<double>(problem.count)};
  suite.add(kernels::eltwise_rows(),
            Task<EltwiseProblem, EltwisePointers>{"eltwise", group_of(pass, map.name, batch), pass, "f32", problem,
                                                  work, 0, [=](Operands& operands) {
                                                    EltwisePointers io;
                                                    io.a = operands.input(problem.count);
                                                    if (two_sources) io.b = operands.input(problem.count);
                                                    if (per_channel) io.scale = operands.input(problem.c);
                                                    if (per_channel) io.shift = operands.input(problem.c);
                                                    io.dst = operands.output(problem.count);
                                                    return io;
                                                  }});
}

/// Requantizing to a range that begins at the zero point is ReLU, so it stands beside act_fwd.
void add_codes(Suite& suite, const char* beside, const char* pass, const Map& map, std::int64_t batch,
               bool two_sources) {
  EltwiseInt8Problem problem;
  problem.rows = map.pixels(batch);
  problem.c = map.c;
  problem.m_a = 0.7f;
  problem.m_b = 0.4f;
  const std::int64_t count = problem.rows * problem.c;
  suite.add(kernels::eltwise_int8_rows(), Task<EltwiseInt8Problem, EltwiseInt8Pointers>{
                                              "eltwise",
                                              group_of(beside, map.name, batch),
                                              pass,
                                              "int8",
                                              problem,
                                              {0, (two_sources ? 3.0 : 2.0) * static_cast<double>(count), Unit::int8},
                                              0,
                                              [=](Operands& operands) {
                                                EltwiseInt8Pointers io;
                                                io.a = operands.codes(count, DType::u8, 0, 255);
                                                if (two_sources) io.b = operands.codes(count, DType::u8, 0, 255);
                                                io.dst = operands.output(count, DType::u8);
                                                return io;
                                              }});
}

}  // namespace

void add_eltwise(Suite& suite) {
  for (const std::int64_t batch : suite.settings().forward_batches())
    for (const Map& map : network().maps) {
      add_float(suite, "add_fwd", map, batch, true, false);
      add_codes(suite, "add_fwd", "add_int8_fwd", map, batch, true);
      add_float(suite, "act_fwd", map, batch, false, false);
      add_codes(suite, "act_fwd", "requantize_int8_fwd", map, batch, false);
    }
  const std::int64_t batch = suite.settings().batch;
  for (const Map& map : network().maps) {
    add_float(suite, "act_bwd", map, batch, true, false);
    add_float(suite, "mul_fwd", map, batch, true, false);
    add_float(suite, "channel_fma_fwd", map, batch, false, true);  // as in the backward pass of batch norm
  }
  suite.require_all(kernels::eltwise_rows());
  suite.require_all(kernels::eltwise_int8_rows());
}

}  // namespace octet::bench
