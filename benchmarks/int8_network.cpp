#include "benchmarks/int8_network.h"

#include <algorithm>
#include <chrono>
#include <optional>
#include <thread>

#include "benchmarks/conv_tasks.h"
#include "core/parallel.h"
#include "kernels/conv2d_int8/fused_onednn.h"
#include "kernels/dwconv2d_int8/dwconv2d_int8.h"

namespace octet::bench {
namespace {

using kernels::IntConvProblem;
using kernels::IntConvRow;
using Run = std::function<void()>;

constexpr std::int64_t kTile = 16;  // pictures that one thread is given at a time here
/// oneDNN's sums are exact with these on processors that add pairs in s16 too; our row's time depends on no weight.
constexpr int kSmallWeights = 63;

double seconds_of(const Run& run, int calls) {
  const auto begin = std::chrono::steady_clock::now();
  for (int i = 0; i < calls; ++i) run();
  return std::chrono::duration<double>(std::chrono::steady_clock::now() - begin).count() / calls;
}

/// One side with what it runs; nothing where it cannot.
struct Turn {
  Int8Side* side;
  Run run;
  int calls = 1;
};

class LayerMeter {
 public:
  LayerMeter(const Settings& settings, const Layer& layer)
      : settings_(settings), depthwise_(layer.depthwise), task_(task_of(layer)), io_(task_.bind(operands_)) {
    result_ = {kind_of(layer), layer.name, layer.times, task_.work.ops, {}, {}, {}};
  }

  Int8Layer measure() {
    operands_.keep_reference(prepared(row("reference"), task_.problem, io_));
    add_own(result_.own, kernels::select(rows(), task_.pass, task_.dtypes, task_.problem));
    if (result_.own.row == "avx2" && !depthwise_) {
      task_.problem.narrow = true;
      add_own(result_.pairs, row("avx2pairs"));
    }
    add_vendor(result_.vendor);
    take_turns();
    return std::move(result_);
  }

 private:
  static IntConvTask task_of(const Layer& layer) {
    const bool fc = layer.name == "fc";
    return int_conv_task(layer.depthwise ? "dwconv2d" : "conv2d",
                         layer.depthwise ? "dwconv2d_int8_fwd" : "conv2d_int8_fwd", layer, DType::u8,
                         fc ? DType::f32 : DType::u8, kSmallWeights);
  }
  std::span<const IntConvRow> rows() const {
    return depthwise_ ? kernels::dwconv2d_int8_rows() : kernels::conv2d_int8_rows();
  }
  const IntConvRow& row(const char* impl) const {
    const auto all = rows();
    return *std::find_if(all.begin(), all.end(), [&](const IntConvRow& r) {
      return kernels::same_text(r.impl, impl) && kernels::same_text(r.dtypes, task_.dtypes);
    });
  }

  void add_own(Int8Side& side, const IntConvRow& row) {
    const Run run = prepared(row, task_.problem, io_);
    add(side, row.impl, run, operands_.compare_bits(run));
  }
  void add(Int8Side& side, const char* name, const Run& run, std::string error) {
    side.row = name;
    side.failed = !error.empty();
    side.error = std::move(error);
    if (!side.failed) turns_.push_back({&side, run});
  }

  void add_vendor(Int8Side& side) {
#if OCTET_WITH_ONEDNN
    using kernels::onednn::FusedIntConv;
    side.row = "onednn";
    if (const char* reason = FusedIntConv::why_not(task_.problem, depthwise_)) {
      side.error = reason;
      return;
    }
    const FusedIntConv primitive(task_.problem, depthwise_, io_.weights);
    const Run run = [primitive, io = io_] { primitive.run(io.src, io.dst); };
    add(side, "onednn", run, operands_.compare_codes(run));
#else
    side.error = "this build has no oneDNN";
#endif
  }

  /// Each turn is as many calls as take some milliseconds, after as many that warm up: the system takes its time to give
  /// threads that slept processors of their own again.
  void take_turns() {
    const int rounds = settings_.quick ? 2 : 11;
    const double long_enough = settings_.quick ? 0 : num_threads() > 1 ? 12e-3 : 4e-3;
    for (Turn& turn : turns_)
      turn.calls = std::max(1, static_cast<int>(long_enough / std::max(seconds_of(turn.run, 2), 1e-7)));
    for (int round = 0; round < rounds; ++round)
      for (const Turn& turn : turns_) {
        // The threads of the side before, ours or OpenMP's, spin for some milliseconds before they sleep.
        if (num_threads() > 1 && !settings_.quick) std::this_thread::sleep_for(std::chrono::milliseconds(10));
        seconds_of(turn.run, turn.calls);
        turn.side->seconds.push_back(seconds_of(turn.run, turn.calls));
      }
  }

  const Settings& settings_;
  bool depthwise_;
  Operands operands_;
  IntConvTask task_;
  IntConvOperands io_;
  Int8Layer result_;
  std::vector<Turn> turns_;
};

/// num_threads() as it was, at the end.
class Threads {
 public:
  explicit Threads(int threads) : before_(num_threads()) { set_num_threads(threads); }
  ~Threads() { set_num_threads(before_); }
  Threads(const Threads&) = delete;

 private:
  int before_;
};

Int8Run measure_run(const Settings& settings, const char* key, std::int64_t batch, int threads) {
  const Threads set(threads);
  Int8Run run{key, batch, threads, {}};
  for (Layer layer : network().layers) {
    layer.geometry.n = batch;
    run.layers.push_back(LayerMeter(settings, layer).measure());
  }
  return run;
}

}  // namespace

std::vector<Int8Run> measure_int8_network(const Settings& settings) {
  return {measure_run(settings, "tile", std::min(kTile, settings.batch), 1),
          measure_run(settings, "batch", settings.batch, num_threads())};
}

}  // namespace octet::bench
