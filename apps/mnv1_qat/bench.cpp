#include "apps/mnv1_qat/bench.h"

#include <algorithm>
#include <chrono>
#include <cmath>
#include <istream>
#include <nlohmann/json.hpp>
#include <ostream>
#include <sstream>

#include "core/cpu_features.h"
#include "core/error.h"
#include "core/parallel.h"
#include "core/random.h"
#include "core/stopwatch.h"

namespace octet::app {
namespace {

using Clock = std::chrono::steady_clock;

constexpr const char* kWhere = "bench";
constexpr int kTurns = 5;
constexpr std::int64_t kMostPictures = 100000, kMostRuns = 100000;

}  // namespace

BenchSubject::BenchSubject(const Deployable& model, Device device)
    : model_(model), engine_(engine::Engine::load(model.file, device)) {
  restart();
}

// Bytes as pictures have them, normalised; the next batch sizes reuse them.
void BenchSubject::reserve(std::int64_t batch) {
  const auto floats = static_cast<std::size_t>(batch * engine_.picture_size());
  Random random(1, Purpose::synthetic, pictures_.size());
  while (pictures_.size() < floats) pictures_.push_back((static_cast<float>(random.below(256)) - 127.5f) / 127.5f);
  logits_.resize(std::max(logits_.size(), static_cast<std::size_t>(batch * engine_.classes())));
}

std::vector<double> BenchSubject::run(std::int64_t batch, std::int64_t count) {
  reserve(batch);
  session_->run(pictures_.data(), batch, logits_.data());
  std::vector<double> seconds;
  for (std::int64_t i = 0; i < count; ++i) {
    const auto start = Clock::now();
    session_->run(pictures_.data(), batch, logits_.data());
    seconds.push_back(seconds_since(start));
  }
  return seconds;
}

std::vector<double> BenchSubject::load(std::int64_t count) {
  reserve(1);
  std::vector<double> seconds;
  for (std::int64_t i = 0; i < count; ++i) {
    const auto start = Clock::now();
    const engine::Engine engine = engine::Engine::load(model_.file, engine_.device());
    engine::Session(engine).run(pictures_.data(), 1, logits_.data());
    seconds.push_back(seconds_since(start));
  }
  return seconds;
}

double percentile(std::vector<double> values, double share) {
  if (values.empty()) return 0;
  const auto rank = static_cast<std::size_t>(std::ceil(share * static_cast<double>(values.size())));
  const std::size_t at = std::clamp<std::size_t>(rank, 1, values.size()) - 1;
  std::nth_element(values.begin(), values.begin() + static_cast<std::ptrdiff_t>(at), values.end());
  return values[at];
}

std::vector<BenchCase> measure(std::vector<std::unique_ptr<BenchSubject>>& subjects,
                               const std::vector<std::int64_t>& batches, const std::vector<int>& threads,
                               double seconds, const std::function<void(std::size_t)>& told) {
  std::vector<BenchCase> cases;
  for (const int count : threads) {
    set_num_threads(count);
    for (const std::int64_t batch : batches) {
      told(cases.size() / subjects.size());
      std::vector<std::vector<double>> times(subjects.size());
      std::vector<std::int64_t> runs;
      for (auto& subject : subjects) {
        subject->restart();
        subject->run(batch, 1);  // memory, caches
        const double once = std::max(subject->run(batch, 1)[0], 1e-7);
        runs.push_back(std::clamp<std::int64_t>(static_cast<std::int64_t>(seconds / kTurns / once), 1, kMostRuns));
      }
      for (int turn = 0; turn < kTurns; ++turn)
        for (std::size_t i = 0; i < subjects.size(); ++i) {
          const auto some = subjects[i]->run(batch, runs[i]);
          times[i].insert(times[i].end(), some.begin(), some.end());
        }
      for (std::size_t i = 0; i < subjects.size(); ++i)
        cases.push_back({subjects[i]->kind(), batch, count, static_cast<std::int64_t>(times[i].size()),
                         percentile(times[i], 0.5), percentile(times[i], 0.9), percentile(times[i], 0.99),
                         subjects[i]->session_bytes()});
    }
  }
  return cases;
}

void serve_bench(std::vector<std::unique_ptr<BenchSubject>>& subjects, std::istream& in, std::ostream& out) {
  nlohmann::json kinds = nlohmann::json::array();
  for (const auto& subject : subjects) kinds.push_back(subject->kind());
  const nlohmann::json ready{
      {"ready", fmt::format("octet {}", OCTET_VERSION)}, {"isa", name_of(usable_isa())}, {"kinds", kinds}};
  out << ready << std::endl;
  for (std::string line; std::getline(in, line);) {
    std::istringstream words(line);
    std::string word, kind, rest;
    std::int64_t batch = 1, threads = num_threads(), count = 0;
    words >> word >> kind;
    if (word == "run") words >> batch >> threads;
    words >> count;
    const bool good = !words.fail() && !(words >> rest) && (word == "run" || word == "load") && batch >= 1 &&
                      batch <= kMostPictures && threads >= 1 && threads <= kMostThreads && count >= 1 &&
                      count <= kMostRuns;
    OCTET_CHECK(good, kWhere, "'{}' is no command: run KIND BATCH THREADS N or load KIND N", line);
    const auto subject =
        std::find_if(subjects.begin(), subjects.end(), [&](const auto& one) { return one->kind() == kind; });
    OCTET_CHECK(subject != subjects.end(), kWhere, "'{}': this model has no {}", line, kind);
    set_num_threads(static_cast<int>(threads));
    const nlohmann::json answer{{"seconds", word == "run" ? (*subject)->run(batch, count) : (*subject)->load(count)}};
    out << answer << std::endl;
  }
}

}  // namespace octet::app
