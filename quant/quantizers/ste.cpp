#include "quant/quantizers/ste.h"

#include "ops/ops.h"

namespace octet::quant {

PassThrough pass_through(const SteOptions& options, QuantRule rule) {
  const bool masked = options.ste == Ste::scheme ? rule == QuantRule::onnx : options.ste != Ste::plain;
  return {masked, options.ste == Ste::ewgs ? options.delta : 0};
}

Variable fake_quant(const Variable& src, const QuantParams& bounds, const Tensor& scale, const PassThrough& pass) {
  if (pass.delta != 0) return ops::fake_quant_scaled(src, bounds, scale, pass.masked, pass.delta);
  return ops::fake_quant(src, bounds, scale, pass.masked);
}

}  // namespace octet::quant
