// bench: a model's latency, throughput, memory and start in the engine, fp32 beside int8.
#include <iostream>
#include <nlohmann/json.hpp>
#include <sstream>

#include "apps/mnv1_qat/bench.h"
#include "apps/mnv1_qat/commands.h"
#include "apps/mnv1_qat/model_file.h"
#include "apps/mnv1_qat/report.h"
#include "core/cpu_features.h"
#include "core/gpu/gpu.h"
#include "core/parallel.h"

namespace octet::app {
namespace {

using Json = nlohmann::ordered_json;

constexpr std::int64_t kLoads = 11;

struct ModelFigures {
  std::string kind, plan;
  std::uint64_t file_bytes = 0, packed_bytes = 0;
  double first_answer = 0;  ///< seconds, median
};

Json to_json(const ModelFigures& model) {
  Json rows = Json::array();
  std::istringstream lines(model.plan);
  for (std::string line; std::getline(lines, line);) {
    std::istringstream words(line);
    std::string name, op, row;
    words >> name >> op >> row;
    rows.push_back({{"name", name}, {"op", op}, {"row", row}});
  }
  return {{"kind", model.kind},
          {"file_bytes", model.file_bytes},
          {"weight_bytes", model.packed_bytes},
          {"load_to_first_answer_ms", 1e3 * model.first_answer},
          {"plan", rows}};
}

Json to_json(const BenchCase& c) {
  return {{"kind", c.kind},
          {"batch", c.batch},
          {"threads", c.threads},
          {"runs", c.runs},
          {"p50_ms", 1e3 * c.p50},
          {"p90_ms", 1e3 * c.p90},
          {"p99_ms", 1e3 * c.p99},
          {"pictures_per_second", c.pictures_per_second()},
          {"activation_bytes", c.activation_bytes}};
}

std::string text_of(Device device, const std::vector<ModelFigures>& models, const std::vector<BenchCase>& cases) {
  std::string text = device == Device::cpu
                         ? fmt::format("{}, rows up to {}\n\n", cpu_description(), name_of(usable_isa()))
                         : gpu::description() + "\n\n";
  for (const ModelFigures& m : models)
    text += fmt::format("{}: weights {:.2f} MB packed, file {:.2f} MB, file to first answer {:.2f} ms\n", m.kind,
                        static_cast<double>(m.packed_bytes) * 1e-6, static_cast<double>(m.file_bytes) * 1e-6,
                        1e3 * m.first_answer);
  text += fmt::format("\n{:5} {:>7} {:>6} {:>10} {:>10} {:>10} {:>12} {:>14} {:>8}\n", "model", "threads", "batch",
                      "p50 ms", "p90 ms", "p99 ms", "pictures/s", "activations MB", "runs");
  for (const BenchCase& c : cases)
    text += fmt::format("{:5} {:>7} {:>6} {:>10.3f} {:>10.3f} {:>10.3f} {:>12.0f} {:>14.2f} {:>8}\n", c.kind, c.threads,
                        c.batch, 1e3 * c.p50, 1e3 * c.p90, 1e3 * c.p99, c.pictures_per_second(),
                        static_cast<double>(c.activation_bytes) * 1e-6, c.runs);
  for (const ModelFigures& m : models) text += fmt::format("\n{} plan\n{}", m.kind, m.plan);
  return text;
}

}  // namespace

void bench(const Options& options) {
  const Console console(options);
  const ScratchFolder scratch;
  std::vector<std::unique_ptr<BenchSubject>> subjects;
  for (const Deployable& model : deployables(options.model, scratch))
    subjects.push_back(std::make_unique<BenchSubject>(model, options.device));
  if (options.serve) return serve_bench(subjects, std::cin, std::cout);
  std::vector<int> threads = options.thread_counts;
  const bool one = options.device != Device::cpu || num_threads() == 1;
  if (threads.empty()) threads = one ? std::vector<int>{1} : std::vector<int>{1, num_threads()};
  std::vector<ModelFigures> models;
  for (const auto& subject : subjects)
    models.push_back({subject->kind(), subject->engine().plan_text(), file_bytes(subject->file()),
                      subject->engine().packed_bytes(), percentile(subject->load(kLoads), 0.5)});
  optim::ProgressBar bar("bench", static_cast<std::int64_t>(threads.size() * options.batches.size()), "cases",
                         console.bar_style());
  const auto cases = measure(subjects, options.batches, threads, options.seconds,
                             [&](std::size_t done) { bar.update(static_cast<std::int64_t>(done), ""); });
  bar.finish("");
  if (!options.json) return print_out(text_of(options.device, models, cases));
  Json j{{"model", options.model},       {"cpu", cpu_description()},
         {"isa", name_of(usable_isa())}, {"device", options.device == Device::cpu ? "cpu" : gpu::description()},
         {"models", Json::array()},      {"cases", Json::array()}};
  for (const ModelFigures& model : models) j["models"].push_back(to_json(model));
  for (const BenchCase& one : cases) j["cases"].push_back(to_json(one));
  print_out(json_text(j));
}

}  // namespace octet::app
