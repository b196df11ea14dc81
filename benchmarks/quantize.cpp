// quantize: codes from floats and back.
#include "kernels/quantize/quantize.h"
#include "benchmarks/quant_tasks.h"

namespace octet::bench {
namespace {

using kernels::QuantizePointers;
using QuantizeTask = Task<kernels::QuantizeProblem, QuantizePointers>;

/// Activations become u8, weights s8; both directions of the case's own dtype.
void add_case(Suite& suite, const QuantCase& quant) {
  const std::int64_t count = quant.count(), channels = quant.problem.channels;
  const std::int32_t lo = quant.problem.lo, hi = quant.problem.hi;
  const DType codes = hi > 127 ? DType::u8 : DType::s8;
  const Work work{0, static_cast<double>(count) * (1 + sizeof(float))};
  const auto rows = kernels::quantize_rows();
  suite.add(rows, QuantizeTask{"quantize", "quantize_fwd/" + quant.shape, "quantize_fwd",
                               codes == DType::u8 ? "f32u8" : "f32s8", quant.problem, work, 0, [=](Operands& operands) {
                                 const float* src = operands.input(count);
                                 const float* scale = operands.input(channels, 0.004, 0.008);
                                 return QuantizePointers{src, scale, operands.output(count, codes)};
                               }});
  suite.add(rows, QuantizeTask{"quantize", "dequantize_fwd/" + quant.shape, "dequantize_fwd",
                               codes == DType::u8 ? "u8f32" : "s8f32", quant.problem, work, 0, [=](Operands& operands) {
                                 const void* src = operands.codes(count, codes, lo, hi);
                                 const float* scale = operands.input(channels, 0.004, 0.008);
                                 return QuantizePointers{src, scale, operands.output(count)};
                               }});
}

}  // namespace

void add_quantize(Suite& suite) {
  for (const QuantCase& quant : quant_cases(suite.settings().batch)) add_case(suite, quant);
  suite.require_all(kernels::quantize_rows());
}

}  // namespace octet::bench
