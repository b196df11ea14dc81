// dwconv2d: the depthwise convolutions, int8 beside fp32.
#include "kernels/dwconv2d/dwconv2d.h"
#include "benchmarks/conv_tasks.h"
#include "kernels/dwconv2d_int8/dwconv2d_int8.h"

namespace octet::bench {

void add_dwconv2d(Suite& suite) {
  const auto rows = kernels::dwconv2d_rows();
  const auto codes = kernels::dwconv2d_int8_rows(), vendor = kernels::dwconv2d_int8_vendor_rows();
  const char* room = "dwconv2d";
  for (const std::int64_t batch : suite.settings().forward_batches())
    for (const Layer& layer : layers_of(LayerKind::depthwise, batch)) {
      suite.add(rows, float_conv_task(room, "dwconv2d_fwd", ConvPass::forward, layer));
      for (const DType src : {DType::u8, DType::s8})
        suite.add(codes, int_conv_task(room, "dwconv2d_int8_fwd", layer, src, DType::u8), vendor);
    }
  for (const Layer& layer : layers_of(LayerKind::depthwise, suite.settings().batch)) {
    suite.add(rows, float_conv_task(room, "dwconv2d_bwd_data", ConvPass::backward_data, layer));
    suite.add(rows, float_conv_task(room, "dwconv2d_bwd_weight", ConvPass::backward_weight, layer));
  }
  suite.require_all(rows);
  suite.require_all(codes);
}

}  // namespace octet::bench
