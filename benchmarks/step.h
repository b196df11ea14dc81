// --step: whole training steps of MobileNetV1, ours and PyTorch's, interleaved.
#pragma once
#include <string>
#include <vector>

#include "benchmarks/sheet.h"

namespace octet::bench {

struct StepOptions {
  std::int64_t batch = 256;
  double scale = 1;
  int threads = 0;
  int rounds = 5;                  ///< every side gets its turn in each
  int steps = 4;                   ///< timed in a turn, behind one to get warm
  std::string python;              ///< an interpreter that has PyTorch; empty: no peer
  std::string peer_script;         ///< empty: benchmarks/peers/torch_step.py of the source tree
  bool peer_qat = false;           ///< torch.ao's FX QAT too, which is slow
  std::vector<std::string> sides;  ///< names of step_sides(); empty: fp32, qat and the peer's as far as asked for
};

/// "fp32", "qat", "fp32-avx2", "bf16", "eager", "compile", "fx-qat".
std::vector<std::string> step_sides();

/// What one side has measured.
struct StepSide {
  std::string name, what, version;
  std::vector<std::vector<double>> rounds;            ///< seconds of a step
  double system_allocations = -1, minor_faults = -1;  ///< per step, of the last round; -1: not known
  double peak_rss_bytes = 0;
  std::vector<double> load_seconds;  ///< of a batch with crop and flip; side fp32 only
  std::string error;                 ///< why it has no times
};

/// Each side in a process of its own; in every round each runs `steps` steps while the others sleep. A side that cannot
/// run has an error. Throws Error when nothing can.
std::vector<StepSide> measure_steps(const StepOptions& options);

/// Medians, quartiles and what follows from them.
Sheet step_sheet(const std::vector<StepSide>& sides, const StepOptions& options, const Peaks& peaks);

}  // namespace octet::bench
