// One side of --step: a process that trains MobileNetV1 as mnv1_qat does, a few steps whenever it is asked.
#pragma once
#include <cstdint>
#include <string>

namespace octet::bench {

struct StepModel {
  bool bf16 = false;       ///< products of the 1x1 convolutions in bf16
  bool quantized = false;  ///< QAT with mnv1_qat's own defaults (scheme octet, all convs and the linear)
  std::int64_t batch = 256;
  double scale = 1;  ///< width of the net
};

/// Says {"ready": …}, then obeys lines on stdin until they end:
///   run N    one step to get warm, N timed: {"seconds": […], "system_allocations": per step, "minor_faults": per step,
///            "peak_rss_bytes": so far}
///   load N   N batches with crop and flip, made one after the other: {"seconds": […]}
/// benchmarks/peers/torch_step.py speaks the same language. Returns the exit code.
int serve_steps(const StepModel& model);

}  // namespace octet::bench
