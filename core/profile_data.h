// What a profile (core/profile.h) recorded: its spans, its sums, and the trace file that Perfetto and chrome://tracing open.
#pragma once
#include <cstdint>
#include <functional>
#include <string>
#include <string_view>
#include <vector>

#include "core/profile.h"

namespace octet::profile {

/// A kept span. Times in nanoseconds; `start` counts from profile::start().
struct SpanView {
  Kind kind;
  std::string_view name, detail, path;  ///< path of the innermost named scope, "" without one
  std::int64_t start = 0, duration = 0;
  int thread = 0;  ///< place in thread_names()
};
/// All that was kept, thread by thread, each in the order in which spans ended.
void for_each_span(const std::function<void(const SpanView&)>& visit);
std::vector<std::string> thread_names();
/// Spans beyond the budget: part of totals(), but not kept.
std::uint64_t dropped_spans();

/// The sum of all spans that agree in everything but time.
struct Total {
  std::string stage, step, phase;  ///< the innermost around it, on its thread (the stage: on any)
  Kind kind = Kind::op;
  std::string name, detail;
  std::string path, path_kind;  ///< the innermost named scope
  std::uint64_t calls = 0;
  double seconds = 0;
  /// Without what is measured inside: modules, ops and coarser spans leave out such spans, kernels leave out kernels.
  double own_seconds = 0;
};
std::vector<Total> totals();

/// Writes the kept spans in the Trace Event Format: complete events ("ph":"X", microseconds), process and thread names.
/// Throws Error when the file cannot be written; what stood there then stays.
void write_trace(const std::string& path);

}  // namespace octet::profile
