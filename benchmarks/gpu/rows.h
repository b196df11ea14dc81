// Rows of the device on the shapes of MobileNetV1: each is held against the processor's row, then timed.
#pragma once
#include <string>
#include <vector>

#include "benchmarks/gpu/timing.h"
#include "benchmarks/peak.h"
#include "kernels/problem.h"

namespace octet::bench {

struct DeviceRow {
  std::string pass, shape, impl, problem;
  kernels::ConvGeometry geometry;  ///< of a convolution; its k is 0 elsewhere
  int times = 1;                   ///< how often the net has it
  Work work;
  Quartiles seconds;
  std::string error;  ///< what the check found, or why the row could not run; then nothing was timed
};

struct DeviceSettings {
  std::int64_t batch = 256;
  bool quick = false;  ///< a few shapes, once each
  DeviceTiming timing;
};

/// A copy on the device, as the driver does it: the bandwidth that rows are held against.
struct CopyRate {
  std::int64_t bytes = 0;  ///< read, and as many written
  Quartiles seconds;
  double gbytes() const { return 2e-9 * static_cast<double>(bytes) / seconds.median; }
};
CopyRate measure_copy(const DeviceSettings& settings);

/// dwconv2d, conv2d (with cuDNN's rows where there are any), both fused with batch norm, and fake_quant on whole maps and weights.
std::vector<DeviceRow> measure_device_rows(const DeviceSettings& settings);

}  // namespace octet::bench
