#include "apps/mnv1_qat/profile_report.h"

#include <algorithm>
#include <cmath>
#include <filesystem>
#include <map>
#include <nlohmann/json.hpp>

#include "apps/mnv1_qat/report.h"
#include "core/error.h"
#include "core/file.h"
#include "core/profile_data.h"

namespace octet::app {
namespace {

namespace fs = std::filesystem;
using Json = nlohmann::ordered_json;
using profile::Kind;
using profile::Total;

constexpr double kShown = 5e-4;  // of a step: smaller layers share a line of the table

struct Layer {
  std::string kind;
  double forward = 0, backward = 0;
  std::uint64_t calls = 0;
};

struct Kernel {
  double seconds = 0;
  std::uint64_t calls = 0;
};

// Everything of one stage, summed over its steps.
struct StageTotals {
  std::uint64_t steps = 0;
  double seconds = 0;
  std::map<std::string, double> phases;
  std::map<std::string, Layer> layers;
  std::map<std::pair<std::string, std::string>, Kernel> kernels;
};

// "loss" for what no module did; the net itself by its kind.
std::string layer_name(const Total& t) {
  if (!t.path.empty()) return t.path;
  return t.path_kind.empty() ? "(" + t.name + ")" : "(" + t.path_kind + ")";
}

void add_layer(StageTotals& stage, const Total& t) {
  Layer& layer = stage.layers[layer_name(t)];
  layer.kind = t.path_kind;
  if (t.kind == Kind::module) {
    layer.forward += t.own_seconds;
    layer.calls += t.calls;
  } else if (t.phase == "backward") {
    layer.backward += t.own_seconds;
  }
}

void add_kernel(StageTotals& stage, const Total& t) {
  Kernel& kernel = stage.kernels[{t.name, t.detail.substr(0, t.detail.find(' '))}];
  kernel.seconds += t.own_seconds;
  kernel.calls += t.calls;
}

// Waiting for data stands before a step; what the loader's thread does is no time of the steps.
bool is_wait_for_data(const Total& t) { return t.kind == Kind::phase && t.step.empty() && t.name == "data"; }

std::map<std::string, StageTotals> stages_of(const std::vector<Total>& totals) {
  std::map<std::string, StageTotals> stages;
  for (const Total& t : totals) {
    StageTotals& stage = stages[t.stage];
    if (t.kind == Kind::step) stage.steps += t.calls;
    if (t.kind == Kind::step || is_wait_for_data(t)) stage.seconds += t.seconds;
    if (t.kind == Kind::phase && (!t.step.empty() || is_wait_for_data(t))) stage.phases[t.name] += t.seconds;
    if (t.step.empty()) continue;
    if (t.kind == Kind::module || t.kind == Kind::op) add_layer(stage, t);
    if (t.kind == Kind::kernel) add_kernel(stage, t);
  }
  std::erase_if(stages, [](const auto& stage) { return stage.second.steps == 0; });
  return stages;
}

double rounded(double x, double unit) { return std::round(x / unit) * unit; }

Json stage_json(const std::string& name, const StageTotals& stage) {
  const double steps = static_cast<double>(stage.steps);
  const auto ms = [&](double seconds) { return rounded(seconds / steps * 1e3, 1e-4); };
  const auto share = [&](double seconds) { return stage.seconds > 0 ? rounded(seconds / stage.seconds, 1e-5) : 0.0; };
  const auto calls = [&](std::uint64_t count) { return rounded(static_cast<double>(count) / steps, 1e-2); };
  Json phases = Json::array(), layers = Json::array(), kernels = Json::array();
  double known = 0;
  for (const auto& [phase, seconds] : stage.phases) {
    phases.push_back({{"phase", phase}, {"ms", ms(seconds)}, {"share", share(seconds)}});
    known += seconds;
  }
  phases.push_back({{"phase", "other"}, {"ms", ms(stage.seconds - known)}, {"share", share(stage.seconds - known)}});
  for (const auto& [layer, t] : stage.layers)
    layers.push_back({{"layer", layer},
                      {"kind", t.kind},
                      {"forward_ms", ms(t.forward)},
                      {"backward_ms", ms(t.backward)},
                      {"share", share(t.forward + t.backward)},
                      {"calls", calls(t.calls)}});
  for (const auto& [key, t] : stage.kernels)
    kernels.push_back({{"pass", key.first},
                       {"row", key.second},
                       {"calls", calls(t.calls)},
                       {"ms", ms(t.seconds)},
                       {"share", share(t.seconds)}});
  for (Json* list : {&phases, &layers, &kernels})
    std::stable_sort(list->begin(), list->end(), [](const Json& a, const Json& b) { return a["share"] > b["share"]; });
  return {{"stage", name},    {"steps", stage.steps}, {"step_ms", ms(stage.seconds)},
          {"phases", phases}, {"layers", layers},     {"kernels", kernels}};
}

std::string text_of(const Json& j, const char* key) { return j[key].get<std::string>(); }
std::string number_of(const Json& j, const char* key) { return fmt::format("{:.3f}", j[key].get<double>()); }
std::string percent_of(const Json& j) { return fmt::format("{:.1f} %", 100 * j["share"].get<double>()); }

std::string stage_table(const Json& stage) {
  std::string text = fmt::format("\n{}: {} steps, {:.2f} ms each\n", text_of(stage, "stage"),
                                 stage["steps"].get<std::uint64_t>(), stage["step_ms"].get<double>());
  text += fmt::format("  {:44} {:>12} {:>8}\n", "phase", "ms", "share");
  for (const Json& j : stage["phases"])
    text += fmt::format("  {:44} {:>12} {:>8}\n", text_of(j, "phase"), number_of(j, "ms"), percent_of(j));
  text += fmt::format("  {:28} {:15} {:>12} {:>12} {:>8} {:>6}\n", "layer", "kind", "forward, ms", "backward, ms",
                      "share", "calls");
  double small = 0;
  for (const Json& j : stage["layers"]) {
    if (j["share"].get<double>() < kShown) {
      small += j["share"].get<double>();
      continue;
    }
    text +=
        fmt::format("  {:28} {:15} {:>12} {:>12} {:>8} {:>6.4g}\n", text_of(j, "layer"), text_of(j, "kind"),
                    number_of(j, "forward_ms"), number_of(j, "backward_ms"), percent_of(j), j["calls"].get<double>());
  }
  text += fmt::format("  {:70} {:>7.1f} %\n", "(layers too small for a line)", 100 * small);
  text += fmt::format("  {:28} {:15} {:>12} {:>8} {:>6}\n", "kernel", "row", "ms", "share", "calls");
  for (const Json& j : stage["kernels"])
    text += fmt::format("  {:28} {:15} {:>12} {:>8} {:>6.4g}\n", text_of(j, "pass"), text_of(j, "row"),
                        number_of(j, "ms"), percent_of(j), j["calls"].get<double>());
  return text;
}

std::string beside(const std::string& trace, const char* ending) {
  fs::path path = trace;
  if (path.extension() == ".json") path.replace_extension();
  return path.string() + ending;
}

}  // namespace

Json profile_json() {
  Json stages = Json::array();
  for (const auto& [name, stage] : stages_of(profile::totals())) stages.push_back(stage_json(name, stage));
  return {{"stages", stages}, {"spans_left_out", profile::dropped_spans()}};
}

std::string profile_table(const Json& profile) {
  std::string text =
      "Profile, per step; kernels on all threads, as long as the caller waits. A layer's time is without layers inside "
      "it.\n";
  for (const Json& stage : profile["stages"]) text += stage_table(stage);
  const auto left_out = profile["spans_left_out"].get<std::uint64_t>();
  if (left_out > 0)
    text += fmt::format(
        "\nThe trace shows the beginning of each stage in detail: {} later spans are in these sums only.\n", left_out);
  return text;
}

ProfileSession::ProfileSession(const Options& options)
    : trace_(options.profile), silent_(options.quiet || options.json) {
  if (trace_.empty()) return;
  require_writable(trace_);
  profile::start();
  running_ = true;
}

void ProfileSession::write() const {
  profile::write_trace(trace_);
  const Json tables = profile_json();
  const std::string text = profile_table(tables);
  write_file_atomically(beside(trace_, ".layers.json"), json_text(tables));
  write_file_atomically(beside(trace_, ".layers.txt"), text);
  if (!silent_) print_out(fmt::format("\n{}trace: {}, tables: {}\n", text, trace_, beside(trace_, ".layers.txt")));
}

void ProfileSession::finish() {
  if (!running_) return;
  running_ = false;
  profile::stop();
  write();
}

ProfileSession::~ProfileSession() {
  if (!running_) return;
  silent_ = true;
  try {
    finish();
  } catch (const std::exception&) {
    // The error that ended the program is the one to tell.
  }
}

}  // namespace octet::app
