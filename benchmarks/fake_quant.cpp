// fake_quant: forward, straight-through backward (plain and with a learned step), observers, thresholds of weights.
#include <cmath>

#include "benchmarks/quant_tasks.h"

namespace octet::bench {
namespace {

using kernels::FakeQuantPointers;

/// `tensors`: how many whole tensors the pass reads and writes.
void add_pass(Suite& suite, const char* pass, const std::string& what, const QuantCase& quant, double tensors,
              std::function<void(Operands&, FakeQuantPointers&)> bind) {
  const Work work{0, tensors * static_cast<double>(quant.count()) * sizeof(float)};
  suite.add(kernels::fake_quant_rows(),
            Task<kernels::FakeQuantProblem, FakeQuantPointers>{
                "fake_quant", what + "/" + quant.shape, pass, "f32", quant.problem, work, 0, [=](Operands& operands) {
                  FakeQuantPointers io;
                  io.src = operands.input(quant.count());
                  io.scale = operands.input(quant.problem.channels, 0.004, 0.008);
                  bind(operands, io);
                  return io;
                }});
}

}  // namespace

void add_fake_quant(Suite& suite) {
  for (const QuantCase& quant : quant_cases(suite.settings().batch)) {
    const std::int64_t count = quant.count(), channels = quant.problem.channels;
    const auto backward = [count](Operands& operands, FakeQuantPointers& io) {
      io.d_dst = operands.input(count);
      io.d_src = operands.output(count);
    };
    add_pass(suite, "fake_quant_fwd", "fake_quant_fwd", quant, 2,
             [=](Operands& operands, FakeQuantPointers& io) { io.dst = operands.output(count); });
    add_pass(suite, "fake_quant_bwd", "fake_quant_bwd", quant, 3, backward);
    add_pass(suite, "fake_quant_bwd", "fake_quant_bwd_lsq", quant, 3, [=](Operands& operands, FakeQuantPointers& io) {
      backward(operands, io);
      io.d_scale = operands.output(channels);
    });
    add_pass(suite, "clipped_sum", "clipped_sum", quant, 2, [=](Operands& operands, FakeQuantPointers& io) {
      io.d_dst = operands.input(count);
      io.out = operands.output(channels);
    });
    add_pass(suite, "abs_max", "abs_max", quant, 1,
             [=](Operands& operands, FakeQuantPointers& io) { io.out = operands.output(channels); });
    add_pass(suite, "min_max", "min_max", quant, 1,
             [=](Operands& operands, FakeQuantPointers& io) { io.out = operands.output(2 * channels); });
    if (channels == 1) continue;
    const auto threshold = [=](Operands& operands, FakeQuantPointers& io) { io.out = operands.output(channels); };
    add_pass(suite, "mse_top", "mse_top", quant, 1, threshold);
    QuantCase ranked = quant;
    ranked.problem.rank = static_cast<std::int64_t>(std::ceil(0.999 * static_cast<double>(quant.problem.inner)));
    add_pass(suite, "quantile", "quantile", ranked, 1, threshold);
    QuantCase moments = quant;
    moments.problem.rms_factor = 33.115, moments.problem.mean_factor = 36.993;  // quant/observers/sawb.h, 8 bits
    add_pass(suite, "sawb_top", "sawb_top", moments, 1, threshold);
    add_pass(suite, "weight_quant_fwd", "weight_quant_fwd", quant, 2.25,
             [=](Operands& operands, FakeQuantPointers& io) {
               io.dst = operands.output(count);
               io.out = operands.output(channels);
               io.codes = operands.output(count, DType::s8);
             });
  }
  suite.require_all(kernels::fake_quant_rows());
}

}  // namespace octet::bench
