// What the rows of a compare say over their seeds: a table, a CSV, a picture.
#pragma once
#include <map>
#include <nlohmann/json_fwd.hpp>
#include <string>
#include <vector>

#include "apps/chart/svg.h"
#include "apps/mnv1_qat/grid_rows.h"

namespace octet::app {

/// Over seeds. The spread is the sample's standard deviation, 0 of one value.
struct OverSeeds {
  double mean = 0, spread = 0;
};
OverSeeds over_seeds(const std::vector<double>& values);

/// A method at some bits.
struct GridResult {
  std::string method;
  int bits = 0;
  std::size_t seeds = 0;                        ///< with scores
  std::map<std::uint64_t, std::string> failed;  ///< seeds without, and why
  OverSeeds top1, top5, loss, fake_quant_top1;
  OverSeeds difference;  ///< top-1 less that of the fp32 net of the same seed
  std::uint64_t packed_bytes = 0, file_bytes = 0;
};

/// What was asked for.
struct Grid {
  std::vector<std::string> methods;
  std::vector<int> bits;
  std::vector<std::uint64_t> seeds;
  std::string data;           ///< that it was measured on
  std::int64_t pictures = 0;  ///< of the test set
};

/// fp32 first, then bits by bits every method; rows beside the grid are passed over, and what has no rows yet is left
/// out.
std::vector<GridResult> results_of(const Grid& grid, const GridRows& rows);

/// As Markdown, which reads as a table on a terminal too.
std::string table_of(const Grid& grid, const std::vector<GridResult>& results);
/// Fields that no seed fills are empty.
std::string csv_of(const std::vector<GridResult>& results);
/// A line for each training that failed, as text; "" when none did.
std::string failures_of(const std::vector<GridResult>& results);
nlohmann::ordered_json json_of(const Grid& grid, const std::vector<GridResult>& results);
/// Top-1 over bits, a line for each method; below it the part that is near fp32.
chart::Svg drawing_of(const Grid& grid, const std::vector<GridResult>& results);

}  // namespace octet::app
