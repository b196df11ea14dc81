#include "quant/pact.h"

#include <algorithm>

#include "ops/ops.h"

namespace octet::quant {

Pact::Pact()
    : alpha_(register_parameter("alpha", Tensor::full({1}, 1))), started_(register_buffer("started", Tensor::zeros({1}, DType::s32))) {}

bool Pact::started() const { return started_.data<std::int32_t>()[0] != 0; }

void Pact::start(float abs_max) {
  if (started()) return;
  alpha_.value().data<float>()[0] = abs_max;
  started_.data<std::int32_t>()[0] = 1;
}

float Pact::threshold() const {
  OCTET_CHECK(started(), "pact", "the threshold is not known before the first tensor");
  return std::max(alpha_.value().data<float>()[0], kMinScale);
}

Variable Pact::apply(const Variable& src) {
  OCTET_CHECK(started(), "pact", "start() comes before apply()");
  alpha_.value().data<float>()[0] = threshold();
  return ops::pact(src, alpha_);
}

}  // namespace octet::quant
