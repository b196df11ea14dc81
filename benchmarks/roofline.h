// A roofline plot: what was measured, under what the machine can do at most.
#pragma once
#include <string>
#include <vector>

#include "benchmarks/report.h"

namespace octet::bench {

/// One measured case in the plot's terms.
struct RooflinePoint {
  std::string label, details;  ///< written beside it; shown when the pointer rests on it
  std::string room;            ///< its colour
  std::string dtypes;          ///< its form: integers are squares
  double flop_per_byte = 0;    ///< 0: bytes alone count, gops is GB/s then
  double gops = 0;
  bool chosen = true;  ///< selection runs this row: filled
};

/// Points of the results that have a time.
std::vector<RooflinePoint> roofline_points(const std::vector<Result>& results);

/// Self-contained SVG with log-log axes: the ceilings of FMA, int8 and memory, a labelled point per case, a legend.
/// Cases without operations stand in a strip at the left, as far below the memory roof as they are slower than it.
std::string roofline_svg(const std::vector<RooflinePoint>& points, const Peaks& peaks);

/// Throws Error when the file cannot be written.
void write_roofline(const std::vector<Result>& results, const Peaks& peaks, const std::string& file);

}  // namespace octet::bench
