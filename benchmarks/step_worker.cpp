#include "benchmarks/step_worker.h"

#include <fmt/format.h>

#include <chrono>
#include <iostream>
#include <nlohmann/json.hpp>

#include "benchmarks/process_stats.h"
#include "core/allocator.h"
#include "core/cpu_features.h"
#include "core/error.h"
#include "nn/models.h"
#include "ops/ops.h"
#include "optim/trainer.h"
#include "quant/qat.h"

namespace octet::bench {
namespace {

using Clock = std::chrono::steady_clock;

constexpr std::int64_t kMostSteps = 1000;
constexpr std::uint64_t kSeed = 1;

/// Counts from the end of the first step, which may still take memory, to the end of the last.
class Counter : public optim::Callback {
 public:
  void on_step(const optim::Progress& progress) override {
    if (progress.batch == 1) allocations_ = allocator_stats().system_allocations, faults_ = minor_faults();
    if (progress.batch > 1) seconds.push_back(progress.step_ms / 1e3);
    if (progress.batch < progress.batches || progress.batch < 2) return;
    const auto steps = static_cast<double>(progress.batch - 1);
    system_allocations = static_cast<double>(allocator_stats().system_allocations - allocations_) / steps;
    faults = static_cast<double>(minor_faults() - faults_) / steps;
  }
  std::vector<double> seconds;
  double system_allocations = 0, faults = 0;

 private:
  std::uint64_t allocations_ = 0, faults_ = 0;
};

class StepServer {
 public:
  explicit StepServer(const StepModel& model) : model_(model) {
    if (model.bf16) ops::set_precision(ops::Precision::bf16);
    nn::MobileNetV1Options options;
    options.scale = model.scale;
    options.seed = kSeed;
    net_ = nn::mobilenet_v1(options);
    if (model.quantized) quant::Qat().quantize(*net_);
    trainer_ = std::make_unique<optim::Trainer>(net_);
    optim::Trainer::Settings settings;
    settings.optimizer.lr = 0.01;  // small enough for any number of steps
    settings.optimizer.momentum = 0.9;
    trainer_->prepare(settings);
  }

  nlohmann::json run(std::int64_t steps) {
    const std::int64_t pictures = model_.batch * (steps + 1);
    if (data_.size() < pictures) data_ = data::synthetic_shapes(kSeed, pictures, 10).train;
    optim::FitOptions fit;
    fit.epochs = 1;
    fit.loader.batch_size = model_.batch;
    Counter counter;
    trainer_->fit(data_.first(pictures), fit, &counter);
    return {{"seconds", counter.seconds},
            {"system_allocations", counter.system_allocations},
            {"minor_faults", counter.faults},
            {"peak_rss_bytes", peak_rss_bytes()}};
  }

  nlohmann::json load(std::int64_t batches) {
    if (data_.size() < 2 * model_.batch) data_ = data::synthetic_shapes(kSeed, 2 * model_.batch, 10).train;
    const data::Loader loader(data_, {model_.batch, true, data::Augment::crop_flip, kSeed});
    std::vector<double> seconds;
    for (std::int64_t i = 0; i < batches; ++i) {
      const auto start = Clock::now();
      const data::Batch batch = loader.make(0, i % 2);
      seconds.push_back(std::chrono::duration<double>(Clock::now() - start).count());
    }
    return {{"seconds", seconds}};
  }

 private:
  StepModel model_;
  std::shared_ptr<nn::Module> net_;
  std::unique_ptr<optim::Trainer> trainer_;
  data::Dataset data_;
};

nlohmann::json obey(StepServer& server, const std::string& line) {
  const std::size_t space = line.find(' ');
  const std::string word = line.substr(0, space);
  const std::int64_t count = space == std::string::npos ? 0 : std::atoll(line.c_str() + space);
  OCTET_CHECK(count >= 1 && count <= kMostSteps, "octet_bench", "'{}': the count must be 1 to {}", line, kMostSteps);
  if (word == "run") return server.run(count);
  OCTET_CHECK(word == "load", "octet_bench", "'{}' is no command: run N or load N", line);
  return server.load(count);
}

}  // namespace

int serve_steps(const StepModel& model) {
  StepServer server(model);
  std::cout << nlohmann::json{{"ready", fmt::format("octet {}, {}", OCTET_VERSION, name_of(usable_isa()))}}
            << std::endl;
  for (std::string line; std::getline(std::cin, line);) std::cout << obey(server, line) << std::endl;
  return 0;
}

}  // namespace octet::bench
