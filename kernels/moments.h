// Mean and variance from sums, as every row of the device has them.
#pragma once
#include <cmath>

#include "core/host_device.h"

namespace octet::kernels {
namespace {

/// Of `pixels` values with Σ z and Σ z²: the biased variance, not below 0.
inline OCTET_HD void moments_of(double sum, double square, double pixels, float& mean_of, float& variance_of) {
  const double mean = sum / pixels, variance = fma(-mean, mean, square / pixels);
  mean_of = static_cast<float>(mean);
  variance_of = static_cast<float>(0.0 > variance ? 0.0 : variance);
}

}  // namespace
}  // namespace octet::kernels
