// linear: the classifier, int8 (a 1x1 convolution over codes with f32 logits) beside fp32.
#include "kernels/linear/linear.h"
#include "benchmarks/conv_tasks.h"

namespace octet::bench {
namespace {

using kernels::LinearPointers;
using kernels::LinearProblem;

/// The convolution's task with linear's names: the two are one computation.
Task<LinearProblem, LinearPointers> linear_task(const char* pass, ConvPass which, const Layer& layer) {
  const FloatConvTask conv = float_conv_task("linear", pass, which, layer);
  const auto bind = [conv](Operands& operands) {
    const kernels::Conv2dPointers io = conv.bind(operands);
    return LinearPointers{io.src, io.weight, io.bias, io.dst, io.d_dst, io.d_src, io.d_weight, io.d_bias};
  };
  const kernels::ConvGeometry& g = layer.geometry;
  return {conv.room, conv.group, pass, conv.dtypes, {g.n, g.k, g.c}, conv.work, conv.terms, bind};
}

}  // namespace

void add_linear(Suite& suite) {
  const auto rows = kernels::linear_rows();
  for (const std::int64_t batch : suite.settings().forward_batches())
    for (const Layer& layer : layers_of(LayerKind::linear, batch)) {
      suite.add(rows, linear_task("linear_fwd", ConvPass::forward, layer));
      for (const DType src : {DType::u8, DType::s8})
        suite.add(kernels::conv2d_int8_rows(), int_conv_task("linear", "conv2d_int8_fwd", layer, src, DType::f32),
                  kernels::conv2d_int8_vendor_rows());
    }
  for (const Layer& layer : layers_of(LayerKind::linear, suite.settings().batch)) {
    suite.add(rows, linear_task("linear_bwd_data", ConvPass::backward_data, layer));
    suite.add(rows, linear_task("linear_bwd_weight", ConvPass::backward_weight, layer));
  }
  suite.require_all(rows);
}

}  // namespace octet::bench
