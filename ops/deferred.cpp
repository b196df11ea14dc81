#include "kernels/quantizer/quantizer.h"
#include "ops/batchnorm.h"
#include "ops/common.h"

namespace octet::ops {

Variable materialise(const Deferred& src) {
  OCTET_CHECK(src.z.defined(), "deferred", "there is no raw output to materialise");
  const Variable dst =
      src.affine.defined() ? detail::apply_affine(src.z, src.affine, src.act, src.late) : activation(src.z, src.act);
  if (!src.quant) return dst;
  return src.scale.defined() ? fake_quant(dst, *src.quant, src.scale, src.masked)
                             : fake_quant(dst, *src.quant, src.masked);
}

Tensor range_of(const Deferred& src) {
  if (!src.low.defined()) return {};
  kernels::QuantizerProblem problem;
  problem.count = src.low.numel(), problem.act = src.act;
  Tensor range = detail::empty_like(src.low, Shape{2});
  kernels::QuantizerPointers p;
  p.low = static_cast<const float*>(src.low.raw()), p.high = static_cast<const float*>(src.high.raw());
  p.affine = src.affine.defined() ? static_cast<const float*>(src.affine.value().raw()) : nullptr;
  p.range2 = static_cast<float*>(range.raw());
  kernels::dispatch(kernels::quantizer_rows(), "deferred_range", "f32", problem, p, detail::context_of(range));
  return range;
}

}  // namespace octet::ops
