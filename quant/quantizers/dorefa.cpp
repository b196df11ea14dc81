#include "quant/quantizers/dorefa.h"

#include "ops/ops.h"
#include "quant/observers/observer.h"

namespace octet::quant {

Variable DorefaWeight::apply(const Variable& src) {
  return ops::dorefa(src, abs_max(src.value(), 1).to(src.value().dtype()));
}

}  // namespace octet::quant
