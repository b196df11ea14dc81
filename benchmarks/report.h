// Results, and the four ways to print them.
#pragma once
#include <optional>
#include <string>
#include <vector>

#include "benchmarks/bench.h"
#include "benchmarks/system_info.h"

namespace octet::bench {

/// A measured row, or one that failed its check.
struct Result {
  const Entry* entry = nullptr;
  double seconds = 0;  ///< of one call: median over the repetitions
  std::string error;   ///< what the check found; then nothing was timed
  Bound bound = Bound::memory;
  double percent = 0;               ///< of the peak that bounds the work
  std::optional<double> times_f32;  ///< how often faster than the fp32 row that selection would run

  double gops() const { return entry->work.ops / seconds / 1e9; }
  double gbytes() const { return entry->work.bytes / seconds / 1e9; }
};

/// Fills bound, percent and times_f32 of the results of one group.
void rate(std::vector<Result>& group, const Peaks& peaks);

/// Prints as groups come in; finish() ends the report. Everything goes to stdout, the system's facts of csv to stderr.
class Report {
 public:
  virtual ~Report() = default;
  virtual void begin(const Facts& facts, const Peaks& peaks) = 0;
  virtual void group(const std::vector<Result>& results) = 0;
  virtual void finish() {}
};

enum class Format { table, csv, json, md };
std::unique_ptr<Report> make_report(Format format);

}  // namespace octet::bench
