// The order of classes by their logits, shared by ops/loss.cpp and the rows.
#pragma once
#include <cstdint>

#include "core/host_device.h"

namespace octet::kernels {

/// Does class j come before class `label`: a larger logit, and among equals the lower class? A NaN comes before nothing.
template <class T>
OCTET_HD inline bool ranks_before(T logit, std::int64_t j, T of_label, std::int64_t label) {
  return logit > of_label || (logit == of_label && j < label);
}

}  // namespace octet::kernels
