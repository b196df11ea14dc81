// Times of work on the device: recorded as a graph, so that what is measured is the device and not how fast the host launches.
#pragma once
#include <functional>

#include "benchmarks/statistics.h"

namespace octet::bench {

struct DeviceTiming {
  int rounds = 9;         ///< of which the quartiles are taken
  double seconds = 0.01;  ///< that a round takes at least; 0: one call a round
};

/// Seconds of one call. `work` is called once before, to get warm: kernels are loaded, scratch memory is taken. By the steady
/// clock between two points where the device has nothing left to do.
Quartiles time_on_device(const std::function<void()>& work, const DeviceTiming& timing);

}  // namespace octet::bench
