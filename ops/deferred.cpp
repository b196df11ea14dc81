#include "ops/ops.h"

namespace octet::ops {

Variable materialise(const Deferred& src) {
  OCTET_CHECK(src.z.defined(), "deferred", "there is no raw output to materialise");
  const Variable dst = src.affine.defined() ? affine_act(src.z, src.affine, src.act) : activation(src.z, src.act);
  return src.quant ? fake_quant(dst, *src.quant, src.masked) : dst;
}

Deferred conv_bn_act(const Deferred& src, const Variable& weight, const Variable& gamma, const Variable& beta,
                     BatchNormState& state, const ConvBnActArgs& args) {
  const Variable x = materialise(src);
  Deferred dst;
  dst.z = args.depthwise ? dwconv2d(x, weight, {}, args.conv) : conv2d(x, weight, {}, args.conv);
  dst.affine = batchnorm_affine(dst.z, gamma, beta, state, args.training);
  if (args.on_affine) dst.affine = args.on_affine(dst.affine);
  dst.act = args.act;
  return dst;
}

}  // namespace octet::ops
