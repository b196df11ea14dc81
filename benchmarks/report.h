// Results of rows, and the four ways to print them.
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

/// How near a pass comes to the peak over the net's 1x1 convolutions, with the rows that selection runs.
struct Share {
  std::string pass, dtypes;
  std::size_t shapes = 0, of = 0;  ///< measured, of how many distinct ones in the net
  double geomean = 0, lowest = 0;  ///< of the peak of the unit that multiplies: FMA, int8, bf16; 0 to 1
  std::string lowest_shape;
};
/// One for each pass and dtypes that `results` has at `batch` pictures, in order of appearance.
std::vector<Share> pointwise_shares(const std::vector<Result>& results, const Peaks& peaks, std::int64_t batch);

std::string share_text(const Share& share);

/// Prints as groups come in; finish() ends the report. Everything goes to stdout, the system's facts of csv to stderr.
class Report {
 public:
  virtual ~Report() = default;
  virtual void begin(const Facts& facts, const Peaks& peaks) = 0;
  virtual void group(const std::vector<Result>& results) = 0;
  virtual void finish(const std::vector<Share>& shares) { (void)shares; }
};

enum class Format { table, csv, json, md };
/// The facts as text (csv: to stderr; json: nothing, they belong into its object).
void print_header(const Facts& facts, const Peaks& peaks, Format format);
std::unique_ptr<Report> make_report(Format format);

}  // namespace octet::bench
