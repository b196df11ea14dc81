// conv2d: the stem and the 1x1 convolutions, int8 beside fp32.
#include "benchmarks/conv_tasks.h"

namespace octet::bench {

void add_conv2d(Suite& suite) {
  const auto rows = kernels::conv2d_rows();
  const auto codes = kernels::conv2d_int8_rows(), vendor = kernels::conv2d_int8_vendor_rows();
  const char* room = "conv2d";
  for (const std::int64_t batch : suite.settings().forward_batches())
    for (const Layer& layer : layers_of(LayerKind::conv, batch)) {
      suite.add(rows, float_conv_task(room, "conv2d_fwd", ConvPass::forward, layer));
      for (const DType src : {DType::u8, DType::s8})
        suite.add(codes, int_conv_task(room, "conv2d_int8_fwd", layer, src, DType::u8), vendor);
    }
  for (const Layer& layer : layers_of(LayerKind::conv, suite.settings().batch)) {
    suite.add(rows, float_conv_task(room, "conv2d_bwd_data", ConvPass::backward_data, layer));
    suite.add(rows, float_conv_task(room, "conv2d_bwd_weight", ConvPass::backward_weight, layer));
  }
  suite.require_all(rows);
  suite.require_all(codes);
}

}  // namespace octet::bench
