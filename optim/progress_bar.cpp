#include "optim/progress_bar.h"

#include <fmt/core.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include <algorithm>
#include <cmath>
#include <cstdio>
#include <utility>

namespace octet::optim {
namespace {

using Clock = std::chrono::steady_clock;

double seconds_between(Clock::time_point a, Clock::time_point b) {
  return std::chrono::duration<double>(b - a).count();
}

std::string bar_text(double fraction) {
  constexpr int kWidth = 20;
  const int full = static_cast<int>(fraction * kWidth);
  return "[" + std::string(static_cast<std::size_t>(full), '=') +
         std::string(static_cast<std::size_t>(kWidth - full), ' ') + "]";
}

// A line longer than the terminal is wide would wrap, and the next one could not be drawn over it.
std::size_t terminal_columns() {
  winsize size{};
  return ::ioctl(STDOUT_FILENO, TIOCGWINSZ, &size) == 0 && size.ws_col > 0 ? size.ws_col : 80;
}

}  // namespace

std::string clock_text(double seconds) {
  const auto s = static_cast<std::int64_t>(std::max(0.0, std::round(seconds)));
  if (s >= 3600) return fmt::format("{}:{:02}:{:02}", s / 3600, s / 60 % 60, s % 60);
  return fmt::format("{}:{:02}", s / 60, s % 60);
}

ProgressBar::ProgressBar(std::string label, std::int64_t total, std::string unit, BarStyle style, std::int64_t already)
    : label_(std::move(label)),
      unit_(std::move(unit)),
      total_(std::max<std::int64_t>(1, total)),
      already_(already),
      terminal_(style == BarStyle::automatic && isatty(STDOUT_FILENO) == 1),
      silent_(style == BarStyle::silent),
      start_(Clock::now()),
      drawn_(start_) {}

ProgressBar::~ProgressBar() {
  if (!finished_ && !silent_ && terminal_) std::printf("\n");
}

void ProgressBar::update(std::int64_t done, const std::string& text) {
  if (silent_ || finished_ || seconds_between(drawn_, Clock::now()) < (terminal_ ? 0.1 : 10.0)) return;
  draw(done, text, false);
}

void ProgressBar::finish(const std::string& text) {
  if (std::exchange(finished_, true)) return;
  if (!silent_) draw(total_, text, true);
}

void ProgressBar::draw(std::int64_t done, const std::string& text, bool last) {
  drawn_ = Clock::now();
  const double seconds = std::max(1e-9, seconds_between(start_, drawn_));
  const double rate = static_cast<double>(std::max<std::int64_t>(0, done - already_)) / seconds;
  const double fraction = static_cast<double>(std::clamp<std::int64_t>(done, 0, total_)) / static_cast<double>(total_);
  const std::string time = last ? "in " + clock_text(seconds)
                                : "ETA " + (rate > 0 ? clock_text(static_cast<double>(total_ - done) / rate) : "?");
  const auto line = [&](const std::string& bar, const std::string& tail) {
    return fmt::format("{} {}{:3.0f} %  {:.0f} {}/s  {}{}", label_, bar, fraction * 100, rate, unit_,
                       text.empty() ? "" : text + "  ", tail);
  };
  if (terminal_) {
    const std::size_t room = terminal_columns() - 1;
    std::string shown = line(bar_text(fraction) + " ", time);
    if (shown.size() > room) shown = line("", time);
    if (shown.size() > room)
      shown = fmt::format("{} {:3.0f} %  {:.0f} {}/s  {}", label_, fraction * 100, rate, unit_, time).substr(0, room);
    std::printf("\r\033[K%s%s", shown.c_str(), last ? "\n" : "");
  } else {
    std::printf("%s\n", line("", time).c_str());
  }
  std::fflush(stdout);
}

}  // namespace octet::optim
