#include "benchmarks/step.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <chrono>
#include <cstdio>
#include <filesystem>
#include <memory>
#include <nlohmann/json.hpp>
#include <thread>

#include "benchmarks/worker.h"
#include "core/error.h"
#include "core/parallel.h"

namespace octet::bench {
namespace {

constexpr int kStartSeconds = 900;  // torch.compile takes minutes where its cache is cold
constexpr int kLoads = 20;

struct Known {
  const char* name;
  const char* what;
  bool peer;
};
constexpr Known kSides[] = {{"fp32", "Octet fp32", false},
                            {"qat", "Octet QAT (scheme octet)", false},
                            {"fp32-avx2", "Octet fp32, OCTET_ISA=avx2", false},
                            {"bf16", "Octet bf16 products", false},
                            {"eager", "PyTorch eager, channels_last", true},
                            {"compile", "PyTorch torch.compile, channels_last", true},
                            {"fx-qat", "PyTorch torch.ao FX QAT", true}};

const Known& known_side(const std::string& name) {
  for (const Known& side : kSides)
    if (name == side.name) return side;
  fail("octet_bench", fmt::format("--sides: '{}' is none of {}", name, fmt::join(step_sides(), ", ")));
}

std::string peer_script(const StepOptions& options) {
  const std::string file = options.peer_script.empty() ? OCTET_PEER_SCRIPT : options.peer_script;
  OCTET_CHECK(std::filesystem::exists(file), "octet_bench", "there is no '{}' ---> HINT name it with --peer-script",
              file);
  return file;
}

std::unique_ptr<Worker> start(const Known& side, const StepOptions& options) {
  const std::string batch = std::to_string(options.batch), scale = fmt::format("{}", options.scale);
  const std::string threads = std::to_string(options.threads > 0 ? options.threads : num_threads());
  if (side.peer) {
    OCTET_CHECK(!options.python.empty(), "octet_bench", "{} needs --python, an interpreter with PyTorch", side.name);
    return std::make_unique<Worker>(
        side.what, std::vector<std::string>{options.python, peer_script(options), side.name, "--batch", batch,
                                            "--scale", scale, "--threads", threads});
  }
  const std::string self = std::filesystem::read_symlink("/proc/self/exe").string();
  const std::string name = side.name;
  std::vector<std::string> environment;
  if (name == "fp32-avx2") environment.push_back("OCTET_ISA=avx2");
  return std::make_unique<Worker>(
      side.what,
      std::vector<std::string>{self, "--serve-step", name == "qat" || name == "bf16" ? name : "fp32", "--batch", batch,
                               "--scale", scale, "--threads", threads},
      environment);
}

std::vector<std::string> sides_of(const StepOptions& options) {
  if (!options.sides.empty()) return options.sides;
  std::vector<std::string> sides{"fp32", "qat"};
  if (!options.python.empty()) sides.insert(sides.end(), {"eager", "compile"});
  if (options.peer_qat) sides.push_back("fx-qat");
  return sides;
}

/// A side and its process, which ends when the side fails.
struct Runner {
  StepSide side;
  std::unique_ptr<Worker> worker;

  template <class F>
  void attempt(F&& f) {
    if (!side.error.empty()) return;
    try {
      f();
    } catch (const std::exception& error) {
      side.error = error.what();
      worker.reset();
    }
  }
};

void take(StepSide& side, const nlohmann::json& answer) {
  side.rounds.push_back(answer.at("seconds").get<std::vector<double>>());
  OCTET_CHECK(!side.rounds.back().empty(), "octet_bench", "{} gave no times", side.what);
  side.system_allocations = answer.value("system_allocations", -1.0);
  side.minor_faults = answer.value("minor_faults", -1.0);
  side.peak_rss_bytes = answer.value("peak_rss_bytes", 0.0);
}

/// Threads that still spin for work belong to the turn before.
void let_threads_fall_asleep() { std::this_thread::sleep_for(std::chrono::milliseconds(50)); }

}  // namespace

std::vector<std::string> step_sides() {
  std::vector<std::string> names;
  for (const Known& side : kSides) names.emplace_back(side.name);
  return names;
}

std::vector<StepSide> measure_steps(const StepOptions& options) {
  std::vector<Runner> runners;
  for (const std::string& name : sides_of(options)) {
    const Known& known = known_side(name);
    Runner& runner = runners.emplace_back();
    runner.side.name = name, runner.side.what = known.what;
    fmt::print(stderr, "octet_bench: starting {}\n", known.what);
    runner.attempt([&] {
      runner.worker = start(known, options);
      runner.side.version = runner.worker->answer(kStartSeconds).value("ready", "");
      runner.worker->ask("run 1", kStartSeconds);  // takes its memory, chooses its kernels
    });
  }
  for (int round = 0; round < options.rounds; ++round) {
    fmt::print(stderr, "octet_bench: round {} of {}\n", round + 1, options.rounds);
    for (Runner& runner : runners)
      runner.attempt([&] {
        let_threads_fall_asleep();
        take(runner.side, runner.worker->ask(fmt::format("run {}", options.steps)));
      });
  }
  std::vector<StepSide> sides;
  for (Runner& runner : runners) {
    if (runner.side.name == "fp32")
      runner.attempt([&] {
        let_threads_fall_asleep();
        runner.side.load_seconds =
            runner.worker->ask(fmt::format("load {}", kLoads)).at("seconds").get<std::vector<double>>();
      });
    sides.push_back(std::move(runner.side));
  }
  const bool any = std::any_of(sides.begin(), sides.end(), [](const StepSide& side) { return side.error.empty(); });
  OCTET_CHECK(any, "octet_bench", "--step measured nothing: {}", sides.empty() ? "no sides" : sides[0].error);
  return sides;
}

}  // namespace octet::bench
