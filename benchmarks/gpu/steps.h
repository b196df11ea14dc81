// Whole training steps of MobileNetV1 on the device: forward, loss, backward, Momentum, gradients cleared, on a batch that lies there.
#pragma once
#include <string>
#include <vector>

#include "benchmarks/gpu/rows.h"

namespace octet::bench {

struct DeviceStep {
  std::string side;  ///< "fp32", "fp32-graph", "qat"
  std::string what;
  Quartiles seconds;
  double loss = 0;  ///< of the first step
  std::string error;
};

/// fp32: its kernels launched one by one, the loss read in every step, as training does. fp32-graph: the same step recorded once as a
/// graph. qat: with mnv1_qat's own defaults.
std::vector<DeviceStep> measure_device_steps(const DeviceSettings& settings);

}  // namespace octet::bench
