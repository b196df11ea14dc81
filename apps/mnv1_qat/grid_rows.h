// The rows of a compare: DIR/rows.jsonl, one for each cell of the grid, written as it is finished.
#pragma once
#include <cstdint>
#include <string>
#include <vector>

namespace octet::app {

inline constexpr const char* kFloats = "fp32";  ///< the method of rows of the nets that all others begin with
inline constexpr int kFloatBits = 32;

/// One net: of a seed, quantized by a method to some bits.
struct GridRow {
  std::string method;
  int bits = 0;
  std::uint64_t seed = 0;
  std::string tag;                                 ///< what made it, as JSON
  bool kept = false;                               ///< its files were left where they are
  std::string error;                               ///< why there are no scores; empty: there are
  std::int64_t pictures = 0;                       ///< of the test set
  double top1 = 0, top5 = 0, loss = 0;             ///< by the integer engine; of fp32 by the net
  double fake_quant_top1 = 0;                      ///< by the net with its quantizers
  std::uint64_t packed_bytes = 0, file_bytes = 0;  ///< quant/analysis/packed_size.h; int8.safetensors
};

class GridRows {
 public:
  /// Reads the rows of earlier processes. A torn last line is cut (mend_last_line()), and what is no row is passed over.
  explicit GridRows(std::string path);
  /// Null when there is none.
  const GridRow* find(const std::string& method, int bits, std::uint64_t seed) const;
  /// The same, made as `tag` says; throws Error when it was made otherwise, saying how. Keys of the configuration that
  /// a row's writer did not know count as their defaults.
  const GridRow* find(const std::string& method, int bits, std::uint64_t seed, const std::string& tag) const;
  /// Appends it to the file, and to the disk: a cell's folder goes once its row is there. Throws Error when that cannot be written.
  void add(const GridRow& row);
  std::size_t size() const { return rows_.size(); }

 private:
  std::string path_;
  std::vector<GridRow> rows_;
};

}  // namespace octet::app
