// --profile FILE: a trace of the run, and tables of where its time went.
#pragma once
#include <nlohmann/json_fwd.hpp>
#include <string>

#include "apps/mnv1_qat/options.h"

namespace octet::app {

/// From construction to finish() the program is profiled, when --profile was given.
class ProfileSession {
 public:
  /// Throws Error at once when the trace could not be written.
  explicit ProfileSession(const Options& options);
  /// After an error: what was recorded so far is written, as far as that goes.
  ~ProfileSession();
  ProfileSession(const ProfileSession&) = delete;
  /// Writes FILE, and beside it FILE without ".json" as .layers.json and .layers.txt; prints the tables unless --quiet or --json.
  void finish();

 private:
  void write() const;
  std::string trace_;
  bool silent_;
  bool running_ = false;
};

/// What was recorded, per stage: {"stages": [{"stage", "steps", "step_ms", "phases": [{"phase", "ms", "share"}], "layers":
/// [{"layer", "kind", "forward_ms", "backward_ms", "share", "calls"}], "kernels": [{"pass", "row", "calls", "ms", "share"}]}],
/// "spans_left_out"}. Times are per step, a layer's without layers inside it; shares are of the step.
nlohmann::ordered_json profile_json();
/// The same as text.
std::string profile_table(const nlohmann::ordered_json& profile);

}  // namespace octet::app
