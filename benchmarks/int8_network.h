// --int8-network: the engine's convolutions, layer by layer, beside oneDNN's int8 primitives.
#pragma once
#include "benchmarks/network_plan.h"
#include "benchmarks/sheet.h"

namespace octet::bench {

/// A side of a comparison on one layer.
struct Int8Side {
  std::string row;              ///< "avx2", "onednn"
  std::string error;            ///< why it has no times
  bool failed = false;          ///< the error is a failed check, not a refusal
  std::vector<double> seconds;  ///< of one call, round by round; all sides took turns in each
};

struct Int8Layer {
  Kind kind = Kind::other;
  std::string layer;  ///< "pw7-11"
  int times = 1;      ///< equal layers of the net
  double ops = 0;
  Int8Side own;     ///< the row that weights of 8 bits get
  Int8Side pairs;   ///< the row that adds pairs in s16, where it would run
  Int8Side vendor;  ///< oneDNN: sums, scales and stores codes in one primitive
};

/// The whole net under one condition.
struct Int8Run {
  std::string key;  ///< of its figures: "tile", "batch"
  std::int64_t batch = 0;
  int threads = 1;
  std::vector<Int8Layer> layers;
};

/// A tile of the engine on one thread, then the batch of `settings` on all threads. Ours are checked against the
/// reference bit for bit, oneDNN's codes to within one, before any is timed.
std::vector<Int8Run> measure_int8_network(const Settings& settings);

/// A line per layer and a sum per run; figures KEY_sum_ratio, KEY_least_ratio (of sums of least times),
/// KEY_worst_ratio, KEY_worst_layer, and KEY_pairs_ratio with the row of pairs where it runs. Layers without oneDNN's
/// time are in no sum.
Sheet int8_network_sheet(const std::vector<Int8Run>& runs);

/// Sides that failed their check.
std::size_t failures_of(const std::vector<Int8Run>& runs);

}  // namespace octet::bench
