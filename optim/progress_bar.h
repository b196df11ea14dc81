// A progress bar with rate and ETA on a terminal, plain lines now and then elsewhere.
#pragma once
#include <chrono>
#include <cstdint>
#include <string>

namespace octet::optim {

enum class BarStyle {
  automatic,  ///< bar when stdout is a terminal, else lines
  lines,
  silent,
};

class ProgressBar {
 public:
  /// `unit` counts what update() is told, for example "pictures"; `already` of them were done before (a resumed run) and
  /// do not count for the rate.
  ProgressBar(std::string label, std::int64_t total, std::string unit, BarStyle style = BarStyle::automatic,
              std::int64_t already = 0);
  ~ProgressBar();
  ProgressBar(const ProgressBar&) = delete;

  /// So many more were done before, as it turns out.
  void skip(std::int64_t more) { already_ += more; }
  /// Shows `done` of the total and a text (loss, accuracy); redrawn at most ten times a second, lines every ten seconds.
  void update(std::int64_t done, const std::string& text);
  /// Shows the final state and ends the line.
  void finish(const std::string& text);

 private:
  void draw(std::int64_t done, const std::string& text, bool last);
  std::string label_, unit_;
  std::int64_t total_, already_;
  bool terminal_, silent_, finished_ = false;
  std::chrono::steady_clock::time_point start_, drawn_;
};

/// "1:02:03" or "2:03".
std::string clock_text(double seconds);

}  // namespace octet::optim
