#include <algorithm>
#include <cmath>
#include <limits>

#include "kernels/activation.h"
#include "ops/batchnorm.h"
#include "ops/common.h"

namespace octet::ops {

Variable materialise(const Deferred& src) {
  OCTET_CHECK(src.z.defined(), "deferred", "there is no raw output to materialise");
  const Variable dst =
      src.affine.defined() ? detail::apply_affine(src.z, src.affine, src.act, src.late) : activation(src.z, src.act);
  return src.quant ? fake_quant(dst, *src.quant, src.masked) : dst;
}

std::optional<ValueRange> range_of(const Deferred& src) {
  if (!src.low.defined()) return std::nullopt;
  constexpr float kInfinity = std::numeric_limits<float>::infinity();
  const std::int64_t c = src.low.numel();
  const float* scale = src.affine.defined() ? src.affine.value().data<float>() : nullptr;
  ValueRange range{kInfinity, -kInfinity};
  for (std::int64_t i = 0; i < c; ++i)
    for (const Tensor* extremes : {&src.low, &src.high}) {
      const float z = extremes->data<float>()[i];
      const float y = kernels::activate(scale == nullptr ? z : std::fma(z, scale[i], scale[c + i]), src.act);
      if (std::isnan(y)) return ValueRange{y, y};
      range = {std::min(range.low, y), std::max(range.high, y)};
    }
  return ValueRange{range.low + 0.0f, range.high + 0.0f};  // a zero has no sign here
}

}  // namespace octet::ops
