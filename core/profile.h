// Where the time goes: spans of work on every thread, kept for a trace and summed up for tables (core/profile_data.h reads
// them). Off, a span costs one relaxed load.
#pragma once
#include <atomic>
#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>

namespace octet::profile {

/// From the whole to the part.
enum class Kind : std::uint8_t { stage, step, phase, module, op, kernel, task };
const char* name_of(Kind kind);

namespace detail {
extern std::atomic<bool> recording;
}
/// Is a profile being recorded?
inline bool on() { return detail::recording.load(std::memory_order_relaxed); }

/// Forgets what was recorded and records from now on. Each stage keeps its first `spans_per_stage` modules, ops, kernels and
/// tasks for the trace; the later ones are summed up only. Stages, steps and phases are always kept (the first million).
void start(std::size_t spans_per_stage = 60000);
/// Spans that are open are still taken when they end.
void stop();

/// One piece of work on this thread, from construction to destruction.
class Span {
 public:
  Span(Kind kind, std::string_view name) : open_(on()) {
    if (open_) begin(kind, name, nullptr, {});
  }
  /// `detail()` gives a string; it is called only while a profile is recorded.
  template <class Detail>
  Span(Kind kind, std::string_view name, const Detail& detail) : open_(on()) {
    if (open_) begin(kind, name, nullptr, detail());
  }
  /// Work of `scope` (see name_scope()).
  Span(Kind kind, const void* scope, std::string_view name) : open_(on()) {
    if (open_) begin(kind, name, scope, {});
  }
  ~Span() {
    if (open_) end();
  }
  Span(const Span&) = delete;
  Span& operator=(const Span&) = delete;

 private:
  static void begin(Kind kind, std::string_view name, const void* scope, std::string_view detail) noexcept;
  static void end() noexcept;
  bool open_;
};

/// What a ScopeGuard does for its module: a span when the module has a name, else nothing. True when leave_scope() is due.
bool enter_scope(const void* scope) noexcept;
void leave_scope() noexcept;
/// Gives a scope (an nn::Module) its dotted path and its kind; a later name replaces an earlier one.
void name_scope(const void* scope, const std::string& path, const std::string& kind);
/// How this thread is called in traces ("main" when it never says). Threads of one name that follow each other share a line.
void name_thread(const std::string& name);

/// Part of a program's work, with a budget of kept spans of its own ("pretrain", "qat test"). One thread makes them.
class Stage {
 public:
  explicit Stage(std::string_view name);
  ~Stage();
  Stage(const Stage&) = delete;
  Stage& operator=(const Stage&) = delete;

 private:
  std::string before_;
  Span span_;
};

}  // namespace octet::profile
