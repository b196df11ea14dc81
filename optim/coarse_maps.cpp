#include "optim/coarse_maps.h"

#include "core/error.h"

namespace octet::optim {

CoarseMaps::CoarseMaps(nn::Conv2d& reduction, std::int64_t epochs)
    : reduction_(reduction), stride_(reduction.options().stride), epochs_(epochs) {
  OCTET_CHECK(epochs > 0, "coarse maps", "{} epochs; there has to be one", epochs);
}

bool CoarseMaps::begin_epoch(std::int64_t epoch) {
  const std::int64_t wanted = epoch < epochs_ ? 2 * stride_ : stride_;
  if (wanted == reduction_.options().stride) return false;
  reduction_.set_stride(wanted);
  return true;
}

}  // namespace octet::optim
