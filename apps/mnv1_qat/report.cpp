#include "apps/mnv1_qat/report.h"

#include <sys/resource.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstdlib>
#include <cstring>
#include <ctime>
#include <filesystem>
#include <fstream>
#include <nlohmann/json.hpp>
#include <sstream>

#include "apps/mnv1_qat/json_lines.h"
#include "core/error.h"
#include "core/file.h"

namespace octet::app {
namespace {

using Json = nlohmann::ordered_json;

constexpr std::int64_t kStepsPerLine = 10;

std::string score_text(const optim::Scores& s) {
  return fmt::format("loss {:.4f}  top-1 {:.2f} %  top-5 {:.2f} %", s.loss(), 100 * s.top1(), 100 * s.top5());
}

// Stages in the order of a run.
std::ptrdiff_t rank_of(const std::string& stage) {
  static const std::array<std::string, 5> kStages{"pretrain", "fp32 test", "qat", "qat test", "int8 test"};
  return std::find(kStages.begin(), kStages.end(), stage) - kStages.begin();
}

}  // namespace

std::vector<Json> read_events(const std::string& path) {
  std::vector<Json> lines = read_json_lines(path);
  std::erase_if(lines, [](const Json& j) {
    return !j.contains("stage") || !j["stage"].is_string() || !j.contains("event") || !j["event"].is_string() ||
           (j.contains("step") && !j["step"].is_number_integer());
  });
  return lines;
}

std::string Summary::json() const {
  const Json j{{"data", data},
               {"seed", seed},
               {"threads", threads},
               {"scheme", scheme},
               {"fp32_top1", fp32.top1()},
               {"fp32_top5", fp32.top5()},
               {"qat_top1", qat.top1()},
               {"qat_top5", qat.top5()},
               {"int8_top1", int8.top1()},
               {"int8_top5", int8.top5()},
               {"code_mismatches", code_mismatches},
               {"class_agreement", class_agreement},
               {"logit_max_abs_diff", logit_max_abs_diff},
               {"fp32_bytes", fp32_bytes},
               {"int8_bytes", int8_bytes},
               {"parameters", parameters},
               {"pretrain_seconds", pretrain_seconds},
               {"qat_seconds", qat_seconds},
               {"total_seconds", total_seconds},
               {"fp32_step_ms", fp32_step_ms},
               {"qat_step_ms", qat_step_ms},
               {"int8_images_per_second", int8_images_per_second},
               {"fp32_images_per_second", fp32_images_per_second},
               {"first_step_seconds", first_step_seconds},
               {"data_share", data_share},
               {"peak_rss_bytes", peak_rss_bytes},
               {"peak_rss_mb", static_cast<double>(peak_rss_bytes) * 1e-6}};
  return json_text(j);
}

std::string Summary::table() const {
  constexpr const char* kRow = "  {:24} {:>12} {:>12} {:>12}\n";
  const auto percent = [](double x) { return fmt::format("{:.2f} %", 100 * x); };
  std::string text =
      fmt::format("\nResults on {} (seed {}, scheme {}, {} threads)\n",
                  data == "synthetic" ? "SYNTHETIC pictures, not CIFAR-10" : data, seed, scheme, threads);
  text += fmt::format(kRow, "", "fp32", "QAT", "int8 engine");
  text += fmt::format(kRow, "top-1", percent(fp32.top1()), percent(qat.top1()), percent(int8.top1()));
  text += fmt::format(kRow, "top-5", percent(fp32.top5()), percent(qat.top5()), percent(int8.top5()));
  // A pre-training in another folder left no times here.
  const auto known = [](double x) { return x > 0 ? fmt::format("{:.1f}", x) : std::string(); };
  text += fmt::format(kRow, "step, ms (median)", known(fp32_step_ms), known(qat_step_ms), "");
  text += fmt::format(kRow, "training, s", known(pretrain_seconds), known(qat_seconds), "");
  text += fmt::format(kRow, "pictures/s, inference", fmt::format("{:.0f}", fp32_images_per_second), "",
                      fmt::format("{:.0f}", int8_images_per_second));
  text += fmt::format(kRow, "file, bytes", fp32_bytes, "", int8_bytes);
  text += fmt::format("  codes that differ, simulator against engine: {}\n", code_mismatches);
  text += fmt::format("  classes equal, QAT evaluation against simulator: {} (largest logit difference {:.3g})\n",
                      percent(class_agreement), logit_max_abs_diff);
  return text + fmt::format("  total {:.1f} s, peak memory {:.0f} MB\n", total_seconds,
                            static_cast<double>(peak_rss_bytes) * 1e-6);
}

Metrics::Metrics(const std::string& dir, bool keep) : path_((std::filesystem::path(dir) / "metrics.jsonl").string()) {
  if (keep)
    mend_last_line(path_);
  else
    write_file_atomically(path_, "");
}

void Metrics::rewind(const std::string& stage, std::int64_t step) {
  std::vector<Json> lines = read_events(path_);
  std::erase_if(lines, [&](const Json& line) {
    const auto rank = rank_of(line["stage"].get<std::string>());
    return rank > rank_of(stage) || (rank == rank_of(stage) && line.value("step", std::int64_t{0}) > step);
  });
  write_json_lines(path_, lines);
}

void Metrics::write_step(const std::string& stage, const optim::Progress& p) {
  const Json j{{"event", "step"}, {"stage", stage},       {"epoch", p.epoch + 1}, {"step", p.step},
               {"lr", p.lr},      {"loss", p.batch_loss}, {"ms", p.step_ms}};
  append_line(path_, j.dump());
}

void Metrics::write_epoch(const std::string& stage, const optim::Progress& p) {
  const Json j{{"event", "epoch"},        {"stage", stage},          {"epoch", p.epoch + 1},   {"step", p.step},
               {"loss", p.scores.loss()}, {"top1", p.scores.top1()}, {"top5", p.scores.top5()}};
  append_line(path_, j.dump());
}

void Metrics::write_scores(const std::string& stage, const optim::Scores& s) {
  const Json j{{"event", "evaluate"}, {"stage", stage},   {"loss", s.loss()},
               {"top1", s.top1()},    {"top5", s.top5()}, {"pictures", s.pictures}};
  std::vector<Json> lines = read_events(path_);
  const auto earlier =
      std::find_if(lines.begin(), lines.end(), [&](const Json& line) { return line["stage"] == stage; });
  if (earlier == lines.end()) return append_line(path_, j.dump());
  *earlier = j;
  write_json_lines(path_, lines);
}

Console::Console(const Options& options)
    : style_(options.quiet || options.json ? optim::BarStyle::silent : optim::BarStyle::automatic) {}

void Console::say(const std::string& text) const {
  if (!speaks()) return;
  print_out(text + "\n");
}

Reporter::Reporter(const Console& console, std::string stage, std::int64_t batch_size, std::int64_t pictures,
                   Metrics* metrics, optim::Callback* watcher)
    : console_(console),
      stage_(std::move(stage)),
      batch_size_(batch_size),
      pictures_(pictures),
      metrics_(metrics),
      watcher_(watcher) {
  if (!metrics_) bar_ = std::make_unique<optim::ProgressBar>(stage_, pictures_, "pictures", console_.bar_style());
}

void Reporter::start_epoch(const optim::Progress& p) {
  bar_ = std::make_unique<optim::ProgressBar>(fmt::format("{} epoch {}/{}", stage_, p.epoch + 1, p.epochs), pictures_,
                                              "pictures", console_.bar_style(), p.batch * batch_size_);
}

void Reporter::on_fit_begin(const optim::Progress& p) {
  if (metrics_) metrics_->rewind(stage_, p.step);
  if (watcher_) watcher_->on_fit_begin(p);
  if (p.epoch < p.epochs) start_epoch(p);
}

void Reporter::on_step(const optim::Progress& p) {
  bar_->update(p.batch * batch_size_, score_text(p.scores));
  if (metrics_ && p.step % kStepsPerLine == 0) metrics_->write_step(stage_, p);
  if (watcher_) watcher_->on_step(p);
}

void Reporter::on_epoch_end(const optim::Progress& p) {
  bar_->finish(score_text(p.scores));
  if (metrics_) metrics_->write_epoch(stage_, p);
  if (watcher_) watcher_->on_epoch_end(p);
  optim::Progress next = p;
  ++next.epoch, next.batch = 0;
  if (next.epoch < next.epochs) start_epoch(next);
}

void Reporter::on_fit_end(const optim::Progress& p) {
  if (watcher_) watcher_->on_fit_end(p);
}

void Reporter::on_evaluate(std::int64_t done, std::int64_t pictures, const optim::Scores& scores) {
  done < pictures ? bar_->update(done, score_text(scores)) : bar_->finish(score_text(scores));
  if (watcher_) watcher_->on_evaluate(done, pictures, scores);
}

std::string json_text(const Json& json) { return json.dump(2, ' ', false, Json::error_handler_t::replace) + "\n"; }

void print_out(const std::string& text) {
  const bool good = std::fwrite(text.data(), 1, text.size(), stdout) == text.size() && std::fflush(stdout) == 0;
  OCTET_CHECK(good, "mnv1_qat", "cannot write to stdout: {}", std::strerror(errno));
}

std::uint64_t peak_rss_bytes() {
  // ru_maxrss is also of the program that exec() replaced.
  std::ifstream file("/proc/self/status");
  for (std::string line; std::getline(file, line);)
    if (line.starts_with("VmHWM:")) return std::strtoull(line.c_str() + 6, nullptr, 10) * 1024;
  rusage usage{};
  getrusage(RUSAGE_SELF, &usage);
  return static_cast<std::uint64_t>(usage.ru_maxrss) * 1024;
}

double process_seconds() {
  // Field 22 of /proc/self/stat counts clock ticks from boot; the fields follow the program's name, which ends with
  // ')'.
  constexpr int kStart = 22 - 2;
  std::ifstream file("/proc/self/stat");
  const std::string text{std::istreambuf_iterator<char>(file), {}};
  std::istringstream fields(text.substr(std::min(text.rfind(')') + 1, text.size())));
  std::string field;
  for (int i = 0; i < kStart; ++i) fields >> field;
  timespec now{};
  ::clock_gettime(CLOCK_BOOTTIME, &now);
  const double ticks = std::strtod(field.c_str(), nullptr), rate = static_cast<double>(::sysconf(_SC_CLK_TCK));
  return static_cast<double>(now.tv_sec) + static_cast<double>(now.tv_nsec) * 1e-9 - ticks / rate;
}

}  // namespace octet::app
