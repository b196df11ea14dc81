// --trace-quant DIR: DIR/quant_trace.jsonl, what fine-tuning does to the quantizers, a line for every so many steps.
#pragma once
#include <memory>
#include <string>
#include <vector>

#include "optim/trainer.h"
#include "quant/training/training_trace.h"

namespace octet::app {

inline constexpr const char* kTraceFile = "quant_trace.jsonl";

struct TraceLine {
  std::int64_t step = 0;
  std::vector<quant::LayerTrace> layers;
};
/// The lines that are what we write, in order; none when there is no such file.
std::vector<TraceLine> read_trace(const std::string& path);

/// Throws Error when it cannot be made, or no trace written there.
void make_trace_folder(const std::string& dir);

/// Follows a fit and writes.
class TraceWriter {
 public:
  /// Makes the folder. Throws Error when it cannot be made or written, or the model has no quantizers.
  TraceWriter(const std::string& dir, nn::Module& model, const Tensor& pictures, std::int64_t every,
              const quant::OscillationFreezing* freezing = nullptr);
  /// A resumed fit keeps the lines up to the step that it goes on from; which weights oscillate is found anew.
  void begin(const optim::Progress& progress);
  void step(const optim::Progress& progress);

 private:
  std::string path_;
  quant::TrainingTrace trace_;
  std::int64_t every_;
};

}  // namespace octet::app
