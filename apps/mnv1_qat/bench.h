// Times models in the engine: latency, throughput, memory, loading.
#pragma once
#include <cstdint>
#include <functional>
#include <iosfwd>
#include <memory>
#include <string>
#include <vector>

#include "apps/mnv1_qat/deployable.h"
#include "quant/engine/engine.h"

namespace octet::app {

/// A model in the engine with a session and pictures of its own.
class BenchSubject {
 public:
  explicit BenchSubject(const Deployable& model, Device device = Device::cpu);
  const std::string& kind() const { return model_.kind; }
  const std::string& file() const { return model_.file; }
  const engine::Engine& engine() const { return engine_; }
  /// Seconds of each of `count` runs of `batch` random pictures, after one that is not counted.
  std::vector<double> run(std::int64_t batch, std::int64_t count);
  /// Seconds from opening the file to the first logits of one picture, `count` times; an engine of its own each time.
  std::vector<double> load(std::int64_t count);
  /// Bytes of working memory that the runs so far made the session hold.
  std::size_t session_bytes() const { return session_->bytes(); }
  /// Forgets the session: the next run's memory is its own.
  void restart() { session_ = std::make_unique<engine::Session>(engine_); }

 private:
  void reserve(std::int64_t batch);
  Deployable model_;
  engine::Engine engine_;
  std::unique_ptr<engine::Session> session_;
  std::vector<float> pictures_, logits_;
};

struct BenchCase {
  std::string kind;
  std::int64_t batch = 0;
  int threads = 0;
  std::int64_t runs = 0;
  double p50 = 0, p90 = 0, p99 = 0;  ///< seconds
  std::size_t activation_bytes = 0;
  double pictures_per_second() const { return p50 > 0 ? static_cast<double>(batch) / p50 : 0; }
};

/// Every subject at every batch size and thread count; within a case subjects take turns for `seconds` each. `told`:
/// before each case, how many were done. Leaves the thread count as the last case had it.
std::vector<BenchCase> measure(std::vector<std::unique_ptr<BenchSubject>>& subjects,
                               const std::vector<std::int64_t>& batches, const std::vector<int>& threads,
                               double seconds, const std::function<void(std::size_t)>& told);

/// The smallest value that `share` of `values` do not exceed; 0 of nothing.
double percentile(std::vector<double> values, double share);

/// Says {"ready": …}, then obeys lines of `in` until they end, an answer each:
///   run KIND BATCH THREADS N    one run to get warm, N timed: {"seconds": […]}
///   load KIND N                 N times from file to first answer: {"seconds": […]}
/// Throws Error on a line that is neither.
void serve_bench(std::vector<std::unique_ptr<BenchSubject>>& subjects, std::istream& in, std::ostream& out);

}  // namespace octet::app
