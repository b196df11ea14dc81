#include "benchmarks/measure.h"

#include <benchmark/benchmark.h>

#include <map>

#include "benchmarks/statistics.h"
#include "kernels/select.h"

namespace octet::bench {
namespace {

/// Memory belongs to the task that was checked last.
class Holder {
 public:
  std::string check(const Entry& entry) {
    if (held_ != entry.task) release();
    held_ = entry.task;
    return held_->check(entry.row);
  }
  void release() {
    if (held_ != nullptr) held_->release();
    held_ = nullptr;
  }

 private:
  std::shared_ptr<AnyTask> held_;
};

/// Hands whole groups on. Errors are kept here rather than read from a Run, whose fields changed between versions.
class Collector : public benchmark::BenchmarkReporter {
 public:
  Collector(const std::vector<Entry*>& entries, const Peaks& peaks, Report& report) : peaks_(peaks), report_(report) {
    for (const Entry* entry : entries) by_name_[entry->name] = entry;
  }
  void fail(const Entry& entry, const std::string& error) { errors_[&entry] = error; }
  const Outcome& outcome() const { return outcome_; }

  bool ReportContext(const Context&) override { return true; }
  void ReportRuns(const std::vector<Run>& runs) override {
    // Repeated benchmarks come twice: their iterations, then the library's own aggregates, which are not used.
    if (runs.empty() || runs[0].run_type != Run::RT_Iteration) return;
    const Entry& entry = *by_name_.at(runs.at(0).run_name.function_name);
    if (!group_.empty() && (group_[0].entry->group != entry.group || group_[0].entry->room != entry.room)) flush();
    Result result;
    result.entry = &entry;
    const auto error = errors_.find(&entry);
    if (error != errors_.end()) {
      result.error = error->second;
      ++outcome_.failed;
    } else {
      std::vector<double> seconds;
      for (const Run& run : runs)
        if (run.run_type == Run::RT_Iteration)
          seconds.push_back(run.real_accumulated_time / static_cast<double>(run.iterations));
      result.seconds = quartiles_of(std::move(seconds)).median;
      ++outcome_.measured;
    }
    group_.push_back(std::move(result));
  }
  void Finalize() override { flush(); }

 private:
  void flush() {
    if (group_.empty()) return;
    rate(group_, peaks_);
    report_.group(group_);
    group_.clear();
  }

  const Peaks& peaks_;
  Report& report_;
  std::map<std::string, const Entry*> by_name_;
  std::map<const Entry*, std::string> errors_;
  std::vector<Result> group_;
  Outcome outcome_;
};

void run_entry(benchmark::State& state, const Entry& entry, Holder& holder, Collector& collector) {
  const std::string error = holder.check(entry);
  if (!error.empty()) {
    collector.fail(entry, error);
    state.SkipWithError(error.c_str());
    return;
  }
  for (auto _ : state) entry.task->run(entry.row);
}

}  // namespace

Outcome measure(const std::vector<Entry*>& entries, const Settings& settings, const Peaks& peaks, Report& report) {
  int count = 1;
  char name[] = "octet_bench";
  char* arguments[] = {name, nullptr};
  benchmark::Initialize(&count, arguments);
  Holder holder;
  Collector collector(entries, peaks, report);
  for (const Entry* entry : entries) {
    auto* made = benchmark::RegisterBenchmark(
        entry->name.c_str(),
        [entry, &holder, &collector](benchmark::State& state) { run_entry(state, *entry, holder, collector); });
    // Reference rows are slow and only there for comparison: one repetition.
    const bool once = settings.quick || entry->impl == "reference";
    made->UseRealTime()
        ->Unit(benchmark::kMicrosecond)
        ->MinTime(settings.quick ? 0.001 : settings.seconds)
        ->Repetitions(once ? 1 : 3);
  }
  benchmark::RunSpecifiedBenchmarks(&collector, ".");
  benchmark::ClearRegisteredBenchmarks();
  benchmark::Shutdown();
  holder.release();
  return collector.outcome();
}

}  // namespace octet::bench
