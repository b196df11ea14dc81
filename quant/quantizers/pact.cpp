#include "quant/quantizers/pact.h"

#include <algorithm>

#include "ops/ops.h"
#include "quant/quantizers/floors.h"

namespace octet::quant {

Pact::Pact()
    : alpha_(register_parameter("alpha", Tensor::full({1}, 1))),
      started_(register_buffer("started", Tensor::zeros({1}, DType::s32), Device::cpu)) {}

bool Pact::started() const { return started_.data<std::int32_t>()[0] != 0; }

void Pact::start(float abs_max) {
  if (started()) return;
  alpha_.value().fill(abs_max);
  started_.data<std::int32_t>()[0] = 1;
}

float Pact::threshold() const {
  OCTET_CHECK(started(), "pact", "the threshold is not known before the first tensor");
  return std::max(static_cast<float>(alpha_.value().item()), kMinScale);
}

Variable Pact::apply(const Variable& src) {
  OCTET_CHECK(started(), "pact", "start() comes before apply()");
  keep_at_least(alpha_.value(), {});
  return ops::pact(src, alpha_);
}

}  // namespace octet::quant
